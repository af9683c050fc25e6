"""Whatever goes wrong, the agent gets an answer or the run a typed error in time; no effect is doubled.

Whole runs: an agent of the local service calls a queue tool, driven by the pipeline, answered by the app over
Azurite. The host's own half (renewal, batches, back-off) is tested in tests/local/functions_host.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agent_tasks.errors import RunExpiredError
from agent_tasks.local.azurite import Azurite, StorageAddresses
from agent_tasks.operations import AgentSpec, TurnResult, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.operations.queue_upkeep import QueuePair, redrive
from agent_tasks.queues import ReaderPolicy, Storage, StorageConnection, decode, encode
from agent_tasks.tools import QueueFunctionTool, QueueToolDefinition, ToolSet
from tests.conftest import ServiceFactory
from tests.functions.conftest import APP
from tests.support.azurite import STATE_DIR
from tests.support.queue_trigger import make_queues, serving

REPOSITORY = Path(__file__).parents[2]
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"tool_results": False},
            "reply": {"tool_calls": [{"name": "record", "arguments": {"item": "oak"}}]},
        }
    ],
    "default": {"reply": {"text": "Recorded."}},
}


class Bench:
    """An agent with one queue tool, `record`, whose runs are counted."""

    def __init__(
        self,
        service: ServiceFactory,
        connection: StorageConnection,
        queue_tool: ModuleType,
        prefix: str,
        folder: Path,
    ) -> None:
        self.running = service(rules=RULES)
        self.connection = connection
        self.queue_tool = queue_tool
        self.prefix = prefix
        self.journal = f"sqlite+aiosqlite:///{folder}/journal.db"
        self.effects: list[str] = []

    def tool(self, body: Callable[[str], Any], **options: Any) -> Any:
        """The app's tool; `body` runs after its effect is counted."""

        @self.queue_tool.queue_tool(
            input_queue=f"{self.prefix}-input", output_queue=f"{self.prefix}-output", **options
        )
        async def record(item: str) -> str:
            """Record an item."""
            self.effects.append(item)
            made = body(item)
            return str(await made) if asyncio.iscoroutine(made) else str(made)

        return record

    def agent_tool(self, tool: Any, *, deadline: float = 20.0) -> QueueFunctionTool:
        """The same for the agent."""
        definition = QueueToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            input_queue=tool.input_queue,
            output_queue=tool.output_queue,
        )
        return QueueFunctionTool(
            definition,
            self.connection,
            deadline=deadline,
            container=f"{self.prefix}values",
            policy=ReaderPolicy(hidden_for=2),
        )

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Workspace]:
        async with Workspace.open(self.running.endpoint, None, self.journal, scope="test") as ws:
            yield ws

    async def ask(self, tool: QueueFunctionTool, *, deadline: float = 60.0) -> TurnResult:
        """One turn of the agent."""
        tools = ToolSet([tool])
        async with self.workspace() as ws:
            spec = AgentSpec(
                name="clerk", model="test-model", instructions="Record.", tools=tools.definitions
            )
            agent = await ensure_agent(ws, spec, owner="test")
            turn = TurnSpec(step="record", agent=agent, prompt="Oak.", owner="test", deadline=deadline)
            return await run_turn(ws, turn, tools=tools)

    async def outcome(self, tool: QueueFunctionTool) -> Any:
        """What the agent was told: the tool's output, decoded if it is an error."""
        result = await self.ask(tool)
        assert result.text == "Recorded."
        (call,) = result.tool_calls
        return json.loads(call.output)["error"]["type"] if call.output.startswith("{") else call.output


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as opened:
        yield opened


@pytest.fixture
def bench(
    service: ServiceFactory, storage: Storage, queue_tool: ModuleType, app_storage: str, tmp_path: Path
) -> Bench:
    return Bench(service, storage.connection, queue_tool, app_storage, tmp_path)


async def test_a_good_call(bench: Bench, storage: Storage) -> None:
    tool = bench.tool(str.upper)
    await make_queues(storage, tool)
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(bench.agent_tool(tool)) == "OAK"
    assert bench.effects == ["oak"]


async def test_the_function_raises(bench: Bench, storage: Storage) -> None:
    def fail(item: str) -> str:
        raise RuntimeError("password=hunter2")

    tool = bench.tool(fail)
    await make_queues(storage, tool)
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(bench.agent_tool(tool)) == "tool_failed"
    assert bench.effects == ["oak"]  # a failure for good is not tried again


