"""An answer is read as it is written."""

from __future__ import annotations

import pytest

from agent_tasks.errors import ConfigurationError, RunFailedError
from agent_tasks.steps import Agent
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import session
from tests.support.waiting import eventually

SLOW = {"default": {"reply": {"text": "One. Two. Three. Four."}, "pause": 0.05, "chunk": 5}}


async def test_pieces_come_before_the_answer(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service(rules=SLOW)
    agent = Agent("writer")
    async with open_workspace(running) as ws:
        async with agent.stream("?", session=session(ws)) as stream:
            with pytest.raises(ConfigurationError, match="not complete"):
                _ = stream.answer
            pieces = [piece async for piece in stream]
        async with agent.stream("?", session=session(ws)) as replayed:
            again = [piece async for piece in replayed]
    assert len(pieces) > 2
    assert "".join(pieces) == stream.answer.value == "One. Two. Three. Four."
    assert again == [stream.answer.value]
    assert replayed.answer.reused


async def test_what_asking_raises_is_raised_by_the_stream(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    running = service(rules={"default": {"reply": {"error": {"code": "invalid", "message": "No."}}}})
    async with open_workspace(running) as ws, Agent("w").stream("?", session=session(ws)) as stream:
        with pytest.raises(RunFailedError, match="No"):
            [piece async for piece in stream]


async def test_who_leaves_gives_the_turn_up(service: ServiceFactory, open_workspace: OpenWorkspace) -> None:
    running = service(rules={"default": {"reply": {"text": "One. Two."}, "pause": 2, "chunk": 5}})
    async with open_workspace(running) as ws, Agent("w").stream("?", session=session(ws)) as stream:
        async for _ in stream:
            break
    await eventually(lambda: len(running.requests("runs.cancel")) == 1)
