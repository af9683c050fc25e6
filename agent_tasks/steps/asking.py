"""Asking an agent: the question, its repairs, other models. Each turn is sent once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.errors import (
    ConfigurationError,
    NotFoundError,
    RunCancelledError,
    RunContentFilteredError,
    RunFailedError,
    RunIncompleteError,
    ServiceError,
)
from agent_tasks.logs import get_logger
from agent_tasks.operations import (
    AgentSpec,
    ImageInput,
    RemoteAgent,
    TurnResult,
    TurnSpec,
    Usage,
    finished_turn,
    turn_key,
    upload_file,
)
from agent_tasks.pending import refuse_pending
from agent_tasks.steps.answer_types import AnswerType
from agent_tasks.steps.answers import Answer, Exchange, TurnRecord
from agent_tasks.steps.checks import check_callable, check_kind, check_text
from agent_tasks.steps.scans import ShownImage
from agent_tasks.steps.session import OnText, Session
from agent_tasks.tools import ToolSet

__all__ = ["Question", "ask", "check_question", "repair_text"]

logger = get_logger("agent_tasks.steps")


def repair_text(errors: Sequence[str]) -> str:
    """What an agent is told of an answer that does not fit."""
    listed = "\n".join(f"- {error}" for error in errors)
    return f"Your answer is not valid:\n{listed}\nAnswer again, in full, in the shape that was asked for."


@dataclass(frozen=True)
class Question:
    """All that determines an answer, besides the session."""

    name: str
    """The agent's name."""
    specs: Mapping[str, AgentSpec]
    """The agent with each model deployment that is asked: the first one first, the others where it gives no
    valid answer. Stores and files by their keys alone."""
    made: Callable[[Session, AgentSpec], Awaitable[AgentSpec]]
    """Such a specification with what it needs on the service made."""
    answer: AnswerType[Any]
    prompt: str
    step: str
    """The step's whole name."""
    tools: ToolSet
    images: tuple[ShownImage, ...] = ()
    earlier_images: tuple[ShownImage, ...] = ()
    """What the conversation that it goes on with may have shown."""
    """What the prompt shows; repairs go on in its conversation."""
    follows: Answer[Any] | None = None
    """The answer whose conversation goes on."""
    tool_choice: dict[str, Any] | str | None = None
    max_completion_tokens: int | None = None
    deadline: float = 600.0
    repair_turns: int = 1
    repair_prompt: Callable[[Sequence[str]], str] = repair_text
    """What the agent is told of errors in its answer."""
    repair_step: str = "{step}-repair-{n}"
    """Names of repairing turns."""
    reuse: bool = False
    """Whether the answer of another run of the owner may be taken."""
    on_text: OnText | None = None


def check_question(
    call: str,
    prompt: object,
    session: object,
    step: object,
    follows: object,
    on_text: object,
    on_invalid: object,
) -> None:
    """Refuse what an agent can't be asked with.

    Raises:
        ConfigurationError: names the argument.
    """
    refuse_pending(call, prompt=prompt, follows=follows, session=session)
    check_text(call, may_be_empty=True, prompt=prompt)
    check_text(call, optional=True, step=step)
    check_kind(call, Session, "a session, as `async with session(...) as work` gives it", session=session)
    check_kind(call, Answer, "an Answer, as `await agent.ask(...)` gives it", follows=follows)
    check_callable(call, on_text=on_text)
    if on_invalid not in ("raise", "return"):
        raise ConfigurationError(f"`on_invalid` of {call} must be 'raise' or 'return'.", setting="on_invalid")


async def ask(session: Session, question: Question) -> Answer[Any]:
    """Ask until an answer fits, or nobody is left to ask.

    Returns:
        The answer. One that does not fit after all repairs and models has `errors`.

    Raises:
        RunFailedError: the turn of the last model ended without an answer.
        AgentTasksError: what else `run_turn` raises.
    """
    first = await _where_it_stands(session, question)
    turns: list[TurnRecord] = []
    models = list(question.specs)
    for position, model in enumerate(models[first:], first):
        is_last = position == len(models) - 1
        attempt = _Attempt(session, question, model, turns)
        try:
            answer = await attempt.answer()
        except RunCancelledError:
            raise
        except (RunFailedError, ServiceError) as error:
            if is_last or (isinstance(error, ServiceError) and error.retryable):
                raise
            logger.warning("Step %r asks the next model after %s: %s", question.step, model, error)
            continue
        if not answer.errors or is_last:
            return answer
        logger.warning("Step %r asks the next model: the answer of %s is not valid", question.step, model)
    raise AssertionError("a question has at least one model")


async def _where_it_stands(session: Session, question: Question) -> int:
    """The last of the models whose turn was begun before: what failed before it is not paid for again."""
    models = list(question.specs)
    for position in range(len(models) - 1, 0, -1):
        attempt = _Attempt(session, question, models[position], [])
        key = turn_key(attempt.turn(question.step, question.prompt, question.follows, images=question.images))
        if await session.ws.journal.operations.get(session.ws.scope, key) is not None:
            return position
    return 0


