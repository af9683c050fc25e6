"""Agents in flows and tasks: every way to run them, each an example that is run here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.flow_runs import resume_flow_run
from prefect.states import State

from agent_tasks import Agent, AgentsProject, approve, session
from agent_tasks.errors import ConfigurationError, NotAwaitedError, WaitingForPersonError
from agent_tasks.operations.decisions import decide, list_questions
from agent_tasks.prefect.sessions import release_session
from tests.conftest import RunningService, ServiceFactory
from tests.support.team import PYTHON, TASK, TEAM, TURNS, example

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_server")]

LETTERS = ["Your rent is late.", "Happy birthday!"]
KINDS = ["reminder", "greeting"]
RULES: dict[str, Any] = {
    "rules": [
        {"when": {"instructions": "urgent"}, "reply": {"json": {"kind": "reminder", "urgent": True}}},
        {"when": {"message": "rent"}, "reply": {"text": "reminder"}},
        {"when": {"message": "birthday!"}, "reply": {"text": "greeting"}},
    ],
    "default": {"reply": {"text": "A paper that comes with goods."}},
}


@pytest.fixture
def at(service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts a service that is the environment's project."""

    def start(rules: dict[str, Any]) -> RunningService:
        running = service(rules=rules)
        monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
        monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
        return running  # type: ignore[no-any-return]

    return start


def turns(running: RunningService) -> int:
    return len(running.requests("runs.create_thread_and_run")) + len(running.requests("runs.create"))


def left(running: RunningService) -> int:
    """What is there on the service that was not deleted."""
    made = sum(len(running.requests(op)) for op in ("agents.create", "runs.create_thread_and_run"))
    return made - sum(len(running.requests(op)) for op in ("agents.delete", "threads.delete"))


async def test_a_flow_asks_and_leaves_nothing(at: Any) -> None:
    running = at(RULES)
    reading = await example("ask").read_letter(LETTERS[0])
    assert (reading.kind, reading.urgent) == ("reminder", True)
    await example("ask").read_letter(LETTERS[0])
    assert turns(running) == 2, "another flow run asks anew"
    assert left(running) == 0


def test_a_blocking_flow_asks(at: Any) -> None:
    running = at(RULES)
    assert example("blocking").read_letters(LETTERS) == KINDS
    assert turns(running) == 2
    assert left(running) == 0


def test_tasks_are_mapped_over_threads(at: Any) -> None:
    running = at(RULES)
    assert example("task_runner").mapped(LETTERS) == KINDS
    assert len(running.requests("agents.create")) == 1
    assert left(running) == 0


async def test_tasks_are_submitted_and_gathered(at: Any) -> None:
    running = at(RULES)
    program = example("task_runner")
    assert await program.submitted(LETTERS) == KINDS
    assert await program.gathered(LETTERS) == KINDS
    assert left(running) == 0


def test_tasks_run_in_other_processes(at: Any) -> None:
    running = at(RULES)
    assert example("other_processes").read_letters(LETTERS) == KINDS
    assert left(running) == 0


