"""What a project tells of itself (`agent-tasks doctor --live`), and what the backend makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.backends.opening import LIVE, open_backend, read_live
from agent_tasks.backends.responses import FOUNDRY, ResponsesBackend
from agent_tasks.backends.responses.backend import capabilities_of
from agent_tasks.backends.responses.live import LiveAnswers, with_answers
from agent_tasks.doctor.findings import Finding, Status
from agent_tasks.doctor.service import Target, check_service
from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import Journal
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.settings import ServiceKind, Settings
from agent_tasks.testing import ServiceLog
from tests.conftest import ServiceFactory
from tests.support.service import HELLO

RULES = {
    "rules": [
        {"when": {"message": "^Write the numbers"}, "reply": {"text": "one"}, "delay": 2},
        {
            "when": {"message": "^What is the status", "tool_results": False},
            "reply": {"tool_calls": [{"name": "get_status", "arguments": {"name": "x"}}]},
        },
    ],
    **HELLO,
}


async def test_the_local_service_answers_every_question_and_nothing_is_left(
    service: ServiceFactory, tmp_path: Path
) -> None:
    running = service(rules=RULES)
    settings = Settings(
        project_endpoint=running.endpoint, state_dir=tmp_path, service="responses", model_deployment_name="m"
    )
    found = [one async for one in check_service(Target(running.endpoint, settings, live=True))]
    assert [one for one in found if one.status is Status.FAILED] == []
    told = read_live(running.endpoint, tmp_path / LIVE)
    assert told is not None
    assert [name for name, value in told.model_dump().items() if value is None] == []
    assert (told.lists_running, told.locks, told.keeps_metadata, told.background) == (True,) * 4
    assert ServiceLog(running.endpoint).verdict()["left_over"]["count"] == 0
    async with open_backend(running.endpoint, None, ServiceKind.RESPONSES, told) as backend:
        assert backend.capabilities.turns_once
    assert _detail(found, "service").startswith("It is Foundry agents (responses). Functions are called once")
    assert "2027-03-31" in _detail(found, "retirement")


@pytest.mark.parametrize(
    ("told", "once"),
    [
        ({}, True),
        ({"lists_running": False, "locks": True}, True),
        ({"shows_after": 9.0, "locks": True}, True),
        ({"lists_running": False, "locks": False}, False),
        ({"shows_after": 9.0, "locks": False}, False),
        ({"keeps_metadata": False, "locks": True}, False),
    ],
    ids=lambda value: str(value),
)
def test_what_is_promised_follows_from_what_was_told(told: dict[str, Any], once: bool) -> None:
    can = capabilities_of(with_answers(FOUNDRY, LiveAnswers(**told)))
    assert can.turns_once is once
    assert ("twice" in can.guarantee) is not once


async def test_what_was_told_is_asked_for_again_when_it_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / LIVE
    file.write_text(json.dumps({"http://x": {"locks": "perhaps"}}))
    with pytest.raises(ConfigurationError, match="Remove it"):
        read_live("http://x", file)


class Forgetful(httpx.AsyncHTTPTransport):
    """The way to a service that keeps no metadata of responses, and loses an answer."""

    lose = False
    asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path.endswith("/responses"):
            self.asked += 1
            body = {**json.loads(await request.aread()), "metadata": {}}
            request = httpx.Request("POST", request.url, json=body, extensions=request.extensions)
            if self.lose:
                self.lose = False
                answer = await super().handle_async_request(request)
                await answer.aread()
                await answer.aclose()
                raise httpx.ReadError("the answer was lost", request=request)
        return await super().handle_async_request(request)


async def test_a_lost_response_without_metadata_is_found_in_its_own_conversation(
    service: ServiceFactory, tmp_path: Path
) -> None:
    way = Forgetful()
    way.lose = True
    told = LiveAnswers(keeps_metadata=False)
    async with (
        Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as journal,
        ResponsesBackend.of_project(service().endpoint, None, told=told, transport=way) as backend,
    ):
        ws = Workspace(backend, journal, scope="test")
        agent = await ensure_agent(ws, AgentSpec(name="a", model="m", instructions="Hi."), owner="o")
        result = await run_turn(ws, TurnSpec(step="ask", agent=agent, prompt="Hello", owner="o"))
    assert result.text == HELLO["default"]["reply"]["text"]
    assert way.asked == 1


def _detail(found: list[Finding], check: str) -> str:
    return next(one.detail for one in found if one.check == check)
