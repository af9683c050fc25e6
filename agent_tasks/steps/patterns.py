"""How agents work together, as functions: parallel, each, repeat, vote, hand over.

They are nothing but asking in an order, and each step in them has a name made of its place. So a program that
was killed and starts again in the same run takes what is finished from the journal, and goes on behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar, cast, overload

from pydantic import BaseModel, ConfigDict, create_model
from pydantic_core import PydanticSerializationError, to_jsonable_python

from agent_tasks.errors import ConfigurationError, WaitingForPersonError
from agent_tasks.journal import AtLimit
from agent_tasks.operations import Decision
from agent_tasks.operations.decisions import ask_person
from agent_tasks.pauses import Pauses
from agent_tasks.pending import refuse_pending
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.steps.agent import Agent
from agent_tasks.steps.answers import Answer
from agent_tasks.steps.checks import check_awaitable, check_callable, check_kind, check_text
from agent_tasks.steps.session import Session, current_session

__all__ = ["HandedOver", "Vote", "approve", "each", "hand_off", "parallel", "repeat", "vote"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
Item = TypeVar("Item")
R = TypeVar("R")
T = TypeVar("T")

_PATIENCE = (0.5, 5.0)  # seconds between looks whether a person has decided: the first, and the longest


@overload
async def parallel(first: Awaitable[A], second: Awaitable[B], /) -> tuple[A, B]: ...
@overload
async def parallel(first: Awaitable[A], second: Awaitable[B], third: Awaitable[C], /) -> tuple[A, B, C]: ...
@overload
async def parallel(
    first: Awaitable[A], second: Awaitable[B], third: Awaitable[C], fourth: Awaitable[D], /
) -> tuple[A, B, C, D]: ...
@overload
async def parallel(*work: Awaitable[R]) -> tuple[R, ...]: ...


async def parallel(*work: Awaitable[Any]) -> tuple[Any, ...]:
    """Do several things at the same time.

    Example:
        ```python
        law, price = await parallel(lawyer.ask(question), buyer.ask(question))
        ```

    All come to their end, also where one fails: what was asked is paid for, and its answer is kept.

    Raises:
        ConfigurationError: something can't be awaited.
        BaseException: the first error, in the order of the arguments.
    """
    check_awaitable("parallel(...)", work, "work", "Give it calls: parallel(a.ask(...), b.ask(...)).")
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return tuple(outcomes)


async def each(
    items: Iterable[Item],
    work: Callable[[Item], Awaitable[R]],
    *,
    at_most: int = 8,
    name: str = "each",
) -> list[R]:
    """Do something for each item, some at a time; returns the results in the items' order.

    Steps in it are named `NAME/NUMBER/...`, the first number is 0.

    Args:
        items: the items.
        work: what is done for one.
        at_most: how many at a time.
        name: of the steps; give another one to a second `each` in a session that asks the same.

    Raises:
        ConfigurationError: `at_most` is below 1, or `work` is not async.
        BaseException: the first error, when all have come to their end.
    """
    _at_least_one(at_most)
    check_callable("each(...)", work=work)
    free = asyncio.Semaphore(at_most)
    session = current_session()

    async def one(number: int, item: Item) -> R:
        async with free:
            with session.at(name, number).entered():
                return await _async("each(...)", work(item))

    return list(await parallel(*(one(number, item) for number, item in enumerate(items))))


async def repeat(
    work: Callable[[R | None], Awaitable[R]],
    *,
    until: Callable[[R], bool],
    at_most: int = 3,
    name: str = "repeat",
) -> R:
    """Do something again until its result will do, `at_most` times; returns the last result.

    Steps in it are named `NAME/NUMBER/...`, the first number is 1.

    Args:
        work: what is done; takes the result of the time before, None the first time.
        until: whether a result will do.
        at_most: how often it is done. What did not do by then is returned all the same: look at it.
        name: of the steps.

    Raises:
        ConfigurationError: `at_most` is below 1, or `work` is not async.
    """
    _at_least_one(at_most)
    check_callable("repeat(...)", work=work, until=until)
    session = current_session()
    result: R | None = None
    for number in range(1, at_most + 1):
        with session.at(name, number).entered():
            result = await _async("repeat(...)", work(result))
        if until(result):
            break
    return cast("R", result)


class Vote(BaseModel, Generic[T]):
    """How a vote went."""

    model_config = ConfigDict(frozen=True)

    value: T
    """What most answered; of several with as many votes the one that was heard first."""
    votes: int
    """How many answered so."""
    answers: list[Answer[Any]]
    """All answers, in the order of agents and samples."""

    @property
    def is_unanimous(self) -> bool:
        """Whether all answered so."""
        return self.votes == len(self.answers)


async def vote(
    voters: Agent[T] | Sequence[Agent[T]],
    prompt: str,
    *,
    samples: int = 1,
    by: Callable[[T], object] | None = None,
    at_most: int = 8,
    name: str = "vote",
) -> Vote[T]:
    """Ask several agents, or one several times, and take what most answer.

    For another way to decide, ask an agent about `answers` afterwards. Steps in it are named
    `NAME/NUMBER/AGENT`.

    Args:
        voters: the agent, or the agents.
        prompt: what they are asked.
        samples: how often each of them is asked.
        by: what of an answer counts; all of it if not given.
        at_most: how many are asked at a time.
        name: of the steps.

    Raises:
        ConfigurationError: nobody is asked.
    """
    agents = [voters] if isinstance(voters, Agent) else list(voters)
    asked = [agent for agent in agents for _ in range(samples)]
    if not asked:
        raise ConfigurationError("A vote needs at least one agent and one sample.", setting="samples")
    answers = await each(asked, lambda agent: agent.ask(prompt), at_most=at_most, name=name)
    counted = [_canonical(by(answer.value) if by is not None else answer.value) for answer in answers]
    winner, votes = Counter(counted).most_common(1)[0]
    return Vote(value=answers[counted.index(winner)].value, votes=votes, answers=list(answers))


def _canonical(value: object) -> str:
    """A value as text that is the same for equal values."""
    return json.dumps(to_jsonable_python(value), sort_keys=True, ensure_ascii=False)


class HandedOver(BaseModel, Generic[T]):
    """What came of a conversation that agents have handed to one another."""

    model_config = ConfigDict(frozen=True)

    value: T
    """The answer of the last one."""
    path: list[str]
    """The agents by name, in the order in which they were asked."""
    answers: list[Answer[Any]]
    """What each of them answered: `hand_to` and `answer`."""
    is_done: bool
    """False: `at_most` was reached while the last one wanted to hand over again."""


async def hand_off(
    first: Agent[T],
    prompt: str,
    *,
    among: Sequence[Agent[T]],
    at_most: int = 4,
    name: str = "hand-off",
) -> HandedOver[T]:
    """Ask an agent that may hand the conversation to another one, which may hand it on, `at_most` times.

    Each sees all that was said. Its answer says to whom it hands over, or is the answer.
    Steps in it are named `NAME/NUMBER/AGENT`, the first number is 1.

    Args:
        first: who is asked first.
        prompt: what it is asked.
        among: to whom they may hand over, besides the first.
        at_most: how many are asked.
        name: of the steps.

    Raises:
        ConfigurationError: two agents have one name, or nobody is asked.
        AnswerInvalidError: one answered with neither.
    """
    _at_least_one(at_most)
    agents = {agent.name: agent for agent in (first, *among)}
    if len(agents) != len(among) + 1:
        raise ConfigurationError(
            "Agents that hand over to one another need different names.", setting="among"
        )
    session, answers, path = current_session(), list[Answer[Any]](), [first.name]
    for number in range(1, at_most + 1):
        here = _handing(agents[path[-1]], tuple(other for other in agents if other != path[-1]))
        follows = answers[-1] if answers else None
        asked = prompt if follows is None else f"You have been handed this conversation. {prompt}"
        answers.append(await here.ask(asked, session=session.at(name, number), follows=follows))
        if answers[-1].value.hand_to is None:
            return _handed_over(agents[path[-1]], answers, path, is_done=True)
        path.append(answers[-1].value.hand_to)
    return _handed_over(agents[path[-2]], answers, path[:-1], is_done=False)


def _handed_over(
    agent: Agent[Any], answers: list[Answer[Any]], path: list[str], *, is_done: bool
) -> HandedOver[Any]:
    value = answers[-1].value.answer
    if value is not None and isinstance(agent.kind, OutputSchema):
        value = value.model_dump(mode="json")
    return HandedOver(value=value, path=path, answers=answers, is_done=is_done)


def _handing(agent: Agent[Any], others: tuple[str, ...]) -> Agent[Any]:
    """An agent that may answer with the name of another one."""
    kind: Any = agent.kind.model if isinstance(agent.kind, OutputSchema) else agent.kind
    to: Any = Literal[others] | None if others else None
    fields: dict[str, Any] = {"hand_to": (to, ...), "answer": (kind | None, ...)}
    model = create_model("HandOffOrAnswer", __config__=ConfigDict(extra="forbid"), **fields)
    told = (
        f"{agent.instructions}\n\nIf another one should go on, give its name in hand_to "
        f"({', '.join(others)}) and null as answer. Else give your answer, and null as hand_to."
    )
    return agent.changed(instructions=told.strip(), answer=model)


async def approve(
    question: str,
    *,
    shown: Any = None,
    time_limit: timedelta | None = None,
    at_limit: AtLimit | str = AtLimit.FAIL,
    step: str = "approve",
    patience: timedelta = timedelta(0),
) -> Decision:
    """Have a person decide: approved or rejected, by whom, with which words.

    They decide by `agent-tasks approvals`. Nothing is held while it waits: the session's block ends with
    WaitingForPersonError, and what it made stays. A later try of the same run (a retry of the flow run, a
    script with the same `run`) takes all that is finished from the journal and goes on with the decision.

    Args:
        question: a sentence for the person.
        shown: what they are to look at: a text, a pydantic model, or values that JSON can hold.
        time_limit: how long it waits; None: for ever.
        at_limit: what counts as decided when that is over: `approve`, `reject`, or `fail`.
        step: the step's name.
        patience: how long this process itself waits first.

    Raises:
        WaitingForPersonError: it is not decided yet.
        DecisionExpiredError: nobody decided in time, and `at_limit` says to fail then.
        ConfigurationError: the question is empty, the time limit is no time, or what is shown can't be.
    """
    refuse_pending("approve(...)", question=question, shown=shown)
    check_text("approve(...)", question=question, step=step)
    check_kind("approve(...)", timedelta, "a timedelta", time_limit=time_limit, patience=patience)
    looked_at = _looked_at(shown.value if isinstance(shown, Answer) else shown)

    async def asked(there: Session) -> Decision:
        return await ask_person(
            there.ws,
            owner=there.whose,
            keeper=there.keeper,
            step=there.step(step),
            question=question,
            shown=looked_at,
            time_limit=time_limit,
            at_limit=at_limit,
        )

    session = current_session()
    async for _ in Pauses(*_PATIENCE, within=patience.total_seconds()):
        try:
            return await session.do(asked)
        except WaitingForPersonError as error:
            waiting = error
    raise waiting


def _looked_at(shown: object) -> Any:
    try:
        return to_jsonable_python(shown)
    except (PydanticSerializationError, ValueError) as error:
        raise ConfigurationError(
            f"`shown` of approve(...) can't be shown: {error}. Give it a text, a pydantic model, or "
            "values that JSON can hold.",
            setting="shown",
        ) from error


def _async(whose: str, called: Awaitable[R]) -> Awaitable[R]:
    """What a function gave that is to be async."""
    check_awaitable(whose, [called], "work", "Make it an async function: `async def`.")
    return called


def _at_least_one(at_most: int) -> None:
    if at_most < 1:
        raise ConfigurationError(f"`at_most` must be 1 or more, not {at_most}.", setting="at_most")
