"""A workspace over the local service, whose answers can be lost on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.journal import Journal
from agent_tasks.operations import Workspace
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


__all__ = ["LossyTransport", "OpenWorkspace"]
