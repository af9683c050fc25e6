"""An agent is asked once, answers in its type, and has a bad answer repaired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from agent_tasks.errors import AnswerInvalidError, ConfigurationError, RunIncompleteError
from agent_tasks.operations import release_owner
from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema
from agent_tasks.steps import Agent, Session
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace


class Plan(BaseModel):
    questions: list[str]


@dataclass
class Size:
    width: int
    height: int


class Person(TypedDict):
    name: str


def says(*texts: str) -> dict[str, Any]:
    """An agent that gives one text after the other; the last one again and again."""
    rules = [{"when": {"call": 1}, "reply": {"text": text}} for text in texts[:-1]]
    return {"rules": rules, "default": {"reply": {"text": texts[-1]}}}


def session(ws: Any, run: str | None = "one", **more: Any) -> Session:
    return Session(ws, owner="flow", run=run, model="scripted", **more)


async def test_the_same_question_is_asked_once_in_a_run(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    agent = Agent("helper", instructions="Help.")
    async with open_workspace(running) as ws:
        first = await agent.ask("Hello?", session=session(ws))
        again = await agent.ask("Hello?", session=session(ws))
        other = await agent.ask("Hello?", session=session(ws), step="second")
    assert first.value == again.value == "Hello from the scripted model."
    assert (first.reused, again.reused, other.reused) == (False, True, False)
    assert first.usage.total_tokens > 0
    assert len(running.requests("runs.create_thread_and_run")) == 2
    assert len(running.requests("agents.create")) == 1


async def test_an_answer_from_the_journal_needs_no_agent(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    agent = Agent("helper")
    async with open_workspace(running) as ws:
        here = session(ws)
        await agent.ask("Hello?", session=here)
        await release_owner(ws, here.root)
        await agent.ask("Hello?", session=session(ws))
    assert len(running.requests("agents.create")) == 1


async def test_another_run_asks_anew_unless_it_may_reuse(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    agent = Agent("helper")
    async with open_workspace(running) as ws:
        for run in ("one", "two"):
            assert not (await agent.ask("Hello?", session=session(ws, run))).reused
        kept = [await agent.ask("Hi?", session=session(ws, run), reuse=True) for run in ("one", "two")]
        owners = {r.owner for r in await ws.journal.resources.live(ws.scope, kind="conversation")}
    assert [answer.reused for answer in kept] == [False, True]
    assert owners == {"flow:one", "flow:two"}
    assert len(running.requests("runs.create_thread_and_run")) == 3


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Plan, '{"questions": ["Who?"]}', Plan(questions=["Who?"])),
        (Size, '{"width": 2, "height": 3}', Size(2, 3)),
        (Person, '{"name": "Ida"}', {"name": "Ida"}),
        (list[str], '{"answer": ["a", "b"]}', ["a", "b"]),
        (bool, '{"answer": true}', True),
        (Literal["yes", "no"], '{"answer": "no"}', "no"),
        (OutputSchema("out", {"total": FieldSpec(type="number")}), '{"total": 1.5}', {"total": 1.5}),
    ],
)
async def test_an_answer_has_its_type(
    service: ServiceFactory, open_workspace: OpenWorkspace, kind: Any, text: str, value: Any
) -> None:
    running = service(rules=says(text))
    async with open_workspace(running) as ws:
        answer = await Agent("typed", answer=kind).ask("?", session=session(ws))
    assert answer.value == value
    assert type(answer.value) is type(value)
    [made] = running.requests("agents.create")
    assert made["body"]["response_format"]["json_schema"]["schema"]["type"] == "object"


async def test_a_bad_answer_is_repaired_in_its_conversation(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=says('{"questions": "Who?"}', '{"questions": ["Who?"]}'))
    async with open_workspace(running) as ws:
        answer = await Agent("planner", answer=Plan).ask("Plan it.", session=session(ws))
    assert answer.value == Plan(questions=["Who?"])
    assert [turn.step for turn in answer.turns] == ["planner", "planner-repair-1"]
    assert answer.usage.total_tokens == sum(turn.usage.total_tokens for turn in answer.turns)
    assert len(running.requests("threads.create")) == 0
    assert "questions" in answer.history[1].prompt


async def test_an_answer_that_stays_bad_is_an_error_with_its_text(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=says("No."))
    agent = Agent("planner", answer=Plan, repair_turns=2)
    async with open_workspace(running) as ws:
        with pytest.raises(AnswerInvalidError, match=r"planner.*Plan.*3 turn") as caught:
            await agent.ask("Plan it.", session=session(ws))
        answer = await agent.ask("Plan it.", session=session(ws), on_invalid="return")
    assert caught.value.answer == answer.text == "No."
    assert answer.value is None
    assert answer.errors
    assert answer.reused


async def test_an_answer_is_repaired_when_its_conversation_is_gone(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules=says("My dog has no nose."))
    agent = Agent("helper")
    async with open_workspace(running) as ws:
        here = session(ws)
        first = await agent.ask("Tell me.", session=here)
        await ws.backend.delete("conversation", first.conversation)
        second = await agent.ask("How does he smell?", follows=first, session=here)
        again = await agent.ask("How does he smell?", follows=first, session=session(ws))
    assert second.conversation != first.conversation
    assert [said.prompt for said in second.history] == ["Tell me.", "How does he smell?"]
    assert again.reused
    sent = running.requests("runs.create_thread_and_run")[-1]["body"]["thread"]["messages"][0]["content"]
    assert "Tell me." in str(sent)
    assert "no nose" in str(sent)


async def test_the_next_model_is_asked_where_one_gives_no_valid_answer(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    rules = {
        "rules": [{"when": {"model": "good"}, "reply": {"text": '{"questions": []}'}}],
        "default": {"reply": {"text": "No."}},
    }
    running = service(rules=rules)
    agent = Agent("planner", answer=Plan, model="bad", fallback_models=["good"], repair_turns=0)
    async with open_workspace(running) as ws:
        answer = await agent.ask("Plan it.", session=session(ws))
        again = await agent.ask("Plan it.", session=session(ws))
    assert answer.value == Plan(questions=[])
    assert [turn.model for turn in answer.turns] == ["bad", "good"]
    assert again.reused
    assert [turn.model for turn in again.turns] == ["good"]


async def test_functions_are_called_and_told_of(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    def lookup(name: str) -> str:
        """Look a name up."""
        return f"found {name}"

    rules = {"default": {"reply": {"text": "It is {{ results[0] }}."}}, "rules": [
        {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "lookup", "arguments": {"name":
        "Oak"}}]}},
    ]}  # fmt: skip
    running = service(rules=rules)
    async with open_workspace(running) as ws:
        answer = await Agent("clerk", tools=[lookup]).ask("Who?", session=session(ws))
    assert answer.value == "It is found Oak."
    assert [call.name for call in answer.tool_calls] == ["lookup"]


async def test_an_agent_that_somebody_deleted_is_made_again(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    agent = Agent("helper")
    async with open_workspace(running) as ws:
        here = session(ws)
        await agent.ask("One?", session=here)
        [made] = await ws.journal.resources.live(ws.scope, kind="agent")
        await ws.backend.delete("agent", made.remote_id)
        await agent.ask("Two?", session=here)
    assert len(running.requests("agents.create")) == 2


async def test_many_are_asked_at_once_and_steps_have_paths(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service()
    agent = Agent("judge")
    async with open_workspace(running) as ws:
        here = session(ws)
        with here.entered():
            answers = await asyncio.gather(*(agent.ask("?", session=here.at("clauses", n)) for n in range(5)))
            here_too = await agent.ask("?")
    assert [answer.step for answer in answers] == [f"clauses/{n}/judge" for n in range(5)]
    assert here_too.step == "judge"
    assert len(running.requests("agents.create")) == 1


async def test_an_agent_needs_a_session_a_model_and_a_possible_answer() -> None:
    with pytest.raises(ConfigurationError, match="outside of any session"):
        await Agent("helper").ask("?")
    with pytest.raises(ConfigurationError, match="names no model"):
        await Agent("helper").ask("?", session=Session(object(), owner="x"))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="mapping"):
        Agent("helper", answer=dict[str, int])
    with pytest.raises(ConfigurationError, match="may be anything"):
        Agent("helper", answer=object)
    with pytest.raises(ConfigurationError, match="can't answer with"):
        Agent("helper", answer=pytest.Config)


async def test_an_answer_that_is_cut_off_says_whose_limit_it_was(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"text": "On and on"}, "finish": "length"}})
    async with open_workspace(running) as ws:
        for agent, limit in (
            (Agent("free"), "the model's own; none was set on the agent"),
            (Agent("bound", max_completion_tokens=300), "max_completion_tokens=300 of the agent"),
        ):
            with pytest.raises(RunIncompleteError, match=limit) as caught:
                await agent.ask("?", session=session(ws))
            assert caught.value.run_id
            assert caught.value.reason
