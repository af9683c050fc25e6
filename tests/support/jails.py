"""Executing code in a jail, for tests."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from agents_emulator.tools.sandbox import Execution, Limits, Sandbox

MISSING_BUBBLEWRAP = "" if shutil.which("bwrap") else "bubblewrap is not installed: apt install bubblewrap"
"""Why no code is executed; empty where bubblewrap is there, whatever it can do."""

needs_jail = pytest.mark.skipif(bool(MISSING_BUBBLEWRAP), reason=MISSING_BUBBLEWRAP or "it is here")

LIMITS = Limits(
    cpu_seconds=2,
    wall_seconds=10.0,
    memory_bytes=512 * 1024**2,
    file_bytes=1024**2,
    folder_bytes=4 * 1024**2,
    folder_files=50,
    open_files=64,
    threads=20,
    output_characters=5000,
    output_bytes=200_000,
)


async def execute(folder: Path, code: str, limits: Limits = LIMITS) -> Execution:
    """Execute code with what is kept in a folder. Fails after 30 s."""
    return await asyncio.wait_for(Sandbox(limits).run(code, folder), 30)
