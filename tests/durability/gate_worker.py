"""What the workers of test_gate.py do; apart from the test, whose imports would cost each child seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent_tasks import crashpoints
from agent_tasks.batch.run import run_batch
from agent_tasks.client._async import _runtime
from agent_tasks.errors import AgentTasksError
from agent_tasks.journal import held
from agent_tasks.journal import postgresql as database
from agent_tasks.operations import (
    AgentSpec,
    TurnSpec,
    Workspace,
    ensure_agent,
    exclusive,
    release_owner,
    run_turn,
)
from agent_tasks.operations.gate import ClaimGate
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.tools import ToolSet, function_tool
from tests.durability.crash_pipeline import carry_out, open_workspace
from tests.durability.frozen_worker import LIMIT, until_there

LOOK_SECONDS = 1.5
"""How long the gate waits for a journal that does not answer."""

IMPATIENT = 1.0
"""Deadline of a turn that is given up, in seconds."""

Job = Callable[[Workspace, Path, str, bool], Awaitable[dict[str, Any]]]


async def operations(ws: Workspace, folder: Path, case: str, _first: bool) -> dict[str, Any]:
    """Each operation once; what they made stays."""
    return await carry_out(ws, folder, case)


async def released(ws: Workspace, folder: Path, case: str, _first: bool) -> dict[str, Any]:
    """The same, and all of it deleted, by whoever holds the name."""
    async with exclusive(ws, case, wait=LIMIT):
        outcome = await carry_out(ws, folder, case)
        await release_owner(ws, case)
    return outcome


async def given_up(ws: Workspace, folder: Path, case: str, first: bool) -> dict[str, Any]:
    """A turn that the first worker gives up while its function is called, and the second one follows."""

    @function_tool(idempotent=True)
    async def look_up(name: str) -> str:
        """Look a name up, which takes as long as the test wants."""
        (folder / ("first" if first else "met")).touch()
        async with asyncio.timeout(LIMIT):
            while not (folder / "part").exists():
                await asyncio.sleep(0.02)
        return f"{name} found"

    tools = ToolSet([look_up])
    spec = AgentSpec(name="clerk", model="m", instructions="Wait.", tools=tools.definitions)
    clerk = await ensure_agent(ws, spec, owner=case)
    deadline = IMPATIENT if first else LIMIT
    turn = TurnSpec(step="wait", agent=clerk, prompt=f"wait {case}", owner=case, deadline=deadline)
    return {"text": (await run_turn(ws, turn, tools=tools)).text}


JOBS: dict[str, Job] = {"operations": operations, "released": released, "given_up": given_up}


async def first(
    endpoint: str, folder: str, case: str, lease: float, job: str, pause: str, gate: bool
) -> dict[str, Any]:
    """The worker that stands still, or whose journal does, at the crash point or in the client's wait."""
    _stand_still(Path(folder), pause, gate)
    async with open_workspace(endpoint, folder, lease) as ws:
        return await JOBS[job](ws, Path(folder), case, True)


async def second(endpoint: str, folder: str, case: str, lease: float, job: str) -> dict[str, Any]:
    """Its successor."""
    async with open_workspace(endpoint, folder, lease) as ws:
        return await JOBS[job](ws, Path(folder), case, False)


async def batch(
    endpoint: str, folder: str, journal: str, out: str, lease: float, pause: str | None, gate: bool
) -> dict[str, Any]:
    """Take part in a batch; the one that pauses does so in the client's wait."""
    here = Path(folder)
    if pause is not None:
        _stand_still(here, pause, gate)
    async with Workspace.open(endpoint, None, journal, scope="test", lease_seconds=lease) as ws:
        summary = await run_batch(ws, load_pipeline(here / "pipeline.yaml"), here / "documents", here / out)
    return summary.model_dump(mode="json")


def _stand_still(folder: Path, pause: str, gate: bool) -> None:
    held.LOOK_SECONDS = LOOK_SECONDS
    # Cut off in the middle of a transaction it keeps the other one out until the server ends its session.
    database._SESSION_LIMITS["idle_in_transaction_session_timeout"] = "2s"
    if gate:
        _tell_of_refusals(folder)
    else:
        ClaimGate.is_open = lambda self: True  # type: ignore[method-assign]
    if pause == "freeze":
        _at_crash_point(folder, "thaw")
    elif pause == "point":
        _at_crash_point(folder, "cut")
    else:
        _in_the_wait(folder)


def _at_crash_point(folder: Path, until: str) -> None:
    """At the armed point the whole process stands still, until the test says so."""

    def sleep(_seconds: float) -> None:
        (folder / "frozen").touch()
        until_there(folder / until)

    crashpoints.time = SimpleNamespace(sleep=sleep)  # type: ignore[assignment]


def _in_the_wait(folder: Path) -> None:
    """The first wait of the client lasts until the test says so; all else in the process goes on."""
    sleep = _runtime.async_sleep

    async def wait(seconds: float) -> None:
        if (folder / "frozen").exists():
            await sleep(seconds)
            return
        (folder / "frozen").touch()
        async with asyncio.timeout(LIMIT):
            while not (folder / "thaw").exists():
                await asyncio.sleep(0.02)

    _runtime.async_sleep = wait


def _tell_of_refusals(folder: Path) -> None:
    enter = ClaimGate.enter

    async def told(self: ClaimGate) -> None:
        try:
            await enter(self)
        except AgentTasksError:
            (folder / "refused").touch()
            raise

    ClaimGate.enter = told  # type: ignore[method-assign]
