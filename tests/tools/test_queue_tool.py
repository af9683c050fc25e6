"""Functions behind queues that the pipeline calls itself, on Azurite."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.errors import (
    ConfigurationError,
    QueueAnswerError,
    QueueAnswerTimeoutError,
    QueueNotFoundError,
    QueuePermissionError,
    StorageUnreachableError,
    ToolArgumentsError,
    ToolOutputError,
)
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.pool import Pool
from agent_tasks.queues import ClaimCheck, Storage, StorageConnection, decode, encode
from agent_tasks.tools import (
    AzureFunctionTool,
    QueueFunctionTool,
    QueueToolDefinition,
    ToolContext,
    ToolSet,
    queue_tools,
    read_definitions,
)
from agent_tasks.tools import queue_tool as module
from tests.support.waiting import eventually

REPOSITORY = Path(__file__).parents[2]
DEFINITIONS = REPOSITORY / "examples" / "queues" / "tools.json"


def context(number: int = 1) -> ToolContext:
    return ToolContext(f"call_{number}", "run_1", f"operation:call_{number}")


@pytest.fixture
def connection(azurite: StorageAddresses) -> StorageConnection:
    return StorageConnection.from_string(azurite.connection_string)


@pytest.fixture
async def storage(connection: StorageConnection) -> AsyncIterator[Storage]:
    async with Storage(connection) as opened:
        yield opened


@pytest.fixture
async def tool(connection: StorageConnection, storage: Storage, queue_prefix: str) -> QueueFunctionTool:
    """A tool with queues and a container of its own."""
    definition = QueueToolDefinition(
        name="look_up",
        description="Look something up.",
        parameters={"type": "object", "properties": {"name": {"type": "string"}}},
        input_queue=f"{queue_prefix}-input",
        output_queue=f"{queue_prefix}-output",
    )
    for name in (definition.input_queue, definition.output_queue):
        await storage.queue(name).create()
    return QueueFunctionTool(definition, connection, deadline=20, container=f"{queue_prefix}values")


Reply = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
async def answering(storage: Storage, tool: QueueFunctionTool) -> AsyncIterator[Callable[[Reply], list[Any]]]:
    """Has calls answered by a function from a call to messages; gives the list of calls that came."""
    tasks: list[asyncio.Task[None]] = []

    def start(reply: Reply) -> list[Any]:
        calls: list[Any] = []

        async def serve() -> None:
            source = storage.queue(tool.definition.input_queue)
            target = storage.queue(tool.definition.output_queue)
            while True:
                for message in await source.receive():
                    call = json.loads(decode(message.body))
                    calls.append(call)
                    for body in reply(call):
                        await target.put(body)
                    await source.delete(message)
                await asyncio.sleep(0.05)

        tasks.append(asyncio.create_task(serve()))
        return calls

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def answer(call: dict[str, Any], value: str) -> str:
    return encode(json.dumps({"Value": value, "CorrelationId": call["CorrelationId"]}))


def greet(call: dict[str, Any]) -> list[str]:
    return [answer(call, f"Hello {call['function_args']['name']}")]


async def test_a_call_goes_out_under_its_idempotency_key(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]]
) -> None:
    calls = answering(greet)
    assert await tool.call('{"name": "Ö"}', context()) == "Hello Ö"
    assert calls == [
        {
            "function_args": {"name": "Ö"},
            "CorrelationId": "operation:call_1",
            "DeadlineSeconds": 20,
        }
    ]


async def test_calls_at_the_same_time_share_one_reader(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]]
) -> None:
    answering(greet)
    numbers, patient = range(40), replace(tool, deadline=80)
    values = await asyncio.gather(*(patient.call(f'{{"name": "{n}"}}', context(n)) for n in numbers))
    assert values == [f"Hello {n}" for n in numbers]
    (account,) = module._accounts.here()
    assert account.reader(tool.definition.output_queue, tool.policy).counts.delivered == 40


async def test_a_call_that_is_repeated_is_the_same_call(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]]
) -> None:
    calls = answering(greet)
    assert await tool.call('{"name": "a"}', context()) == await tool.call('{"name": "a"}', context())
    assert {call["CorrelationId"] for call in calls} == {"operation:call_1"}
    assert tool.idempotent


async def test_arguments_and_values_too_large_for_a_queue_go_through_blobs(
    tool: QueueFunctionTool, storage: Storage, answering: Callable[[Reply], list[Any]]
) -> None:
    claims = ClaimCheck(storage, tool.container)
    kept = await claims.store("x" * 90_000)
    reference = {"container": kept.container, "blob": kept.blob, "sha256": kept.sha256, "size": kept.size}

    def large(call: dict[str, Any]) -> list[str]:
        told = {"Value": "too large", "CorrelationId": call["CorrelationId"], "ValueReference": reference}
        return [encode(json.dumps(told))]

    calls = answering(large)
    assert await tool.call(json.dumps({"name": "y" * 70_000}), context()) == "x" * 90_000
    given = ClaimCheck(storage, tool.container)
    sent = calls[0]["ArgumentsReference"]
    assert json.loads(await given.load(type(kept)(**sent))) == {"name": "y" * 70_000}
    short = tool.configured(max_output_chars=80_000)
    with pytest.raises(ToolOutputError, match="answered 90000 characters"):
        await short.call('{"name": "y"}', context(2))


async def test_one_byte_more_than_a_queue_takes(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]]
) -> None:
    """64 KiB + 1: a message that no queue takes is never put; the arguments go to a blob instead."""
    calls = answering(lambda call: [answer(call, "got it")])
    bare = len(
        json.dumps(
            {"function_args": {"name": ""}, "CorrelationId": "operation:call_1", "DeadlineSeconds": 20}
        )
    )
    for length, in_blob in ((49_152 - bare, False), (49_153 - bare, True)):
        assert await tool.call(json.dumps({"name": "x" * length}), context()) == "got it"
        assert ("ArgumentsReference" in calls[-1]) is in_blob


async def test_no_answer_is_an_error_within_the_deadline(tool: QueueFunctionTool) -> None:
    started = time.monotonic()
    with pytest.raises(QueueAnswerTimeoutError, match="operation:call_1"):
        await replace(tool, deadline=1.0).call('{"name": "a"}', context())
    assert time.monotonic() - started < 3


async def test_late_duplicate_foreign_and_malformed_answers(
    tool: QueueFunctionTool, storage: Storage, answering: Callable[[Reply], list[Any]]
) -> None:
    with pytest.raises(QueueAnswerTimeoutError):
        await replace(tool, deadline=0.5).call('{"name": "late"}', context(1))

    def all_at_once(call: dict[str, Any]) -> list[str]:
        if call["function_args"]["name"] == "late":
            return [answer(call, "too late")]
        return [
            encode("not JSON"),
            answer({"CorrelationId": "somebody else's"}, "foreign"),
            answer(call, "first"),
            answer(call, "second"),
        ]

    answering(all_at_once)
    assert await tool.call('{"name": "a"}', context(2)) == "first"
    assert await tool.call('{"name": "b"}', context(3)) == "first"
    output = storage.queue(tool.definition.output_queue)
    parked = storage.queue(f"{tool.definition.output_queue}-parked")
    assert [decode(message.body) for message in await parked.peek()][:1] == ["not JSON"]
    left = {json.loads(decode(message.body))["CorrelationId"] for message in await output.peek()}
    assert "operation:call_1" not in left  # the late one is dropped
    assert "somebody else's" in left  # it waits for its owner


async def test_a_malformed_answer_is_an_error_at_once(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]]
) -> None:
    answering(lambda call: [encode(json.dumps({"CorrelationId": call["CorrelationId"]}))])
    started = time.monotonic()
    with pytest.raises(QueueAnswerError, match="no Value"):
        await tool.call('{"name": "a"}', context())
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("missing", ["input_queue", "output_queue"])
async def test_a_missing_queue_is_an_error_at_once(tool: QueueFunctionTool, missing: str) -> None:
    gone = replace(tool, definition=tool.definition.model_copy(update={missing: "no-such-queue"}))
    started = time.monotonic()
    with pytest.raises(QueueNotFoundError, match="no-such-queue"):
        await gone.call('{"name": "a"}', context())
    assert time.monotonic() - started < 10


async def test_permission_denied_is_an_error_at_once(
    tool: QueueFunctionTool, azurite: StorageAddresses
) -> None:
    wrong = azurite.connection_string.get_secret_value().replace("AccountKey=Eby8", "AccountKey=AAAA")
    refused = replace(tool, connection=StorageConnection.from_string(wrong))
    with pytest.raises(QueuePermissionError, match="Queue Data Contributor"):
        await refused.call('{"name": "a"}', context())


async def test_storage_that_is_down_is_an_error_within_the_deadline(tool: QueueFunctionTool) -> None:
    nowhere = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=AAAA;"
        "QueueEndpoint=http://127.0.0.1:9/devstoreaccount1;BlobEndpoint=http://127.0.0.1:9/devstoreaccount1"
    )
    down = replace(tool, connection=StorageConnection.from_string(nowhere), deadline=2.0)
    started = time.monotonic()
    with pytest.raises(StorageUnreachableError):
        await down.call('{"name": "a"}', context())
    assert time.monotonic() - started < 8


@pytest.mark.parametrize("arguments", ["{", "[1]", '"text"'])
async def test_arguments_that_are_no_object_are_not_sent(
    tool: QueueFunctionTool, storage: Storage, arguments: str
) -> None:
    with pytest.raises(ToolArgumentsError):
        await tool.call(arguments, context())
    assert await storage.queue(tool.definition.input_queue).depth() == 0


async def test_the_account_is_closed_after_its_last_call(
    tool: QueueFunctionTool, answering: Callable[[Reply], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_accounts", Pool("queues-idle", idle=0.1))
    answering(greet)
    await tool.call('{"name": "a"}', context(1))
    assert module._accounts.here()
    await eventually(lambda: not module._accounts.here())
    await tool.call('{"name": "a"}', context(2))  # it opens again


def test_both_drives_are_the_same_tools(connection: StorageConnection) -> None:
    definitions = read_definitions(DEFINITIONS)
    piped = ToolSet(queue_tools(definitions, drive="pipeline", connection=connection))
    served = ToolSet(queue_tools(definitions, drive="service", connection=connection))
    assert all(isinstance(tool, QueueFunctionTool) for tool in piped)
    assert all(isinstance(tool, AzureFunctionTool) for tool in served)
    assert [one["function"] for one in piped.definitions] == [
        one["azure_function"]["function"] for one in served.definitions
    ]
    assert set(piped.functions) == {definition.name for definition in definitions}
    assert not served.functions  # nothing of them runs here


def test_agent_and_function_app_do_not_drift_apart(azurite: StorageAddresses) -> None:
    """What the app says of itself, what the example's file says, and what agents are told are the same."""
    say = (
        "import json, catalog\n"
        "served = [tool.definition({!r}) for tool in catalog.TOOLS]\n"
        "print(json.dumps([catalog.definitions(), served]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", say.format(azurite.queue)],
        cwd=REPOSITORY / "azure_functions", capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    definitions, served = json.loads(done.stdout)
    assert json.loads(DEFINITIONS.read_text(encoding="utf-8")) == definitions
    connection = StorageConnection.from_string(azurite.connection_string)
    tools = queue_tools(read_definitions(DEFINITIONS), drive="service", connection=connection)
    assert [one for tool in tools for one in tool.definitions] == served


def test_definitions_that_cannot_be_used(tmp_path: Path, connection: StorageConnection) -> None:
    for name, text in (("a.json", "{"), ("b.json", "{}"), ("c.json", '[{"name": "x"}]')):
        (tmp_path / name).write_text(text)
        with pytest.raises(ConfigurationError, match=r"python catalog\.py"):
            read_definitions(tmp_path / name)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_definitions(tmp_path / "none.json")
    definition = read_definitions(DEFINITIONS)[0]
    for change in ({"name": "no name"}, {"input_queue": "Not_A_Queue"}):
        with pytest.raises(ConfigurationError):
            queue_tools([definition.model_copy(update=change)], drive="pipeline", connection=connection)
    with pytest.raises(ConfigurationError):
        queue_tools([definition], drive="pipeline", connection=connection, deadline=0)


def test_no_secret_shows(tool: QueueFunctionTool) -> None:
    assert "Eby8vdM02x" not in repr(tool)