async def test_an_answer_is_streamed_and_a_conversation_goes_on(
    at: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    running = at(RULES)
    await example("streaming").talk()
    assert capsys.readouterr().out.count("comes with goods") == 2
    assert len(running.requests("runs.create")) == 1
    assert left(running) == 0


async def test_tools_are_given_once(at: Any) -> None:
    rules = {
        "rules": [
            {"when": {"instructions": "sell", "tool_results": True}, "reply": {"text": "{{ results[0] }}"}},
            {
                "when": {"instructions": "sell"},
                "reply": {"tool_calls": [{"name": "price_of", "arguments": {"wood": "oak"}}]},
            },
        ]
    }
    running = at(rules)
    assert await example("tools").sell() == "12.5"
    assert left(running) == 0


async def test_cells_of_a_notebook_ask(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells are compiled as a notebook does it, in one namespace, in a loop that runs."""
    import ast
    import inspect

    running = at(RULES)
    names: dict[str, Any] = {}
    for cell in (PYTHON / "notebook.py").read_text(encoding="utf-8").split("# %%"):
        code = compile(cell, "notebook", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, names)  # noqa: S307 - our own example
        if inspect.isawaitable(outcome):
            await outcome
    assert capsys.readouterr().out.count("comes with goods") == 2
    assert left(running) == 0


async def decided(*, approved: bool) -> None:
    async with AgentsProject().workspace() as ws:
        [question] = await list_questions(ws)
        await decide(ws, question.key, approved=approved, by="Ida", note="Too dear.")


LETTERS_TO_ANSWER: dict[str, Any] = {
    "rules": [
        {"when": {"instructions": "polite"}, "reply": {"json": {"answer": True}}},
        {"when": {"tool_results": True}, "reply": {"text": "{{ results[0] }} EUR."}},
    ],
    "default": {"reply": {"tool_calls": [{"name": "price_of", "arguments": {"wood": "oak"}}]}},
}


async def test_fifty_documents_are_answered_and_reviewed(at: Any, tmp_path: Path) -> None:
    running = at(LETTERS_TO_ANSWER)
    for number in range(50):
        (tmp_path / f"{number:02}.txt").write_text(f"What is a board of oak? {number}")
    outcome = await example("documents").answer(str(tmp_path))
    assert list(outcome.values()) == [True] * 50
    assert turns(running) == 100
    assert len(running.requests("agents.create")) == 2
    assert left(running) == 0
    lines = (PYTHON / "documents.py").read_text(encoding="utf-8").partition("\nif __name__")[0].splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_tasks_run_on_dask(at: Any) -> None:
    from prefect_dask import DaskTaskRunner  # it takes half a second, and no other test needs it

    running = at(RULES)
    cluster = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    read = example("other_processes").read_letters
    read = read.with_options(task_runner=DaskTaskRunner(cluster_kwargs=cluster))
    assert read(LETTERS) == KINDS
    assert left(running) == 0


async def test_the_team_works_as_a_flow(at: Any, capsys: pytest.CaptureFixture[str]) -> None:
    running = at(TEAM)
    team = example("team").offer

    async def person() -> None:
        async with AgentsProject().workspace() as ws:
            while not await list_questions(ws):
                await asyncio.sleep(0.1)
        await decided(approved=True)

    deciding = asyncio.create_task(person())
    assert await team.with_options(retries=1, retry_delay_seconds=3)(TASK) == "In short: 250 EUR."
    await deciding
    assert "In short: 250 EUR." in capsys.readouterr().out
    assert turns(running) == TURNS
    assert left(running) == 0
    lines = (PYTHON / "team.py").read_text(encoding="utf-8").splitlines()
    program = [line for line in lines if line.strip()]
    assert len(program) <= 45


async def test_a_flow_run_is_suspended_while_a_person_decides(at: Any) -> None:
    running = at(TEAM)
    team = example("team").offer
    async with get_client() as client:
        deployment = await client.create_deployment(
            flow_id=await client.create_flow(team), name="team", parameters={"task": TASK}
        )
        run = await client.create_flow_run_from_deployment(deployment)
        with pytest.raises(Pause):  # the process of a flow run ends by it
            await run_flow_async(team, flow_run=run, parameters={"task": TASK}, return_type="state")
        suspended = (await client.read_flow_run(run.id)).state
        assert suspended is not None
        assert suspended.is_paused(), suspended
        assert turns(running) == TURNS - 1
        await decided(approved=False)
        await resume_flow_run(run.id)
        run = await client.read_flow_run(run.id)
        state = await run_flow_async(team, flow_run=run, parameters={"task": TASK}, return_type="state")
    assert await state.aresult() == "Not sent: Too dear."
    assert turns(running) == TURNS - 1
    assert left(running) == 0


async def test_a_flow_run_that_a_person_resumes_asks_nothing_twice(at: Any) -> None:
    running = at(RULES)
    send = example("suspended").send_letter
    given = {"to": "Ida"}
    async with get_client() as client:
        deployment = await client.create_deployment(flow_id=await client.create_flow(send), name="letter")
        run = await client.create_flow_run_from_deployment(deployment, parameters=given)
        with pytest.raises(Pause):
            await run_flow_async(send, flow_run=run, parameters=given, return_type="state")
        assert left(running) > 0
        await resume_flow_run(run.id)
        run = await client.read_flow_run(run.id)
        state = await run_flow_async(send, flow_run=run, parameters=given, return_type="state")
    assert await state.aresult() == "A paper that comes with goods."
    assert turns(running) == 2
    assert left(running) == 0


async def test_a_flow_run_that_is_paused_goes_on_in_its_process(at: Any) -> None:
    running = at(RULES)
    send = example("paused").send_letter

    async def person() -> None:
        """Resumes the flow run as soon as it is paused."""
        async with get_client() as client:
            paused = FlowRunFilter(state=FlowRunFilterState(type={"any_": [StateType.PAUSED]}))
            while not (found := await client.read_flow_runs(flow_run_filter=paused)):
                await asyncio.sleep(0.2)
            assert left(running) > 0
            await resume_flow_run(found[0].id)

    resuming = asyncio.create_task(person())
    assert await send("Ida") == "A paper that comes with goods."
    await resuming
    assert turns(running) == 2
    assert left(running) == 0


async def test_a_script_goes_on_in_its_run_when_a_person_has_decided(at: Any) -> None:
    running = at(RULES)
    helper = Agent("helper")

    async def script() -> str:
        async with session(owner="script", run="monday"):
            answer = await helper.ask("Hello?")
            decision = await approve("Go on?", shown=answer)
            return f"{decision.by}: {decision.approved}"

    with pytest.raises(WaitingForPersonError, match="agent-tasks approvals"):
        await script()
    assert left(running) == 2
    await decided(approved=True)
    assert await script() == "Ida: True"
    assert turns(running) == 1
    assert left(running) == 0


async def test_a_flow_that_does_not_show_its_turns_makes_no_rows(at: Any) -> None:
    at(RULES)

    @flow
    async def quiet() -> int:
        async with session(tasks=False):
            await Agent("helper").ask("Hello?")
        return 1

    state: State[int] = await quiet(return_state=True)
    assert state.state_details.flow_run_id is not None
    one = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    async with get_client() as client:
        assert await client.read_task_runs(flow_run_filter=one) == []


async def test_what_a_killed_flow_run_left_is_released_by_its_hook(at: Any) -> None:
    running = at(RULES)
    hook = release_session()

    @flow(name="some flow", on_failure=[hook])
    async def killed() -> None:
        async with session(keep=True):  # as if nobody had come to release it
            await Agent("helper").ask("Hello?")
        raise ValueError("killed")

    await killed(return_state=True)
    assert turns(running) == 1
    assert left(running) == 0


async def test_a_retried_flow_run_pays_nothing_twice(at: Any) -> None:
    running = at(RULES)
    agent = Agent("helper")
    tries: list[str] = []

    @flow(retries=2, retry_delay_seconds=0)
    async def shaky() -> str:
        async with session():
            answer = await agent.ask("Hello?")
            tries.append(answer.value)
            if len(tries) < 3:
                raise ValueError("not yet")
            return (await agent.ask("And?", follows=answer)).value

    await shaky()
    assert len(tries) == 3
    assert turns(running) == 2
    assert len(running.requests("agents.create")) == 1
    assert left(running) == 0


async def test_a_retried_task_pays_nothing_twice_and_a_failed_flow_leaves_nothing(at: Any) -> None:
    running = at(RULES)
    agent = Agent("helper")
    tries: list[int] = []

    @task(retries=1, retry_delay_seconds=0)
    async def shaky() -> str:
        async with session():
            tries.append(len((await agent.ask("Hello?")).turns))
            raise ValueError("never")

    @flow
    async def failing() -> None:
        async with session():
            await shaky()

    with pytest.raises(ValueError, match="never"):
        await failing()
    assert len(tries) == 2
    assert turns(running) == 1
    assert left(running) == 0


async def test_a_task_without_a_flow_pays_nothing_twice(at: Any) -> None:
    running = at(RULES)
    tries: list[str] = []

    @task(retries=1, retry_delay_seconds=0)
    async def alone() -> None:
        async with session():
            tries.append((await Agent("helper").ask("Hello?")).value)
        if len(tries) == 1:
            raise ValueError("not yet")

    await alone()
    assert len(tries) == 2
    assert turns(running) == 1
    assert left(running) == 0


async def test_what_may_be_reused_is_asked_once_and_what_is_kept_stays(at: Any) -> None:
    running = at(RULES)
    agent = Agent("helper")

    @flow
    async def ask(keep: bool) -> bool:
        async with session(reuse=True, keep=keep):
            return (await agent.ask("Hello?")).reused

    assert [await ask(True), await ask(False)] == [False, True]
    assert turns(running) == 1
    assert left(running) == 2


async def test_a_turn_is_shown_on_the_dashboard(at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    at(RULES)
    agent = Agent("helper")

    @flow
    async def shown(question: str) -> None:
        async with session():
            await agent.ask(question)

    async def artifacts(state: State[Any]) -> tuple[list[str], list[str]]:
        run = state.state_details.flow_run_id
        assert run is not None
        async with get_client() as client:
            for _ in range(100):
                one = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
                tasks = await client.read_task_runs(flow_run_filter=one)
                if tasks and tasks[0].state and tasks[0].state.is_completed():
                    break
                await asyncio.sleep(0.2)
            found = await client.read_artifacts(
                artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
            )
        return [one.name for one in tasks], [str(one.data) for one in found]

    names, [text] = await artifacts(await shown("password=hunter2 What?", return_state=True))
    assert names == ["helper by helper"]
    for said in ("What?", "A paper that comes with goods.", "tokens", "model", "conversation"):
        assert said in text
    assert "hunter2" not in text
    monkeypatch.setenv("AGENT_TASKS_SHOW_CONTENT", "false")
    _, [text] = await artifacts(await shown("Is this a secret?", return_state=True))
    assert "secret" not in text
    assert "tokens" in text


async def test_a_session_needs_an_owner_outside_of_flows(at: Any) -> None:
    at(RULES)
    with pytest.raises(ConfigurationError, match="needs an owner"):
        async with session():
            pass


async def test_a_durable_task_without_await_is_told_of(at: Any) -> None:
    from agent_tasks import AgentSpec, AgentsProject, TurnSpec
    from agent_tasks.prefect import tasks

    at(RULES)
    spec = AgentSpec(name="helper", model="m", instructions="Help.")
    agent: Any = tasks.ensure_agent(AgentsProject(), spec, owner="o")
    with pytest.raises(NotAwaitedError, match="ensure_agent"):
        _ = agent.id
    with pytest.raises(NotAwaitedError, match="`agent`"):
        TurnSpec(step="s", agent=agent, prompt="p", owner="o")
