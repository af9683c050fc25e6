"""Executing code in a jail, for tests."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agents_emulator.tools.sandbox import Execution, Limits, Sandbox

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