async def test_the_function_raises_what_may_pass(bench: Bench, storage: Storage) -> None:
    def at_the_second_try(item: str) -> str:
        if len(bench.effects) < 2:
            raise bench.queue_tool.TransientError("locked")
        return item

    tool = bench.tool(at_the_second_try)
    await make_queues(storage, tool)
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(bench.agent_tool(tool)) == "oak"


async def test_every_try_fails_and_the_call_is_redriven(bench: Bench, storage: Storage) -> None:
    mended: list[bool] = []

    def until_mended(item: str) -> str:
        if not mended:
            raise bench.queue_tool.TransientError("locked")
        return item

    tool = bench.tool(until_mended)
    await make_queues(storage, tool)
    await storage.queue(tool.parked_queue).create()
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(bench.agent_tool(tool)) == "tool_unavailable"
        assert len(bench.effects) == 3
        mended.append(True)
        pair = QueuePair(tool.input_queue, tool.output_queue)
        await eventually(lambda: storage.queue(tool.parked_queue).depth(), 1)
        (again,) = await redrive(storage, [pair], dry_run=False)
        assert again.left is None
        await eventually(lambda: _async(len(bench.effects)), 4)
        # Twice in a row changes nothing: the answer is there now.
        await storage.queue(tool.parked_queue).put(encode(redriven_body(str(again.correlation_id))))
        await redrive(storage, [pair], dry_run=False)
        await eventually(lambda: storage.queue(tool.input_queue).depth(), 0)
    assert len(bench.effects) == 4


async def test_the_function_times_out(bench: Bench, storage: Storage) -> None:
    tool = bench.tool(lambda item: asyncio.sleep(30), timeout=0.5)
    await make_queues(storage, tool)
    started = time.monotonic()
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(bench.agent_tool(tool)) == "timeout"
    assert time.monotonic() - started < 15


KILLED = """
import asyncio, sys, time
sys.path[:0] = [{repository!r}, {app!r}]
from queue_tool import queue_tool
from tests.support.queue_trigger import serve_for_ever

@queue_tool(input_queue="{prefix}-input", output_queue="{prefix}-output", repeatable={repeatable})
def record(item: str) -> str:
    "Record an item."
    with open({effects!r}, "a") as log:
        log.write(item + "\\n")
    if {hangs}:
        time.sleep(60)
    return item

asyncio.run(serve_for_ever({connection!r}, [record]))
"""


@pytest.mark.parametrize("repeatable", [True, False])
async def test_the_host_is_killed_in_the_middle(
    bench: Bench,
    storage: Storage,
    azurite: StorageAddresses,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    repeatable: bool,
) -> None:
    monkeypatch.setenv("CLAIM_LEASE_SECONDS", "1")
    effects = tmp_path / "effects"
    effects.touch()
    tool = bench.tool(str, repeatable=repeatable)
    await make_queues(storage, tool)

    def host(*, hangs: bool) -> subprocess.Popen[bytes]:
        code = KILLED.format(
            repository=str(REPOSITORY),
            app=str(APP),
            prefix=bench.prefix,
            repeatable=repeatable,
            effects=str(effects),
            hangs=hangs,
            connection=azurite.connection_string.get_secret_value(),
        )
        return subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))

    first, second = host(hangs=True), None
    try:
        asking = asyncio.create_task(bench.outcome(bench.agent_tool(tool, deadline=45)))
        await eventually(lambda: _async(effects.read_text()), "oak\n", seconds=20)
        first.send_signal(signal.SIGKILL)
        second = host(hangs=False)
        outcome = await asking
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
    # What may run again does; what may not is answered as what it is.
    assert outcome == ("oak" if repeatable else "outcome_unknown")
    assert effects.read_text() == ("oak\noak\n" if repeatable else "oak\n")


async def test_the_call_is_delivered_twice(bench: Bench, storage: Storage) -> None:
    """A lost acknowledgement, and a pipeline that is killed and sends its call again, come to this."""
    tool = bench.tool(str)
    await make_queues(storage, tool)
    agent_tool = bench.agent_tool(tool)
    source = storage.queue(tool.input_queue)
    asking = asyncio.create_task(bench.outcome(agent_tool))
    await eventually(source.depth, 1)
    (message,) = await source.receive(1, hidden_for=1)
    for _ in range(3):
        await source.put(message.body)
    async with serving(storage.connection, [tool]):
        assert await asking == "oak"
        await eventually(source.depth, 0)
    assert bench.effects == ["oak"]


