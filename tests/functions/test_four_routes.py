"""Every tool, valid and invalid calls, by four routes: the same answer.

Called directly; through Microsoft's worker library; through the local host on Azurite; by an agent in a run.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient

from agent_tasks.azurite import StorageAddresses
from agent_tasks.functions_host import AppFolder, FunctionsHost
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.queues import AnswerReader, Storage, StorageConnection, send_call
from agent_tasks.tools import ToolSet, queue_tools, read_definitions
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.conftest import ServiceFactory
from tests.functions.cases import CASES
from tests.functions.conftest import APP

REPOSITORY = Path(__file__).parents[2]
DEFINITIONS = REPOSITORY / "examples" / "queues" / "tools.json"


def check(values: list[Any]) -> None:
    """All cases have their answers."""
    assert len(values) == len(CASES)
    for case, value in zip(CASES, values, strict=True):
        case.check(value)


@pytest.fixture
async def direct(catalog: ModuleType, queue_tool: ModuleType, store: ContainerClient) -> list[Any]:
    """What the functions themselves answer."""
    tools = {tool.name: tool for tool in catalog.TOOLS}

    async def ask(name: str, arguments: dict[str, Any]) -> Any:
        try:
            return json.loads(await tools[name].run(tools[name].validate(arguments)))
        except queue_tool.InvalidArgumentsError as error:
            return {"error": {"type": "invalid_arguments", "message": str(error)}}

    return [await ask(case.tool, case.arguments) for case in CASES]


def test_called_directly(direct: list[Any]) -> None:
    check(direct)


WORKER = """
import asyncio, json, sys
sys.path[:0] = [sys.argv[1], "."]
from pathlib import Path
from agent_tasks.functions_host.executors import MicrosoftWorker
from agent_tasks.functions_host.wire import Invocation

async def main():
    worker = MicrosoftWorker()
    ids = {one.name: one.id for one in worker.index(Path.cwd())}
    for number, (name, body) in enumerate(json.load(sys.stdin)):
        call = Invocation(
            id=str(number), function_id=ids[name], body=body, message_id=f"m{number}", dequeue_count=1,
            inserted_at=None, expires_at=None, next_visible_at=None, pop_receipt="r",
        )
        outcome = await worker.call(call)
        assert outcome.error is None, outcome.error
        print(json.dumps(outcome.outputs["answer"]))

asyncio.run(main())
"""


def test_through_microsofts_worker_library(direct: list[Any]) -> None:
    pytest.importorskip("azure_functions_runtime")
    calls = [
        (case.tool, json.dumps({**case.arguments, "CorrelationId": f"worker-{number}"}))
        for number, case in enumerate(CASES)
    ]
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(REPOSITORY)],
        cwd=APP, input=json.dumps(calls), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = []
    for number, line in enumerate(done.stdout.splitlines()):
        (message,) = json.loads(line)
        answer = json.loads(base64.b64decode(message))
        assert answer["CorrelationId"] == f"worker-{number}"
        values.append(json.loads(answer["Value"]))
    check(values)
    assert values == direct


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with StorageConnection.from_string(azurite.connection_string).open() as opened:
        yield opened


@pytest.fixture
async def host(store: ContainerClient) -> AsyncIterator[FunctionsHost]:
    """The app of this repository on the local host; its settings are those of `app_storage`."""
    app = AppFolder.read(APP)
    async with FunctionsHost(app, app.settings(os.environ)) as running:
        yield running


async def test_through_the_local_host(
    direct: list[Any], host: FunctionsHost, storage: Storage, app_storage: str
) -> None:
    definitions = {one.name: one for one in read_definitions(DEFINITIONS)}
    readers = {
        one.output_queue: AnswerReader(
            storage.queue(one.output_queue), parked=storage.queue(f"{one.output_queue}-parked")
        )
        for one in definitions.values()
    }

    async def ask(number: int) -> Any:
        case, call_id = CASES[number], f"{app_storage}-host-{number}"
        one = definitions[case.tool]
        async with readers[one.output_queue].expect(call_id) as expected:
            await send_call(storage.queue(one.input_queue), case.arguments, call_id, within=10)
            return json.loads(await expected.answer(within=40))

    values = await asyncio.gather(*map(ask, range(len(CASES))))
    for reader in readers.values():
        await reader.close()
    check(values)
    assert values == direct


@pytest.mark.parametrize("drive", ["pipeline", "service"])
async def test_by_an_agent_in_a_run(
    direct: list[Any],
    host: FunctionsHost,
    storage: Storage,
    azurite: StorageAddresses,
    service: ServiceFactory,
    tmp_path: Path,
    drive: str,
) -> None:
    rules: dict[str, Any] = {
        "rules": [
            {
                "when": {"message": f"^Case {number}$", "tool_results": False},
                "reply": {"tool_calls": [{"name": case.tool, "arguments": case.arguments}]},
            }
            for number, case in enumerate(CASES)
        ],
        "default": {"reply": {"text": "{{ tool_results | join }}"}},
    }
    account = StorageAccount(value=azurite.connection_string)
    running = service(
        rules=rules,
        config=ServiceConfig(max_concurrent_runs=8, tools=ToolSettings(storage={azurite.queue: account})),
    )
    tools = ToolSet(
        queue_tools(
            read_definitions(DEFINITIONS),
            drive=drive,  # type: ignore[arg-type]
            connection=storage.connection,
            deadline=60,
        )
    )
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with Workspace.open(running.endpoint, None, journal) as ws:
        spec = AgentSpec(name="clerk", model="test-model", instructions="Call.", tools=tools.definitions)
        agent = await ensure_agent(ws, spec, owner="test")

        async def ask(number: int) -> Any:
            turn = TurnSpec(step=f"case {number}", agent=agent, prompt=f"Case {number}", owner="test")
            return json.loads((await run_turn(ws, turn, tools=tools)).text)

        values = []
        for first in range(0, len(CASES), 8):
            numbers = range(first, min(first + 8, len(CASES)))
            values += await asyncio.gather(*map(ask, numbers))
    check(values)
    assert values == direct
