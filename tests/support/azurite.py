"""Azurite for tests: one for each test process, started at its first use and gone with the process.

The fixtures are registered in tests/conftest.py::

    async def test_something(azurite, queue_prefix):
        azurite.queue, azurite.connection_string.get_secret_value()
        name = f"{queue_prefix}-calls"
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks.local.azurite import Azurite, StorageAddresses

STATE_DIR = Path(__file__).resolve().parents[2] / ".agent-tasks"
"""Where Azurite is installed: once for all test processes, and for whoever works in this repository."""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def azurite() -> Iterator[StorageAddresses]:
    """An Azurite over plain http with its data in a temporary folder, shared by the tests of a process."""
    with Azurite(state_dir=STATE_DIR) as storage:
        yield storage


@pytest.fixture
def queue_prefix() -> str:
    """A prefix of queue, container and table names that no other test uses (letters and digits only)."""
    return f"t{os.getpid()}x{next(_numbers)}"