async def test_the_pipeline_is_killed_while_it_waits(bench: Bench, storage: Storage, tmp_path: Path) -> None:
    """The journal knows the call; the second run sends it under the same id and gets the first answer."""
    tool = bench.tool(lambda item: f"{item} no. {len(bench.effects)}", repeatable=False)
    await make_queues(storage, tool)
    agent_tool = bench.agent_tool(tool)
    code = RESUMED.format(
        repository=str(REPOSITORY),
        connection=storage.connection.connection_string.get_secret_value(),  # type: ignore[union-attr]
        definition=agent_tool.definition.model_dump_json(),
        container=agent_tool.container,
        endpoint=bench.running.endpoint,
        journal=bench.journal,
    )
    first = subprocess.Popen([sys.executable, "-c", code])
    try:
        await eventually(storage.queue(tool.input_queue).depth, 1, seconds=30)
    finally:
        first.kill()
        first.wait()
    async with serving(storage.connection, [tool]):
        await eventually(lambda: _async(len(bench.effects)), 1)
        assert await bench.outcome(agent_tool) == "oak no. 1"
    assert bench.effects == ["oak"]
    assert len(bench.running.requests("runs.create_thread_and_run")) == 1


RESUMED = """
import asyncio, sys
sys.path.insert(0, {repository!r})
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.queues import StorageConnection
from agent_tasks.tools import QueueFunctionTool, QueueToolDefinition, ToolSet

async def main():
    definition = QueueToolDefinition.model_validate_json({definition!r})
    connection = StorageConnection.from_string({connection!r})
    tools = ToolSet([QueueFunctionTool(definition, connection, deadline=60, container={container!r})])
    async with Workspace.open({endpoint!r}, None, {journal!r}, scope="test") as ws:
        spec = AgentSpec(name="clerk", model="test-model", instructions="Record.", tools=tools.definitions)
        agent = await ensure_agent(ws, spec, owner="test")
        turn = TurnSpec(step="record", agent=agent, prompt="Oak.", owner="test", deadline=60.0)
        await run_turn(ws, turn, tools=tools)

asyncio.run(main())
"""


async def test_the_call_is_answered_twice(bench: Bench, storage: Storage) -> None:
    tool = bench.tool(str)
    await make_queues(storage, tool)
    asking = asyncio.create_task(bench.outcome(bench.agent_tool(tool)))
    source, target = storage.queue(tool.input_queue), storage.queue(tool.output_queue)
    await eventually(source.depth, 1)
    (message,) = await source.peek(1)
    correlation_id = json.loads(decode(message.body))["CorrelationId"]
    for value in ("first", "second"):
        await target.put(encode(json.dumps({"Value": value, "CorrelationId": correlation_id})))
    assert await asking == "first"


async def test_the_answer_comes_after_the_run_has_ended(bench: Bench, storage: Storage) -> None:
    tool = bench.tool(str)
    await make_queues(storage, tool)
    agent_tool = bench.agent_tool(tool, deadline=1.0)
    assert await bench.outcome(agent_tool) == "QueueAnswerTimeoutError"
    async with serving(storage.connection, [tool]):  # the call is 1 s old at least: nobody waits for it
        await eventually(storage.queue(tool.input_queue).depth, 0)
    assert await storage.queue(tool.output_queue).depth() == 0
    assert bench.effects == []  # work that nobody waits for is not done