@dataclass
class _Attempt:
    """Asking one model."""

    session: Session
    question: Question
    model: str
    turns: list[TurnRecord]
    calls: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._spec = self.question.specs[self.model]
        self._key = self.session.key_of(self._spec)

    async def answer(self) -> Answer[Any]:
        """Ask, and have an answer repaired that does not fit."""
        question = self.question
        before = question.follows.history if question.follows is not None else []
        answer = await self._asked(question.step, question.prompt, question.follows, before)
        repairs = 0
        while answer.errors and repairs < question.repair_turns:
            repairs += 1
            step = question.repair_step.format(step=question.step, n=repairs)
            prompt = question.repair_prompt(answer.errors)
            answer = await self._asked(step, prompt, answer, answer.history, is_repair=True)
        return answer

    async def _asked(
        self,
        step: str,
        prompt: str,
        follows: Answer[Any] | None,
        history: list[Exchange],
        *,
        is_repair: bool = False,
    ) -> Answer[Any]:
        choice = self.question.tool_choice
        try:
            # What its tools said is in the conversation; a forced call would only be made again.
            repair_choice = "none" if len(self.question.tools) else None
            shown = () if is_repair else self.question.images
            turn = self.turn(step, prompt, follows, repair_choice if is_repair else choice, shown)
            result = await self._run(turn)
        except NotFoundError:
            if follows is None or await self.session.ws.exists("conversation", follows.conversation):
                raise
            # Deleted with an earlier run: what was said there is told in a new conversation.
            told = "\n\n".join([*(part for said in history for part in (said.prompt, said.text)), prompt])
            result = await self._run(self.turn(step, told, None, choice, self.question.images))
        return self._answer(step, prompt, result, history)

    def turn(
        self,
        step: str,
        prompt: str,
        follows: Answer[Any] | None,
        tool_choice: dict[str, Any] | str | None = None,
        images: Sequence[ShownImage] = (),
    ) -> TurnSpec:
        """A turn of this agent, which need not be there yet."""
        session, question = self.session, self.question
        reuse = question.reuse or session.reuse
        return TurnSpec(
            step=step,
            agent=RemoteAgent(id="", key=self._key, name=question.name),
            prompt=prompt,
            images=tuple(shown.to_send() for shown in images),
            earlier_images=tuple(shown.to_send() for shown in (*question.images, *question.earlier_images)),
            conversation=follows.conversation if follows is not None else None,
            after=follows.key if follows is not None else None,
            tool_choice=tool_choice,
            max_completion_tokens=question.max_completion_tokens,
            deadline=question.deadline,
            owner=session.owner if reuse else session.whose,
            keeper=session.keeper,
            ttl=session.ttl,
        )

    async def _run(self, turn: TurnSpec) -> TurnResult:
        """The result of a turn: from the journal, or else of the agent, which is made when it is needed."""
        session = self.session
        result = None
        if not session.knows(self._key):
            result = await finished_turn(session.ws, turn)
        if result is None:
            try:
                result = await self._sent(turn)
            except NotFoundError:
                agent = await session.agent(self._key, self._made)
                if await session.ws.backend.exists("agent", agent.id):
                    raise
                session.forget(self._key)  # somebody else deleted it: make it anew
                result = await self._sent(turn)
        result = result.model_copy(update={"usage": result.usage.of_model(self.model)})
        record = TurnRecord(
            step=turn.step,
            turn_id=result.turn_id,
            agent=self.question.name,
            model=self.model,
            usage=result.usage,
            attempts=result.attempts,
            reused=result.reused,
            seconds=result.seconds,
        )
        self.turns.append(record)
        self.calls += result.tool_calls
        if session.on_turn is not None:
            session.on_turn(record, result)
        return result

    async def _sent(self, turn: TurnSpec) -> TurnResult:
        agent = await self.session.agent(self._key, self._made)
        there = turn.model_copy(update={"agent": agent, "images": await self._uploaded(turn)})
        # Pieces of a second text would follow those of the first without a sign.
        on_text = None if self.turns else self.question.on_text
        try:
            return await self.session.turn(
                there, model=self.model, tools=self.question.tools or None, on_text=on_text
            )
        except RunContentFilteredError:
            raise
        except RunIncompleteError as error:
            raise self._cut_off(turn.step, error) from error

    async def _uploaded(self, turn: TurnSpec) -> tuple[ImageInput, ...]:
        """The images of a turn on the service: each a file of the document's, removed with it.

        A service that keeps no conversations is sent them with each request.
        """
        ws, found = self.session.ws, []
        if not ws.backend.capabilities.keeps_conversations:
            return turn.images
        making = {shown.image.key: shown.content for shown in self.question.images}
        for image in turn.images:
            content = await making[image.key]()
            file = await upload_file(
                ws, content, image.name, purpose="vision", owner=turn.kept_by, ttl=turn.ttl
            )
            found.append(image.model_copy(update={"file_id": file.id}))
        return tuple(found)

    def _cut_off(self, step: str, error: RunIncompleteError) -> RunIncompleteError:
        """The error with whose limit it was."""
        limit = self.question.max_completion_tokens
        whose = (
            f"max_completion_tokens={limit} of the agent: raise it"
            if limit is not None
            else "the model's own; none was set on the agent: take a model that writes longer answers"
        )
        return RunIncompleteError(
            f"The answer of {self.question.name} in step {step!r} was cut off "
            f"({error.reason or 'no reason given'}, turn {error.run_id}). The limit was {whose}, or have it "
            "answer shorter in its instructions.",
            run_id=error.run_id,
            thread_id=error.thread_id,
            code=error.code,
            reason=error.reason,
        )

    async def _made(self) -> AgentSpec:
        return await self.question.made(self.session, self._spec)

    def _answer(self, step: str, prompt: str, result: TurnResult, history: list[Exchange]) -> Answer[Any]:
        value, errors = self.question.answer.parse(result.text)
        return Answer(
            value=value,
            text=result.text,
            agent=self.question.name,
            step=step,
            key=result.key,
            conversation=result.conversation,
            errors=errors,
            usage=sum((turn.usage for turn in self.turns), start=Usage()),
            citations=result.citations,
            tool_calls=list(self.calls),
            turns=list(self.turns),
            history=[*history, Exchange(prompt=prompt, text=result.text)],
        )
