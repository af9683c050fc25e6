"""The example team in a process that may be killed."""

from __future__ import annotations

from agent_tasks.operations import Workspace
from agent_tasks.prefect.sessions import session
from tests.support.team import TASK, example


async def team(endpoint: str, folder: str) -> str:
    """One run of the team, goes on where an earlier process was killed."""
    offer = example("team").offer
    async with (
        Workspace.open(endpoint, None, f"sqlite+aiosqlite:///{folder}/journal.db", lease_seconds=2) as ws,
        session(ws, owner="team", run="one", model="scripted"),
    ):
        text: str = await offer.fn(TASK)
    return text