async def test_the_run_itself_is_too_late(bench: Bench, storage: Storage) -> None:
    """Nobody answers, and the turn's deadline comes before the tool's: a typed error, no hung run."""
    tool = bench.tool(str)
    await make_queues(storage, tool)
    started = time.monotonic()
    with pytest.raises(RunExpiredError, match="deadline"):
        await bench.ask(bench.agent_tool(tool, deadline=60), deadline=2.0)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ("%%% no base64, no JSON", "QueueAnswerTimeoutError"),
        (encode('{"function_args": {"item": "oak"}}'), "QueueAnswerTimeoutError"),
        (encode('{"function_args": {"item": "oak", "CorrelationId": "ID"'), "undecodable_message"),
        (encode('{"function_args": "[1]", "CorrelationId": "ID"}'), "undecodable_message"),
        (encode('{"function_args": {}, "CorrelationId": "ID"}'), "invalid_arguments"),
    ],
    ids=["undecodable", "without-correlation-id", "cut-off", "no-arguments", "invalid"],
)
async def test_a_call_that_is_damaged_on_its_way(
    bench: Bench, storage: Storage, body: str, outcome: str
) -> None:
    tool = bench.tool(str)
    await make_queues(storage, tool)
    await storage.queue(tool.parked_queue).create()
    source = storage.queue(tool.input_queue)
    deadline = 4.0 if outcome == "QueueAnswerTimeoutError" else 30.0
    asking = asyncio.create_task(bench.outcome(bench.agent_tool(tool, deadline=deadline)))
    await eventually(source.depth, 1)
    (message,) = await source.receive(1)
    correlation_id = json.loads(decode(message.body))["CorrelationId"]
    await source.put(encode(decode(body).replace("ID", correlation_id)) if "ID" in decode(body) else body)
    await source.delete(message)
    async with serving(storage.connection, [tool]):
        assert await asking == outcome
        if outcome == "QueueAnswerTimeoutError":  # nobody could be told, so the operator is
            await eventually(storage.queue(tool.parked_queue).depth, 1, seconds=30)
    assert bench.effects == []


async def test_64_kib_and_one_byte(bench: Bench, storage: Storage) -> None:
    """A value that no queue takes comes back whole."""
    large = "x" * 65_537
    tool = bench.tool(lambda item: large)
    await make_queues(storage, tool)
    agent_tool = replace(bench.agent_tool(tool), container=f"{bench.prefix}values")
    async with serving(storage.connection, [tool]):
        assert await bench.outcome(agent_tool) == large


@pytest.mark.parametrize("missing", ["input", "output"])
async def test_a_queue_is_missing(bench: Bench, storage: Storage, missing: str) -> None:
    tool = bench.tool(str)
    await make_queues(storage, tool)
    await storage.queue(f"{bench.prefix}-{missing}").drop()
    started = time.monotonic()
    assert await bench.outcome(bench.agent_tool(tool)) == "QueueNotFoundError"
    assert time.monotonic() - started < 15
    assert bench.effects == []


async def test_permission_is_denied(bench: Bench, storage: Storage, azurite: StorageAddresses) -> None:
    tool = bench.tool(str)
    await make_queues(storage, tool)
    wrong = azurite.connection_string.get_secret_value().replace("AccountKey=Eby8", "AccountKey=AAAA")
    agent_tool = replace(bench.agent_tool(tool), connection=StorageConnection.from_string(wrong))
    assert await bench.outcome(agent_tool) == "QueuePermissionError"


async def test_the_storage_goes_down_and_comes_back(
    service: ServiceFactory,
    queue_tool: ModuleType,
    app_storage: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Azurite(tmp_path / "storage", state_dir=STATE_DIR)
    addresses = await asyncio.to_thread(lambda: own.launch().wait())
    connection = StorageConnection.from_string(addresses.connection_string)
    monkeypatch.setenv("STORAGE", addresses.connection_string.get_secret_value())
    bench = Bench(service, connection, queue_tool, app_storage, tmp_path)
    tool = bench.tool(str)
    try:
        async with Storage(connection) as storage:
            await make_queues(storage, tool)
            asking = asyncio.create_task(bench.outcome(bench.agent_tool(tool, deadline=60)))
            await eventually(storage.queue(tool.input_queue).depth, 1)
            await asyncio.to_thread(own.close)
            async with serving(connection, [tool]):
                await asyncio.sleep(2)
                assert not asking.done()  # it goes on waiting
                again = await asyncio.to_thread(lambda: own.launch().wait())
                assert again == addresses
                assert await asking == "oak"
    finally:
        await asyncio.to_thread(own.close)
    assert bench.effects == ["oak"]


def redriven_body(correlation_id: str) -> str:
    return json.dumps({"function_args": {"item": "oak"}, "CorrelationId": correlation_id})


async def _async(value: Any) -> Any:
    return value


async def eventually(look: Callable[[], Awaitable[Any]], expected: Any, *, seconds: float = 30.0) -> None:
    """Wait until a look gives what is expected."""
    deadline = time.monotonic() + seconds
    while (found := await look()) != expected:
        assert time.monotonic() < deadline, f"found {found!r}, not {expected!r}"
        await asyncio.sleep(0.1)
