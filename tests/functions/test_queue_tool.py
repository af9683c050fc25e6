"""`queue_tool`: what becomes of a function, its arguments and its failures."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import date
from types import ModuleType
from typing import Annotated, Any

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from pydantic import Field


async def ask(tool: Any, arguments: dict[str, Any]) -> Any:
    """The tool's `Value` for these arguments."""
    value = await tool.run(tool.validate(arguments), "c1")
    assert isinstance(value, str)
    return value


async def test_arguments_are_converted_to_the_annotated_types(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def days_between(first: date, last: date) -> int:
        """Count days."""
        return (last - first).days

    assert await ask(days_between, {"first": "2026-10-01", "last": "2026-10-08"}) == "7"
    assert days_between(date(2026, 10, 1), date(2026, 10, 3)) == 2


async def test_defaults_async_functions_and_plain_text(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    async def greet(name: str, word: str = "Hello") -> str:
        """Greet."""
        return f"{word} {name}"

    assert await ask(greet, {"name": "Ö"}) == "Hello Ö"


async def test_invalid_arguments_are_named_to_the_agent(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def double(number: Annotated[int, Field(le=10)]) -> int:
        """Double a number."""
        raise AssertionError("must not be called")

    with pytest.raises(queue_tool.InvalidArgumentsError, match=r"^number: Field required$"):
        double.validate({})
    with pytest.raises(
        queue_tool.InvalidArgumentsError, match="number: Input should be less than or equal to 10"
    ):
        double.validate({"number": 11})


async def test_a_tool_error_reaches_the_agent_and_any_other_stays_in_the_log(
    queue_tool: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    @queue_tool.queue_tool()
    def fail(kindly: bool) -> str:
        """Fail."""
        if kindly:
            raise queue_tool.ToolError("no rate for that day")
        raise RuntimeError("the register is shut for password=hunter2")

    kind = json.loads(await ask(fail, {"kindly": True}))
    assert kind == {"error": {"type": "tool_error", "message": "no rate for that day"}}
    with caplog.at_level(logging.ERROR, "queue_tools"):
        other = await ask(fail, {"kindly": False})
    assert json.loads(other)["error"]["type"] == "tool_failed"
    assert "the register" not in other
    assert "the register is shut" in caplog.text
    assert "hunter2" not in caplog.text, "logs are read by more people than settings"
    assert "c1" in caplog.text


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("error", [SystemExit("usage"), asyncio.CancelledError()], ids=repr)
async def test_what_would_end_the_worker_is_a_failure_of_its_call(
    queue_tool: ModuleType, error: BaseException, blocking: bool
) -> None:
    def fail() -> str:
        """Fail."""
        raise error

    async def fail_later() -> str:
        """Fail."""
        raise error

    other = asyncio.create_task(asyncio.sleep(0.1, "done"))
    tool = queue_tool.queue_tool()(fail if blocking else fail_later)
    assert json.loads(await ask(tool, {}))["error"]["type"] == "tool_failed"
    assert await other == "done"


async def test_a_call_that_is_cancelled_itself_is_not_answered(queue_tool: ModuleType) -> None:
    runs = asyncio.Event()

    @queue_tool.queue_tool()
    async def wait() -> str:
        """Wait."""
        runs.set()
        await asyncio.sleep(60)
        return "late"

    call = asyncio.create_task(ask(wait, {}))
    await runs.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_value_that_is_not_json_is_an_error_answer(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool()
    def odd() -> object:
        """Return something that no queue can carry."""
        return object()

    assert json.loads(await ask(odd, {}))["error"]["type"] == "tool_failed"


@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_function_that_takes_too_long_is_answered(queue_tool: ModuleType, repeatable: bool) -> None:
    may_end = threading.Event()

    @queue_tool.queue_tool(timeout=0.05, repeatable=repeatable)
    def slow() -> str:
        """Take long."""
        return "late" if may_end.wait(60) else "never"

    try:
        error = json.loads(await ask(slow, {}))["error"]  # and not its value: the function has not ended
    finally:
        may_end.set()
    assert error["type"] == ("timeout" if repeatable else "outcome_unknown")
    assert "slow did not answer within 0.05 s" in error["message"]


async def test_what_may_pass_is_raised_so_that_the_queue_tries_again(queue_tool: ModuleType) -> None:
    errors: list[Exception] = [
        queue_tool.TransientError("come back later"),
        ServiceRequestError("no connection"),
        httpx.ConnectError("no connection"),
        ConnectionResetError(),
    ]

    @queue_tool.queue_tool()
    async def fetch(number: int) -> str:
        """Fetch something."""
        raise errors[number]

    for number in range(len(errors)):
        with pytest.raises(queue_tool.TransientError):
            await ask(fetch, {"number": number})


async def test_a_lost_connection_of_what_must_not_run_twice_is_an_unknown_outcome(
    queue_tool: ModuleType,
) -> None:
    @queue_tool.queue_tool(repeatable=False)
    async def post(politely: bool) -> str:
        """Post something."""
        raise queue_tool.TransientError("not yet") if politely else httpx.ReadTimeout("no answer")

    assert json.loads(await ask(post, {"politely": False}))["error"]["type"] == "outcome_unknown"
    with pytest.raises(queue_tool.TransientError):  # the tool itself says that nothing happened
        await ask(post, {"politely": True})


@pytest.mark.parametrize(("status", "passes"), [(403, False), (404, False), (429, True), (503, True)])
def test_which_statuses_may_pass(queue_tool: ModuleType, status: int, passes: bool) -> None:
    error = HttpResponseError("refused")
    error.status_code = status
    request = httpx.Request("GET", "https://example.com")
    other = httpx.HTTPStatusError("refused", request=request, response=httpx.Response(status))
    assert queue_tool.may_pass(error) is passes
    assert queue_tool.may_pass(other) is passes


def test_a_parameter_that_the_messages_use_themselves_is_refused(queue_tool: ModuleType) -> None:
    def ask_for(deadlineseconds: int) -> str:
        """Ask."""
        return str(deadlineseconds)

    with pytest.raises(TypeError, match="deadlineseconds is a field of the message"):
        queue_tool.queue_tool()(ask_for)


def test_the_definition_is_the_services_tool_and_follows_the_function(queue_tool: ModuleType) -> None:
    @queue_tool.queue_tool(input_queue="in-1")
    def weigh_up(item: Annotated[str, Field(description="What to weigh")], grams: int = 0) -> str:
        """Weigh
        an item.

        More for the reader of the code.
        """
        return item

    definition = weigh_up.definition("https://account.queue.core.windows.net")
    account = "https://account.queue.core.windows.net"
    inner = definition["azure_function"]
    parameters = inner["function"].pop("parameters")
    assert parameters["required"] == ["item"]
    assert parameters["properties"]["item"]["description"] == "What to weigh"
    assert definition == {
        "type": "azure_function",
        "azure_function": {
            "function": {"name": "weigh_up", "description": "Weigh an item."},
            "input_binding": {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": account, "queue_name": "in-1"},
            },
            "output_binding": {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": account, "queue_name": "weigh-up-output"},
            },
        },
    }


def test_a_function_the_agent_could_not_understand_is_refused(queue_tool: ModuleType) -> None:
    def silent(name: str) -> str:
        return name

    def untyped(name) -> str:  # type: ignore[no-untyped-def]
        """Say something."""
        return str(name)

    with pytest.raises(TypeError, match="no docstring"):
        queue_tool.queue_tool()(silent)
    with pytest.raises(TypeError, match="parameter name has no type"):
        queue_tool.queue_tool()(untyped)
