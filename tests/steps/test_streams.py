"""An answer is read as it is written."""

from __future__ import annotations

import pytest

from agent_tasks.errors import AnswerInvalidError, ConfigurationError, RunFailedError
from agent_tasks.steps import Agent
from tests.conftest import ServiceFactory
from tests.steps.conftest import OpenWorkspace
from tests.steps.test_agent import Plan, says, session
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


async def test_pieces_of_an_invalid_answer_and_of_its_repair_are_not_mixed(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    valid = '{"questions": ["a"]}'
    running = service(rules=says("not json", valid))
    async with open_workspace(running) as ws:
        async with Agent("p", answer=Plan).stream("?", session=session(ws)) as stream:
            pieces = [piece async for piece in stream]
        assert "".join(pieces) == "not json"
        assert stream.is_replaced
        assert stream.answer.text == valid
        heard: list[str] = []
        await Agent("p", answer=Plan).ask("?", session=session(ws, "two"), on_text=heard.append)
    assert "".join(heard) in ("not json", valid)  # the scripted model counts calls over all runs


async def test_a_stream_gives_what_does_not_fit_if_asked_to(
    service: ServiceFactory, open_workspace: OpenWorkspace
) -> None:
    agent = Agent("p", answer=Plan, repair_turns=0)
    async with open_workspace(service(rules=says("not json"))) as ws:
        async with agent.stream("?", session=session(ws), on_invalid="return") as stream:
            assert [piece async for piece in stream] == ["not json"]
        assert (stream.answer.value, stream.is_replaced) == (None, False)
        assert stream.answer.errors
        async with agent.stream("?", session=session(ws)) as strict:
            with pytest.raises(AnswerInvalidError):
                [piece async for piece in strict]
