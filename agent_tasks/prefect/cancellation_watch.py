"""A flow run that is told to stop on the Prefect server finds out by itself, wherever it runs.

Prefect leaves that to whoever started the flow run: a worker or a served flow hears of it, and ends the
process. A flow run of a terminal has nobody like that (the dashboard greys its button, `prefect flow-run
cancel` does not), and would keep running, and be paid for, as "Cancelling"; nor is there a second chance if
the one event is lost. So the run looks at its own state.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.client.orchestration import get_client

from agent_tasks.detaching import is_detaching

__all__ = ["Stop", "is_cancelled", "told_to_stop"]

from agent_tasks.logs import get_logger

logger = get_logger("agent_tasks.prefect.cancellation_watch")

LOOK_SECONDS = 3.0
"""Pause between two looks at the flow run's state: one small request each."""

HEAR_SECONDS = 0.25
"""Pause between two looks whether the process was told to end."""

ASK_SECONDS = 10.0
"""How long the server may take to tell the flow run's state."""


class Stop:
    """Whether the flow run was told to stop."""

    def __init__(self) -> None:
        self.asked = False


@asynccontextmanager
async def told_to_stop(flow_run_id: str | None) -> AsyncIterator[Stop]:
    """Cancel the block, by `CancelledError`, once the flow run is Cancelling or Cancelled on the server.

    Also once the process was told to end by SIGTERM: the exception that Prefect's handler raises may end up
    in any task, or in none.

    Args:
        flow_run_id: the flow run; None: nobody looks.
    """
    stop = Stop()
    block = asyncio.current_task()
    if flow_run_id is None or block is None:
        yield stop
        return
    looking = asyncio.create_task(_look(flow_run_id, stop, block), name="stop-watch")
    try:
        yield stop
    finally:
        looking.cancel()
        await asyncio.wait([looking])


async def _look(flow_run_id: str, stop: Stop, block: asyncio.Task[object]) -> None:
    loop = asyncio.get_running_loop()
    while not stop.asked:
        due = loop.time() + LOOK_SECONDS
        while loop.time() < due:
            await asyncio.sleep(HEAR_SECONDS)
            if is_detaching():
                logger.info("The process is told to end (SIGTERM): its turns keep running for the next run.")
                block.cancel()
                return
        stop.asked = await is_cancelled(flow_run_id)
    logger.info("The flow run is cancelled on the server: it stops.")
    block.cancel()


async def is_cancelled(flow_run_id: str | None) -> bool:
    """Whether a flow run is Cancelling or Cancelled on the server; False if that can't be found out now."""
    if flow_run_id is None:
        return False
    try:
        async with asyncio.timeout(ASK_SECONDS), get_client() as client:
            flow_run = await client.read_flow_run(flow_run_id)  # type: ignore[arg-type]
    except Exception as error:  # whatever it is, the next look may tell: the server may be back soon
        logger.debug("The flow run's state is not known: %s", error)
        return False
    state = flow_run.state
    return state is not None and (state.is_cancelling() or state.is_cancelled())
