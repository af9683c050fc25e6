"""Every tool, valid and invalid calls, by an agent whose pipeline drives the queues: as if called directly.

The other routes (Microsoft's worker library, the local host, a run whose service drives) are in
tests/queues/test_routes.py.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.storage.blob.aio import ContainerClient

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.queues import Storage, StorageConnection
from agent_tasks.tools import ToolSet, queue_tools, read_definitions
from agents_emulator.service import ServiceConfig
from tests.conftest import ServiceFactory
from tests.functions.cases import CASES
from tests.support.function_app import function_app

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


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as opened:
        yield opened


async def test_by_an_agent_whose_pipeline_drives_the_queues(
    direct: list[Any],
    storage: Storage,
    azurite: StorageAddresses,
    app_storage: str,
    service: ServiceFactory,
    tmp_path: Path,
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
    running = service(rules=rules, config=ServiceConfig(max_concurrent_runs=8))
    definitions = read_definitions(DEFINITIONS)
    tools = ToolSet(queue_tools(definitions, drive="pipeline", connection=storage.connection, deadline=60))
    journal = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with (
        function_app(azurite, app_storage, tmp_path),
        Workspace.open(running.endpoint, None, journal) as ws,
    ):
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
