"""The storage account of queue tools: a round trip through a queue and a blob; the state of the queues."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Mapping

from azure.core.exceptions import AzureError

from agent_tasks.doctor.findings import Finding, failed, not_configured, ok, warning
from agent_tasks.errors import AgentTasksError, ConfigurationError, CredentialError, StorageUnreachableError
from agent_tasks.operations.queue_upkeep import find_pairs, queue_states
from agent_tasks.queues import ClaimCheck, Queue, Storage, StorageConnection, decode, encode

PROBE_PREFIX = "agent-tasks-doctor-"
"""Beginning of the name of the queue that is made and deleted."""

CONTAINER = "queue-tool-values"
"""The container of values too large for a queue; the probe's blob is deleted again."""

_SECONDS = 60.0
_TEXT = json.dumps({"Value": "ÄÖ 漢字 \N{GRINNING FACE}", "CorrelationId": "probe"}, ensure_ascii=False)


async def check_storage(connection: str, settings: Mapping[str, str]) -> AsyncIterator[Finding]:
    """The checks of the account that a connection's settings name.

    Args:
        connection: name of the connection.
        settings: the environment.
    """
    names = (connection, f"AzureWebJobs{connection}")
    if not any(settings.get(name) or settings.get(f"{name}__queueServiceUri") for name in names):
        yield not_configured(
            "storage queues",
            f"The connection {connection} is not set; queue tools need it, nothing else does.",
        )
        return
    try:
        storage = Storage(StorageConnection.from_settings(connection, settings))
    except ConfigurationError as error:
        yield failed("storage queues", str(error), f"Correct the settings of the connection {connection}.")
        return
    async with storage:
        trip = await _checked("storage queues", _queue_round_trip(storage), connection)
        yield trip
        if trip.status == "failed":
            return
        yield await _checked("storage blobs", _blob_round_trip(storage), connection)
        yield await _checked("tool queues", _tool_queues(storage), connection)


async def _checked(check: str, work: Awaitable[Finding], connection: str) -> Finding:
    role = "Blob" if check == "storage blobs" else "Queue"
    try:
        async with asyncio.timeout(_SECONDS):
            return await work
    except TimeoutError:
        return failed(check, f"It took longer than {_SECONDS:g} s.", "Look at the account and the network.")
    except StorageUnreachableError as error:
        return failed(check, str(error), f"Check the address in {connection}, the network and the firewall.")
    except CredentialError as error:
        return failed(check, str(error), f"Sign in, or set {connection} to a connection string.")
    except ConfigurationError as error:
        return failed(check, str(error), f"Correct the settings of the connection {connection}.")
    except AgentTasksError as error:
        remedy = f"Give the identity the role Storage {role} Data Contributor on the account."
        return failed(check, str(error), remedy)


async def _queue_round_trip(storage: Storage) -> Finding:
    """Put, get, update and delete, with a text that every encoding mistake would change."""
    check = "storage queues"
    queue = storage.queue(PROBE_PREFIX + secrets.token_hex(4))
    await queue.create()
    try:
        await queue.put(encode(_TEXT))
        problem = await _use(queue)
    finally:
        with contextlib.suppress(AgentTasksError):
            await queue.drop()
    if problem:
        return failed(
            check, f"{storage.address}: {problem}", "Look for another program that reads all queues."
        )
    return ok(check, f"{storage.address}: put, get, update and delete work, and texts stay what they are.")


async def _use(queue: Queue) -> str | None:
    """What is wrong with getting, updating and deleting the one message of a queue; None: nothing."""
    received = await queue.receive(1, hidden_for=30)
    if len(received) != 1:
        return "a message that was put is not there"
    if decode(received[0].body) != _TEXT:
        return "a message came back with another text"
    if await queue.receive(1):
        return "a message that was received is not hidden from others"
    if await queue.hide(received[0], 0) is None:
        return "a received message cannot be updated"
    again = await queue.receive(1, hidden_for=30)
    if len(again) != 1 or again[0].dequeue_count != 2:
        return "a message that was made visible is not there again"
    if not await queue.delete(again[0]):
        return "a received message cannot be deleted"
    return None


async def _blob_round_trip(storage: Storage) -> Finding:
    claims = ClaimCheck(storage, CONTAINER)
    reference = await claims.store(_TEXT)
    same = await claims.load(reference) == _TEXT
    with contextlib.suppress(AzureError):
        await storage.container(CONTAINER).delete_blob(reference.blob)
    if not same:
        return failed(
            "storage blobs", "A blob came back with another text.", "Look at the account's policies."
        )
    return ok("storage blobs", f"Values too large for a queue can be kept in the container {CONTAINER}.")


async def _tool_queues(storage: Storage) -> Finding:
    check = "tool queues"
    states = await queue_states(storage, await find_pairs(storage))
    if not states:
        remedy = "Create TOOL-input and TOOL-output for each tool; the Functions host does not."
        return not_configured(check, "There are no queues of tools in the account.", remedy)
    missing = [state.name for one in states for state in (one.input, one.output) if state.depth is None]
    if missing:
        return failed(check, f"Queues are missing: {', '.join(missing)}.", "Create them; the host does not.")
    poison = sum(one.poison.depth or 0 for one in states)
    parked = sum(one.parked.depth or 0 for one in states)
    if poison or parked:
        return warning(
            check,
            f"{poison} calls failed and are not answered yet, {parked} were answered with an error.",
            "Look at them: agent-tasks queues; send them again: agent-tasks queues redrive",
        )
    return ok(check, f"The queues of {len(states)} tools are there; no call has failed.")
