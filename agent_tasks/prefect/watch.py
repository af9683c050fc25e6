"""The Prefect flow `watch`: tells of what has waited for long, for people or in the queues of tools."""

# No `from __future__ import annotations`: a served flow (`.serve()`) is run from a copy, in which Prefect
# can't look the names of the annotations up.

import time

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.states import Completed

from agent_tasks.batch.run_log import keep_run_logs_plain
from agent_tasks.display import duration
from agent_tasks.operations.queue_upkeep import find_pairs, queue_states
from agent_tasks.operations.waiting import longest_waits
from agent_tasks.prefect.blocks import AgentsProject, load_project
from agent_tasks.prefect.events import QUEUE_OLD, WAITING_LONG, tell
from agent_tasks.prefect.project_flow import closed
from agent_tasks.queues import Storage, StorageConnection
from agent_tasks.settings import environment

keep_run_logs_plain()

OLD = "Old"
"""Name of the flow run's state where something has waited for long; its type is Completed."""


@closed
@flow(
    name="watch",
    description="Looks how long documents and questions have waited for people, and calls in the queues of "
    "tools for a Function App, and sends an event for what is too old. Nothing is sent to a service.",
    persist_result=False,
)
async def watch(
    project: AgentsProject | str | None = None,
    waiting_hours: float = 24.0,
    queue_minutes: float = 10.0,
    connection: str | None = None,
) -> State[None]:
    """Look for what has waited for long.

    Args:
        project: The project as a block, or the name of a saved block; default the environment's.
        waiting_hours: How long a document or a question may wait for a person.
        queue_minutes: How long a call may lie in the queue of a tool.
        connection: Setting that says where the queues are, such as STORAGE; None: queues are not looked at.

    Returns:
        A state that says what is too old; its name is Old then. For each there is an event, which
        `agent-tasks automations apply --notify` tells people of.

    Raises:
        ConfigurationError: The setting of the connection is not usable.
        QueueError: The queues can't be looked at.
        JournalError: The journal can't be read.
    """
    where = await load_project(project)
    said = await _for_people(where, waiting_hours * 3600)
    if connection is not None:
        said += await _in_queues(connection, queue_minutes * 60)
    logger = get_run_logger()
    for one in said:
        logger.warning("%s", one)
    if said:
        return Completed(name=OLD, message="; ".join(said))
    return Completed(message="nothing has waited for long")


async def _for_people(where: AgentsProject, most: float) -> list[str]:
    said = []
    async with where.workspace() as ws:
        waits = await longest_waits(ws)
    for one in waits:
        age = time.time() - one.since
        if age < most:
            continue
        what = f"{one.name}: {one.count:,} wait for a person, the first for {duration(age)}"
        resource = f"agent-tasks.batch.{one.owner}"
        tell(WAITING_LONG, resource, one.name, what, seconds=round(age), count=one.count)
        said.append(what)
    return said


async def _in_queues(connection: str, most: float) -> list[str]:
    said = []
    async with Storage(StorageConnection.from_settings(connection, environment())) as storage:
        tools = await queue_states(storage, await find_pairs(storage))
    for tool in tools:
        age = tool.input.oldest
        if age is None or age < most:
            continue
        what = f"{tool.tool}: the first of {tool.input.depth or 0:,} calls has waited for {duration(age)}"
        resource = f"agent-tasks.queue.{tool.input.name}"
        tell(QUEUE_OLD, resource, tool.tool, what, seconds=round(age), count=tool.input.depth or 0)
        said.append(what)
    return said
