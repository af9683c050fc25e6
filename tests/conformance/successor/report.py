"""How a driver in a process of its own tells what it found: JSON lines, which `drivers` reads."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.conformance.checks import Checks

Drive = Callable[[str, str, str, Path, Checks], Awaitable[None]]


def report(version: str, drive: Drive) -> None:
    """Drive as the command line says (ENDPOINT STYLE PART FOLDER); print the version and the findings."""
    endpoint, style, part, folder = sys.argv[1:]
    checks = Checks()
    asyncio.run(_driven(drive(endpoint, style, part, Path(folder), checks)))
    print(json.dumps({"version": version}))
    for kind, name, error in checks.findings:
        print(json.dumps({"kind": kind, "name": name, "error": error}))


async def _driven(driving: Awaitable[None]) -> None:
    await driving
