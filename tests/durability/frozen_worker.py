"""What the workers of test_frozen.py do; apart from the test, whose imports would cost each child seconds."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent_tasks import crashpoints
from agent_tasks.journal import database
from tests.durability.crash_pipeline import work

LIMIT = 90.0
"""Seconds for each wait of a story."""

BUSY_TIMEOUT = 5.0
"""Seconds that a worker waits for one that was frozen in the middle of a transaction."""


async def stand_still(
    endpoint: str, folder: str, case: str, lease: float, frozen: str, thaw: str
) -> dict[str, Any]:
    """The pipeline in a child that, where it is to freeze, says so and stands still until it is told."""

    def sleep(_seconds: float) -> None:
        (Path(folder) / frozen).touch()
        until_there(Path(folder) / thaw)

    database.BUSY_TIMEOUT = BUSY_TIMEOUT
    crashpoints.time = SimpleNamespace(sleep=sleep)  # type: ignore[assignment]
    return await work(endpoint, folder, case, lease)


def until_there(path: Path) -> None:
    """Wait for a file that another process makes."""
    deadline = time.monotonic() + LIMIT
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)
