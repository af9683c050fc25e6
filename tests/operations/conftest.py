"""A workspace over the local service, whose answers can be lost on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.journal import Journal
from agent_tasks.operations import TurnResult, TurnSpec, Workspace, run_turn, turn_key
from agent_tasks.testing import LossyTransport
from tests.support.service import RunningService

OpenWorkspace = Callable[..., AbstractAsyncContextManager[Workspace]]


@pytest.fixture
def transport() -> LossyTransport:
    return LossyTransport()


@pytest.fixture
def open_workspace(tmp_path: Path, transport: LossyTransport) -> OpenWorkspace:
    """`async with open_workspace(running_service) as ws`: the same journal each time."""

    @asynccontextmanager
    async def open_(running: RunningService) -> AsyncIterator[Workspace]:
        async with (
            AsyncAgentsClient(running.endpoint, None, transport=transport) as client,
            Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as journal,
        ):
            yield Workspace(AgentsBackend(client), journal, scope="test")

    return open_


async def begun(ws: Workspace, spec: TurnSpec, **more: Any) -> asyncio.Task[TurnResult]:
    """A turn under way, of which the service has told and the journal knows."""
    task = asyncio.create_task(run_turn(ws, spec, **more))
    async with asyncio.timeout(60):
        while (
            known := await ws.journal.operations.get(ws.scope, turn_key(spec))
        ) is None or not known.remote:
            await asyncio.sleep(0.02)
    return task


__all__ = ["LossyTransport", "OpenWorkspace", "begun"]
