"""The queue trigger: takes messages out of a queue, has a function called, and gives each message its fate.

As Microsoft's host does it (read in its published source):

- It fetches `batchSize` messages, hidden for ten minutes, which is renewed at half while a function works. It
  fetches again when no more than `newBatchThreshold` are at work. After an empty look it waits 100 ms, then
  twice as long each time, with some chance in it, up to `maxPollingInterval`.
- A function that succeeds: its outputs are put, then the message is deleted.
- One that fails, or whose process ends: with `maxDequeueCount` tries the message goes into `<queue>-poison`,
  otherwise it is visible again after `visibilityTimeout`. A message of a poison queue stays hidden instead.
- What it puts, outputs and poison, is gone after the 7 days that queues keep a message by default.
- A message that is not in the encoding goes into the poison queue at once.
- Delivery is at least once: a host that is killed leaves its messages hidden until the ten minutes are over.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from agent_tasks.errors import AgentTasksError, QueueNotFoundError, StorageUnreachableError
from agent_tasks.local.functions_host.configuration import HostOptions
from agent_tasks.local.functions_host.wire import Function, Invocation, Outcome
from agent_tasks.local.functions_host.worker import AppWorker, WorkerGoneError
from agent_tasks.logs import DETAIL, get_logger
from agent_tasks.queues import Queue, ReceivedMessage

__all__ = ["LEASE_SECONDS", "QueueListener"]

logger = get_logger("agent_tasks.functions")
T = TypeVar("T")

LEASE_SECONDS = 600
"""How long a message is hidden while it is worked on, unless that is renewed."""
FIRST_PAUSE = 0.1
POISON = "-poison"
STORAGE_PATIENCE = 60.0
"""Seconds for which outputs and fates are tried again while the storage does not answer."""


class QueueListener:
    """The trigger of one function.

    Args:
        function: whose messages these are.
        queue: its input queue.
        poison: where messages go that cannot be worked on; None for a queue of such messages.
        outputs: the queues of its output bindings, by binding.
        worker: calls it.
        options: of host.json.
        lease: seconds for which messages are hidden at a time.
    """

    def __init__(
        self,
        function: Function,
        queue: Queue,
        poison: Queue | None,
        outputs: dict[str, Queue],
        worker: AppWorker,
        options: HostOptions,
        *,
        lease: int = LEASE_SECONDS,
    ) -> None:
        self.function = function
        self.queue = queue
        self._poison = poison
        self._outputs = outputs
        self._worker = worker
        self._options = options
        self._lease = lease
        self._at_work: set[asyncio.Task[None]] = set()
        self._trouble = ""

    async def run(self) -> None:
        """Listens until it is cancelled; messages at work are finished, see `drain`."""
        pause = FIRST_PAUSE
        options = self._options.queues
        while True:
            while len(self._at_work) > options.threshold:
                await asyncio.wait(self._at_work, return_when=asyncio.FIRST_COMPLETED)
            messages = await self._fetch(options.batch_size)
            for message in messages:
                task = asyncio.create_task(self._process(message))
                self._at_work.add(task)
                task.add_done_callback(self._at_work.discard)
            if messages:
                pause = FIRST_PAUSE
                continue
            await asyncio.sleep(pause)
            grown = 2 * pause * random.uniform(0.8, 1.2)  # noqa: S311 - so that hosts do not look all at once
            pause = min(grown, options.max_polling_interval)

    async def drain(self, seconds: float) -> None:
        """Waits for what is at work; what takes longer is given up, and visible to others at once."""
        if self._at_work:
            await asyncio.wait(self._at_work, timeout=seconds)
        tasks = list(self._at_work)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, limit: int) -> list[ReceivedMessage]:
        try:
            messages = await self.queue.receive(limit, hidden_for=self._lease)
        except AgentTasksError as error:
            if str(error) != self._trouble:
                logger.error("%s: %s", self.function.name, error)
            self._trouble = str(error)
            return []
        if self._trouble:
            logger.info("%s: the queue %s can be read again", self.function.name, self.queue.name)
        self._trouble = ""
        return messages

    async def _process(self, message: ReceivedMessage) -> None:
        held = _Held(message)
        renewing = asyncio.create_task(self._renew(held))
        try:
            body = decoded(message.body, self._options.queues.message_encoding)
            if body is None:
                logger.error("%s: message %s is not base64 of UTF-8", self.function.name, message.id)
                await self._give_up(held)
                return
            if await self._succeeds(body, held):
                await _patiently(lambda: self.queue.delete(held.message))
            else:
                await self._fail(held)
        except asyncio.CancelledError:
            with suppress(AgentTasksError):
                await asyncio.shield(self.queue.hide(held.message, 0))
            raise
        except AgentTasksError as error:
            logger.error(
                "%s: message %s stays, hidden for up to %d s: %s",
                *(self.function.name, message.id, self._lease, error),
            )
        finally:
            renewing.cancel()

    async def _succeeds(self, body: str, held: _Held) -> bool:
        """Calls the function and puts its outputs; False: something of it failed."""
        name, message = self.function.name, held.message
        invocation = Invocation(
            id=str(uuid.uuid4()),
            function_id=self.function.id,
            body=body,
            message_id=message.id,
            dequeue_count=message.dequeue_count,
            pop_receipt=message.pop_receipt,
            inserted_at=message.inserted_at.isoformat(),
            expires_at=_iso(message.expires_at),
            next_visible_at=_iso(message.next_visible_at),
        )
        try:
            outcome = await self._worker.call(invocation, timeout=self._options.function_timeout)
        except WorkerGoneError as error:
            outcome = Outcome(invocation.id, error=str(error))
        if outcome.error is not None:
            logger.error(
                "%s: message %s failed (try %d of %d)",
                *(name, message.id, message.dequeue_count, self._options.queues.max_dequeue_count),
                extra={DETAIL: outcome.error},
            )
            return False
        try:
            for binding, texts in outcome.outputs.items():
                for text in texts:
                    await self._put(
                        self._outputs[binding], encoded(text, self._options.queues.message_encoding)
                    )
        except AgentTasksError as error:
            logger.error("%s: message %s failed, its outputs could not be put: %s", name, message.id, error)
            return False
        return True

    async def _fail(self, held: _Held) -> None:
        options = self._options.queues
        if self._poison is None:
            # As Microsoft's host does: it stays hidden, which keeps it from going round in circles.
            logger.error("%s: message %s stays in %s", self.function.name, held.message.id, self.queue.name)
        elif held.message.dequeue_count >= options.max_dequeue_count:
            await self._give_up(held)
        else:
            await _patiently(lambda: self.queue.hide(held.message, round(options.visibility_timeout)))

    async def _give_up(self, held: _Held) -> None:
        """Moves a message into the poison queue."""
        poison = self._poison
        if poison is None:
            return
        logger.error("%s: message %s goes into %s", self.function.name, held.message.id, poison.name)
        await self._put(poison, held.message.body)
        await _patiently(lambda: self.queue.delete(held.message))

    async def _put(self, queue: Queue, body: str) -> None:
        try:
            await _patiently(lambda: queue.put(body))
        except QueueNotFoundError:
            await queue.create()
            await _patiently(lambda: queue.put(body))

    async def _renew(self, held: _Held) -> None:
        while True:
            await asyncio.sleep(self._lease / 2)
            try:
                renewed = await self.queue.hide(held.message, self._lease)
            except AgentTasksError as error:
                logger.error("%s: message %s was not renewed: %s", self.function.name, held.message.id, error)
                continue
            if renewed is None:
                logger.error("%s: message %s was taken by another host", self.function.name, held.message.id)
                return
            held.message = renewed


class _Held:
    """A message at work, with its newest receipt."""

    def __init__(self, message: ReceivedMessage) -> None:
        self.message = message


def decoded(body: str, encoding: str) -> str | None:
    """The text of a message, before whose base64 a byte order mark may stand; None where it is no base64."""
    if encoding == "none":
        return body
    try:
        return base64.b64decode(body.removeprefix("\ufeff"), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def encoded(text: str, encoding: str) -> str:
    """A text as it is put into a queue."""
    return text if encoding == "none" else base64.b64encode(text.encode()).decode()


async def _patiently(operation: Callable[[], Awaitable[T]]) -> T:
    """Does something with the storage, again and again while it does not answer."""
    pause = FIRST_PAUSE
    give_up = asyncio.get_running_loop().time() + STORAGE_PATIENCE
    while True:
        try:
            return await operation()
        except StorageUnreachableError:
            if asyncio.get_running_loop().time() + pause > give_up:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 5.0)


def _iso(moment: datetime | None) -> str:
    return moment.isoformat() if moment is not None else ""
