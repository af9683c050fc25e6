"""Turns of agents that nobody here has made, such as workflows: asked once, found again, continued."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.errors import ConfigurationError, RunFailedError
from agent_tasks.operations import TurnSpec, Workspace, existing_agent, run_turn
from agent_tasks.settings import ServiceKind
from tests.conftest import ServiceFactory
from tests.emulator.responses.helpers import RULES, Wire
from tests.emulator.workflows.teaching import ANSWERS, actions, declare, lesson
from tests.support.service import RunningService

QUESTION = actions(
    "{kind: Question, id: ask, variable: Local.Name, prompt: 'Whose?'}",
    "{kind: SendActivity, activity: 'Of {Local.Name}.'}",
)


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    return service(rules={**RULES, "rules": [*ANSWERS, *RULES["rules"]]})


@pytest.fixture
def api(running: RunningService) -> Wire:
    return Wire(running, httpx.Client(base_url=running.endpoint, timeout=20))


@asynccontextmanager
async def workspace(running: RunningService, folder: Path) -> AsyncIterator[Workspace]:
    journal = f"sqlite+aiosqlite:///{folder}/journal.db"
    kind = ServiceKind.RESPONSES
    async with Workspace.open(running.endpoint, None, journal, scope="flows", service=kind) as ws:
        yield ws


def asked(agent: str, prompt: str, **more: Any) -> TurnSpec:
    return TurnSpec(step="ask", agent=existing_agent(agent), prompt=prompt, owner="o", **more)


def responses_of(api: Wire) -> list[Any]:
    listed: list[Any] = api.call("GET", "/openai/v1/responses")["data"]
    return listed


async def test_a_workflow_is_asked_once_and_its_actions_pass(
    running: RunningService, api: Wire, tmp_path: Path
) -> None:
    lesson(api, "flow")
    told: list[str] = []
    async with workspace(running, tmp_path) as ws:
        result = await run_turn(ws, asked("flow:1", "1 + 1 = ?"), on_text=told.append)
        again = await run_turn(ws, asked("flow:1", "1 + 1 = ?"))
    assert result.text == "".join(told) == "Correct! 1 + 1 = 2. [COMPLETE]"
    assert result.turn_id.startswith("wfresp_")
    assert (again.turn_id, again.text) == (result.turn_id, result.text)
    assert [one["id"] for one in responses_of(api)] == [result.turn_id]


async def test_a_workflow_whose_answer_was_lost_is_found_by_its_mark(
    running: RunningService, api: Wire, tmp_path: Path
) -> None:
    lesson(api, "flow")
    when = {"method": "POST", "path": "/openai/v1/responses"}
    api.faults({"when": when, "then": {"lose_answer": True}, "count": 1})
    async with workspace(running, tmp_path) as ws:
        result = await run_turn(ws, asked("flow:1", "1 + 1 = ?"))
    assert result.text == "Correct! 1 + 1 = 2. [COMPLETE]"
    assert len(responses_of(api)) == 1


async def test_a_question_of_a_workflow_is_answered_by_the_next_turn(
    running: RunningService, api: Wire, tmp_path: Path
) -> None:
    declare(api, "asks", QUESTION)
    async with workspace(running, tmp_path) as ws:
        first = await run_turn(ws, asked("asks:1", "A letter."))
        answer = asked("asks:1", "Ann", conversation=first.conversation, after=first.key)
        second = await run_turn(ws, answer)
    assert (first.text, second.text) == ("Whose?", "Of Ann.")


async def test_a_workflow_that_fails_says_at_which_action(
    running: RunningService, api: Wire, tmp_path: Path
) -> None:
    declare(api, "breaks", actions("{kind: SetVariable, id: halve, variable: Local.A, value: =1 / 0}"))
    async with workspace(running, tmp_path) as ws:
        with pytest.raises(
            RunFailedError, match=r"The action `halve` .SetVariable. failed: a division by zero"
        ):
            await run_turn(ws, asked("breaks:1", "Go."))


async def test_an_agent_of_another_version_is_another_question(
    running: RunningService, api: Wire, tmp_path: Path
) -> None:
    api.agent("clerk", instructions="who one")
    api.agent("clerk", instructions="who two")
    async with workspace(running, tmp_path) as ws:
        texts = [(await run_turn(ws, asked(f"clerk:{version}", "who"))).text for version in (1, 2)]
    assert texts == ["who one", "who two"]


def test_an_existing_agent_has_an_id() -> None:
    with pytest.raises(ConfigurationError, match="blank"):
        existing_agent(" ")
