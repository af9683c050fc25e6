"""The part of the Functions host's queue trigger that faults depend on, with short times, for a test's tools.

    async with serving(connection, [tool]):
        ...

Success deletes the message after the answer is in the output queue; a failure makes it visible again, and
after `max_tries` it is copied to the poison queue and deleted there. A killed process leaves its messages
hidden for `HIDDEN_FOR` seconds (the real host: 10 minutes). The whole host is `agent-tasks functions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from agent_tasks.errors import QueueError, QueueNotFoundError
from agent_tasks.queues import Queue, ReceivedMessage, Storage, StorageConnection, encode

HIDDEN_FOR = 3
MAX_TRIES = 3


@asynccontextmanager
async def serving(connection: StorageConnection, tools: Iterable[Any]) -> AsyncIterator[None]:
    """Serve tools of the app (`queue_tool`) in this process; the app's folder is on the module path."""
    async with Storage(connection) as storage:
        tasks = [
            asyncio.create_task(work)
            for tool in tools
            for work in (_serve(storage, tool, poison=False), _serve(storage, tool, poison=True))
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def serve_for_ever(connection_string: str, tools: Iterable[Any]) -> None:
    """For a process of its own, which can be killed."""
    async with serving(StorageConnection.from_string(connection_string), tools):
        await asyncio.Event().wait()


async def make_queues(storage: Storage, tool: Any) -> None:
    """The queues that a person has to make."""
    for name in (tool.input_queue, tool.output_queue):
        await storage.queue(name).create()


async def _serve(storage: Storage, tool: Any, *, poison: bool) -> None:
    responder = importlib.import_module("responder")
    source = storage.queue(tool.poison_queue if poison else tool.input_queue)
    at_work: set[asyncio.Task[None]] = set()
    try:
        while True:
            try:
                received = await source.receive(16, hidden_for=HIDDEN_FOR)
            except QueueError:  # missing, or the storage is down: the host goes on polling
                received = []
            for message in received:
                delivery = responder.Delivery(message.body.encode(), message.inserted_at)
                work = _fail_safely(storage, tool, source, message, delivery, poison=poison)
                task = asyncio.create_task(work)
                at_work.add(task)
                task.add_done_callback(at_work.discard)
            await asyncio.sleep(0.05 if received else 0.1)
    finally:
        for task in list(at_work):
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


async def _fail_safely(
    storage: Storage, tool: Any, source: Queue, message: ReceivedMessage, delivery: Any, *, poison: bool
) -> None:
    with contextlib.suppress(QueueError):  # hidden for a while, then delivered again
        await _deliver(storage, tool, source, message, delivery, poison=poison)


async def _deliver(
    storage: Storage, tool: Any, source: Queue, message: ReceivedMessage, delivery: Any, *, poison: bool
) -> None:
    responder = importlib.import_module("responder")
    try:
        if poison:
            given_up = await responder.give_up(tool, delivery)
            answer = given_up.answer
            if given_up.is_parked:
                await _put(storage.queue(tool.parked_queue), message.body)
        else:
            answer = await responder.respond(tool, delivery)
        if answer is not None:
            await _put(storage.queue(tool.output_queue), encode(answer))
    except QueueError:
        raise
    except Exception:
        if poison:
            return  # it stays hidden
        if message.dequeue_count < MAX_TRIES:
            await source.hide(message, 0)
            return
        await _put(storage.queue(tool.poison_queue), message.body)
    await source.delete(message)


async def _put(queue: Queue, body: str) -> None:
    """As the host's output binding: a queue that is missing is made."""
    try:
        await queue.put(body)
    except QueueNotFoundError:
        await queue.create()
        await queue.put(body)
