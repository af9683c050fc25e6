"""Both clients against a local service that breaks streams, loses answers and fails runs on demand."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from agent_tasks.errors import (
    RunExpiredError,
    RunFailedError,
    RunIncompleteError,
    RunServerError,
    RunThrottledError,
)
from agent_tasks.tools import ToolSet
from tests.client.test_with_service import asking, client, running, waits
from tests.support.service import RunningService

__all__ = ["client", "running", "waits"]

Faults = Callable[..., None]


@pytest.fixture
def faults(running: RunningService) -> Iterator[Faults]:
    def plan(operation: str, **then: Any) -> None:
        rule = {"when": {"operation": operation}, "then": then, "count": 1}
        httpx.put(f"{running.origin}/_emulator/faults", json={"rules": [rule]}).raise_for_status()

    yield plan
    httpx.delete(f"{running.origin}/_emulator/faults")


class Counted:
    """The function of the rules, with its calls counted."""

    def __init__(self) -> None:
        self.items: list[str] = []
        self.toolset = ToolSet([self.price_of])

    def price_of(self, item: str) -> str:
        """Price of an item.

        Args:
            item: Its name.
        """
        self.items.append(item)
        return f"{item} costs 3 EUR"


async def streamed_answer(client: Any, tools: Counted) -> tuple[str, list[str]]:
    async with client:
        agent = await client.agents.create(model="m")
        async with client.runs.stream_thread_and_run(
            assistant_id=agent.id, thread=asking("the price, please"), toolset=tools.toolset
        ) as stream:
            names = [event.event async for event in stream]
            assert stream.run.status == "completed"
        message = await client.messages.get_last_message_by_role(stream.thread_id)
    return message.text, names


@pytest.mark.parametrize("events", [1, 3, 6])
@pytest.mark.parametrize("operation", ["runs.create_thread_and_run", "runs.submit_tool_outputs"])
async def test_broken_stream_loses_nothing(client: Any, faults: Faults, operation: str, events: int) -> None:
    faults(operation, break_stream={"after_events": events})
    tools = Counted()
    text, names = await streamed_answer(client, tools)
    assert text == "bolt costs 3 EUR; anvil costs 3 EUR"
    assert sorted(tools.items) == ["anvil", "bolt"]
    assert names[-2:] == ["thread.run.completed", "done"]
    assert names.count("thread.message.completed") == 1


async def test_lost_answer_to_outputs_calls_no_function_twice(client: Any, faults: Faults) -> None:
    faults("runs.submit_tool_outputs", lose_answer=True)
    tools = Counted()
    text, _ = await streamed_answer(client, tools)
    assert text == "bolt costs 3 EUR; anvil costs 3 EUR"
    assert sorted(tools.items) == ["anvil", "bolt"]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        ("throttled", RunThrottledError),
        ("server_error", RunServerError),
        ("expired", RunExpiredError),
        ("incomplete", RunIncompleteError),
    ],
)
async def test_outcome_is_typed_polled_and_streamed(
    client: Any, faults: Faults, outcome: str, kind: type[RunFailedError]
) -> None:
    async with client:
        agent = await client.agents.create(model="m")
        thread = await client.threads.create(**asking("hello"))
        faults("runs.create", run={"outcome": outcome})
        with pytest.raises(RunFailedError) as caught:
            await client.runs.create_and_process(thread.id, assistant_id=agent.id, poll_interval=0.02)
        assert type(caught.value) is kind
        faults("runs.create", run={"outcome": outcome})
        async with client.runs.stream(thread.id, assistant_id=agent.id) as stream:
            with pytest.raises(RunFailedError) as streamed:
                await stream.until_done()
    assert type(streamed.value) is kind
    assert streamed.value.retry_after == caught.value.retry_after


async def test_stuck_run_is_cancelled_at_the_deadline(client: Any, faults: Faults) -> None:
    async with client:
        agent = await client.agents.create(model="m")
        thread = await client.threads.create(**asking("hello"))
        faults("runs.create", run={"outcome": "stuck_in_progress"})
        with pytest.raises(RunExpiredError, match="was cancelled") as caught:
            await client.runs.create_and_process(
                thread.id, assistant_id=agent.id, poll_interval=0.02, deadline=0.2
            )
        ended = await client.runs.wait(thread.id, caught.value.run_id, poll_interval=0.02, check=False)
    assert ended.status == "cancelled"
