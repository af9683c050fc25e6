"""The gate is asked before each send of a call that changes something, also when it is sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agent_tasks.client import AsyncAgentsClient, guarded_by
from agent_tasks.errors import LeaseLostError
from tests.client.conftest import AGENT, Network
from tests.client.test_credentials import OK, REMOTE, Blocking

Send = Callable[[AsyncAgentsClient], Any]


class Gate:
    """Lets so many through, and is asked each time."""

    def __init__(self, passes: int) -> None:
        self.left = passes
        self.asked = 0

    def is_open(self) -> bool:
        return False

    def enter_blocking(self) -> None:
        self.asked += 1
        self.left -= 1
        if self.left < 0:
            raise LeaseLostError("It is another worker's.")

    async def enter(self) -> None:
        self.enter_blocking()


REFUSED = httpx.Response(429, headers={"retry-after": "30"})
BUSY = httpx.Response(503, headers={"retry-after": "1"})
DELETED = {"id": "asst_1", "object": "assistant.deleted", "deleted": True}


@pytest.mark.parametrize(
    "answer", [REFUSED, BUSY, httpx.ConnectError("no route")], ids=["429", "503", "unreachable"]
)
async def test_a_request_is_not_sent_again_when_the_gate_has_closed_meanwhile(
    network: Network, answer: Any, waits: list[float]
) -> None:
    network.answers = [answer, OK]
    gate = Gate(1)
    with guarded_by(gate), pytest.raises(LeaseLostError):
        await network.client().agents.create(model="m")
    assert (len(network.requests), len(waits), gate.asked) == (1, 1, 2)


async def test_a_renewed_token_does_not_open_the_gate(network: Network) -> None:
    network.answers = [httpx.Response(401), OK]
    with guarded_by(Gate(1)), pytest.raises(LeaseLostError):
        await network.client(Blocking(), endpoint=REMOTE).agents.create(model="m")
    assert len(network.requests) == 1


@pytest.mark.parametrize(
    "send",
    [
        lambda client: client.agents.create(model="m"),
        lambda client: client.agents.update("asst_1", name="n"),
        lambda client: client.agents.delete("asst_1"),
        lambda client: client.files.upload(b"x", "x.txt"),
        lambda client: client.runs.cancel("thread_1", "run_1"),
        lambda client: client.vector_store_file_batches.create("vs_1", file_ids=["f"]),
        lambda client: client.runs.submit_tool_outputs("thread_1", "run_1", []),
    ],
    ids=["create", "update", "delete", "upload", "cancel", "add files", "answer calls"],
)
async def test_whatever_changes_something_asks_before_it_is_sent(network: Network, send: Send) -> None:
    network.answers = [httpx.Response(200, json=AGENT)]
    with guarded_by(Gate(0)), pytest.raises(LeaseLostError):
        await send(network.client())
    assert network.requests == []


async def test_a_stream_asks_before_it_is_opened(network: Network) -> None:
    network.answers = [OK]
    with guarded_by(Gate(0)), pytest.raises(LeaseLostError):
        async with network.client().runs.stream("thread_1", assistant_id="asst_1"):
            raise AssertionError("it was opened")
    assert network.requests == []


async def test_a_read_asks_nobody(network: Network) -> None:
    network.answers = [OK]
    gate = Gate(0)
    with guarded_by(gate):
        await network.client().agents.get("asst_1")
    assert gate.asked == 0


async def test_without_a_gate_everything_leaves(network: Network) -> None:
    network.answers = [REFUSED, httpx.Response(200, json=DELETED)]
    await network.client().agents.delete("asst_1")
    assert len(network.requests) == 2
