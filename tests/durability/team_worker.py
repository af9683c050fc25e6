"""The example team in a process that may be killed."""

from __future__ import annotations

from agent_tasks.errors import WaitingForPersonError
from agent_tasks.operations import Workspace
from agent_tasks.prefect.sessions import session
from tests.support.team import TASK, example

WAITS = "waits for a person"


def journal_of(folder: str) -> str:
    return f"sqlite+aiosqlite:///{folder}/journal.db"


async def team(endpoint: str, folder: str) -> str:
    """One run of the team; goes on where an earlier process was killed."""
    offer = example("team").offer
    try:
        async with (
            Workspace.open(endpoint, None, journal_of(folder), scope="team", lease_seconds=2) as ws,
            session(ws, owner="team", run="one", model="scripted"),
        ):
            text: str = await offer.fn(TASK)
    except WaitingForPersonError:
        return WAITS
    return text
