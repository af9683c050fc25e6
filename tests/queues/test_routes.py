"""Every function of the app, valid and invalid calls, by each route that a call can take: the same answers.

Called directly: tests/functions/test_tools.py. Here: through Microsoft's worker library, through the local
host on Azurite, and through a whole run of an agent on the local service.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.local.functions_host.wire import Invocation
from agent_tasks.queues import AnswerReader, Storage, StorageConnection, decode, send_call
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.emulator.helpers import agent, get, post, turn, wait_run
from tests.functions.cases import CASES, DOCUMENTS, Case
from tests.support.function_app import SOURCE, function_app


async def put_documents(storage: StorageAddresses, prefix: str) -> None:
    async with ContainerClient.from_connection_string(
        storage.connection_string.get_secret_value(), f"{prefix}documents"
    ) as container:
        await container.create_container()
        for name, content in DOCUMENTS.items():
            await container.upload_blob(name, content)


@pytest.mark.skipif(
    importlib.util.find_spec("azure_functions_runtime") is None,
    reason="run `make functions`, which installs it",
)
async def test_through_microsofts_worker_library(
    azurite: StorageAddresses, queue_prefix: str, tmp_path: Path
) -> None:
    await put_documents(azurite, queue_prefix)
    async with function_app(azurite, queue_prefix, tmp_path) as host:
        assert host.worker.description.startswith("Microsoft's")
        functions = {function.name: function.id for function in host.functions}
        for case in CASES:
            body = json.dumps({**case.arguments, "CorrelationId": uuid.uuid4().hex})
            now = "2026-11-27T12:00:00+00:00"
            invocation = Invocation(uuid.uuid4().hex, functions[case.tool], body, "1", 1, "r", "", now, now)
            outcome = await host.worker.call(invocation, timeout=30)
            assert outcome.error is None
            [answer] = outcome.outputs["answer"]
            case.check(json.loads(json.loads(decode(answer))["Value"]))


@pytest.mark.parametrize("plain", [False, True], ids=["worker library", "azure.functions"])
async def test_through_the_local_host(
    azurite: StorageAddresses, queue_prefix: str, tmp_path: Path, plain: bool
) -> None:
    await put_documents(azurite, queue_prefix)
    async with (
        function_app(azurite, queue_prefix, tmp_path, plain=plain),
        Storage(StorageConnection.from_string(azurite.connection_string)) as storage,
    ):
        readers = {
            tool: AnswerReader(storage.queue(_output(tool)), parked=storage.queue(f"{_output(tool)}-parked"))
            for tool in {case.tool for case in CASES}
        }

        async def ask(case: Case) -> None:
            name = uuid.uuid4().hex
            async with readers[case.tool].expect(name) as expected:
                await send_call(storage.queue(_input(case.tool)), case.arguments, name, within=30)
                case.check(json.loads(await expected.answer(within=60)))

        await asyncio.gather(*map(ask, CASES))
        for reader in readers.values():
            await reader.close()


async def test_through_a_whole_run_of_an_agent(
    service: Any, azurite: StorageAddresses, queue_prefix: str, tmp_path: Path
) -> None:
    await put_documents(azurite, queue_prefix)
    calls = [{"name": case.tool, "arguments": case.arguments} for case in CASES]
    rules = {
        "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": calls}}],
        "default": {"reply": {"text": "Done."}},
    }
    account = StorageAccount(value=azurite.connection_string)
    config = ServiceConfig(tools=ToolSettings(storage={azurite.queue: account}))
    tools = [_definition(azurite, entry) for entry in await _catalog()]
    async with function_app(azurite, queue_prefix, tmp_path):

        def run() -> list[dict[str, Any]]:
            with service(rules=rules, config=config).http() as client:
                made = post(client, "/threads/runs", turn(agent(client, tools=tools), "Go."))
                done = wait_run(client, made, "completed")
                steps = get(client, f"/threads/{done['thread_id']}/runs/{done['id']}/steps", order="asc")[
                    "data"
                ]
                found: list[dict[str, Any]] = steps[0]["step_details"]["tool_calls"]
                return found

        made = await asyncio.to_thread(run)
    assert len(made) == len(CASES)
    for case, call in zip(CASES, made, strict=True):
        assert call["type"] == "azure_function"
        assert call["azure_function"]["name"] == case.tool
        case.check(json.loads(call["azure_function"]["output"]))


async def _catalog() -> list[dict[str, Any]]:
    """What the app itself says of its tools, as for whoever makes agents."""
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "catalog.py", cwd=SOURCE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found: list[dict[str, Any]] = json.loads(output)
    return found


def _definition(storage: StorageAddresses, entry: dict[str, Any]) -> dict[str, Any]:
    bindings = {
        f"{way}_binding": {
            "type": "storage_queue",
            "storage_queue": {"queue_service_endpoint": storage.queue, "queue_name": entry[f"{way}_queue"]},
        }
        for way in ("input", "output")
    }
    function = {key: entry[key] for key in ("name", "description", "parameters")}
    return {"type": "azure_function", "azure_function": {"function": function, **bindings}}


def _input(tool: str) -> str:
    return f"{tool.replace('_', '-')}-input"


def _output(tool: str) -> str:
    return f"{tool.replace('_', '-')}-output"
