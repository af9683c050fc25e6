"""A session works from every thread and event loop, and in other processes."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from agent_tasks.errors import AnswerInvalidError, ConfigurationError
from agent_tasks.operations import Workspace
from agent_tasks.operations.sweep import sweep
from agent_tasks.steps import Agent, Session, current_session
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import session


@dataclass(frozen=True)
class Opener:
    """Opens the journal and service of a test."""

    endpoint: str
    journal: str

    @property
    def key(self) -> Hashable:
        return self

    def workspace(self) -> AbstractAsyncContextManager[Workspace]:
        return Workspace.open(self.endpoint, None, self.journal, scope="test")


async def test_another_loop_asks_at_home(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    """Where the workspace is all there is, its own event loop does the work."""
    seen: list[Any] = []

    def look() -> str:
        """Look who calls."""
        seen.append(threading.current_thread())
        return "seen"

    running = service(
        rules={
            "rules": [
                {
                    "when": {"tool_results": False},
                    "reply": {"tool_calls": [{"name": "look", "arguments": {}}]},
                }
            ],
            "default": {"reply": {"text": "Hello."}},
        }
    )
    agent = Agent("helper", tools=[look])
    async with open_workspace(running) as ws:
        here = session(ws)
        with pytest.raises(ConfigurationError, match="own event loop"):
            agent.ask_sync("?", session=here)
        texts = [
            (await asyncio.to_thread(lambda: agent.ask_sync("One?", session=here))).value,
            (await asyncio.to_thread(lambda: asyncio.run(_asked(agent, here)))),
        ]
        with pytest.raises(ConfigurationError, match="another process"):
            pickle.dumps(here)
    assert texts == ["Hello.", "Hello."]
    assert len(seen) == 2


async def _asked(agent: Agent[str], here: Session) -> str:
    return (await agent.ask("Two?", session=here)).value


async def test_a_session_of_a_project_works_anywhere(service: ServiceFactory, tmp_path: Any) -> None:
    running = service()
    opener = Opener(running.endpoint, f"sqlite+aiosqlite:///{tmp_path}/journal.db")
    here = Session(None, owner="flow", run="one", model="scripted", opener=opener)
    agent = Agent("helper")
    there = pickle.loads(pickle.dumps(here.at("deeper")))  # noqa: S301 - our own
    assert (there.whose, there.step("helper"), there.model) == ("flow:one", "deeper/helper", "scripted")
    answers = await asyncio.gather(
        agent.ask("One?", session=here),
        asyncio.to_thread(lambda: agent.ask_sync("Two?", session=here)),
        asyncio.to_thread(lambda: agent.ask_sync("Three?", session=there)),
        asyncio.to_thread(lambda: asyncio.run(_asked(agent, here))),
    )
    assert len(answers) == 4
    assert len(running.requests("runs.create_thread_and_run")) == 3, "One? and Two? (twice) and Three?"
    assert len(running.requests("agents.create")) == 1


async def test_a_blocking_caller_that_is_interrupted_gives_the_turn_up(
    service: ServiceFactory, tmp_path: Any
) -> None:
    running = service(rules={"default": {"reply": {"text": "Late."}, "delay": 20}})
    opener = Opener(running.endpoint, f"sqlite+aiosqlite:///{tmp_path}/journal.db")
    here = Session(None, owner="flow", run="one", model="scripted", opener=opener)

    async def given_up(there: Session) -> str:
        async with asyncio.timeout(3):
            return (await Agent("helper").ask("?", session=there)).value

    with pytest.raises(TimeoutError):
        await asyncio.to_thread(lambda: here.wait(given_up))
    assert len(running.requests("runs.cancel")) == 1


async def test_a_blocking_caller_may_have_what_does_not_fit(service: ServiceFactory, tmp_path: Any) -> None:
    running = service(rules={"default": {"reply": {"text": "no json, password=hunter2"}}})
    opener = Opener(running.endpoint, f"sqlite+aiosqlite:///{tmp_path}/journal.db")
    here = Session(None, owner="flow", run="one", model="scripted", opener=opener)
    agent = Agent("helper", answer=list[str])
    answer = await asyncio.to_thread(lambda: agent.ask_sync("?", session=here, on_invalid="return"))
    assert answer.value is None
    assert answer.errors
    with pytest.raises(AnswerInvalidError, match=r"step 'deeper/helper'.*It wrote: 'no json") as caught:
        await asyncio.to_thread(lambda: agent.ask_sync("?", session=here.at("deeper")))
    assert "hunter2" not in str(caught.value)


def test_a_session_is_known_only_in_its_block() -> None:
    here = Session(None, owner="o")
    with here.entered():
        assert current_session() is here
    with pytest.raises(ConfigurationError, match="outside of any session"):
        current_session()
    with pytest.raises(ConfigurationError, match="needs an owner"):
        Session(None, owner=" ")


async def test_what_is_said_in_a_session_lives_as_long_as_it_says(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    """Agents and conversations alike: the sweep looks at nothing but the ledger."""
    running = service()
    async with open_workspace(running) as ws:
        here = session(ws, ttl=timedelta(minutes=5))
        await Agent("helper").ask("?", session=here)
        live = await ws.journal.resources.live(ws.scope)
        assert {one.kind for one in live} == {"agent", "conversation"}
        assert {round(one.expires_at - one.created_at) for one in live} == {300}
        swept = await sweep(ws, dry_run=False, now=time.time() + 301)
    assert {one.kind for one in swept} == {"agent", "conversation"}
    with running.http() as http:
        assert http.get("/threads").json()["data"] == []
