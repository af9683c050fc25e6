"""One reader for each output queue, shared by all calls that wait for an answer there.

    reader = AnswerReader(storage.queue("tool-output"), parked=storage.queue("tool-output-parked"))
    async with reader.expect(call_id) as expected:
        await send_call(storage.queue("tool-input"), arguments, call_id, within=30)
        value = await expected.answer(within=60)
        ...                          # commit it: only a clean end of the block deletes the message

It reads while somebody waits, and at no other time. Several processes may read one queue. What becomes of
each message:

- An answer that is waited for is handed over. Its message is deleted when the receiver is done, and back in
  the queue if the receiver fails.
- A duplicate of one that was handed over is deleted and counted.
- A late one, whose call's time was up in this process, is logged, deleted and counted.
- A foreign one, of a call that this process does not know, is left visible for its owner and looked at ever
  less often; it is moved to the dead letters when it is older than `ReaderPolicy.park_after`.
- A malformed one (no JSON, no `CorrelationId`, a reference that is none) is a dead letter. If its call is
  known and waits, that gets QueueAnswerError.
- One whose value is too large, or not where its reference says, is a dead letter; its call gets
  QueueAnswerError.

Dead letters lie unchanged in the queue `parked`, for ever: nothing that came in is lost unread.
"""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from agent_tasks.errors import (
    AgentTasksError,
    QueueAnswerError,
    QueueAnswerTimeoutError,
    QueueError,
    QueueNotFoundError,
    StorageUnreachableError,
)
from agent_tasks.logs import get_logger
from agent_tasks.pauses import Pauses
from agent_tasks.queues.claim_check import ClaimCheck
from agent_tasks.queues.messages import AnswerMessage, read_answer
from agent_tasks.queues.storage import FOREVER, Queue, ReceivedMessage

__all__ = ["AnswerReader", "Expected", "ReaderCounts", "ReaderPolicy"]

logger = get_logger("agent_tasks.queues")

REMEMBERED = 10_000
"""How many ended calls a reader knows, to tell duplicates and late answers from foreign ones."""


@dataclass(frozen=True)
class ReaderPolicy:
    """How a reader reads; all times in seconds."""

    first_pause: float = 0.02
    """Pause after an empty look, when a call has just begun to wait or an answer has just come."""
    longest_pause: float = 1.0
    """The pause grows by half up to this."""
    hidden_for: int = 60
    """How long a received answer is hidden from others: the time its receiver has to commit it."""
    quick_looks: int = 20
    """How often a foreign message is put back at once; after that for 1, 2, 4, ... seconds."""
    longest_hiding: int = 15
    """The longest that a foreign message is hidden from its owner."""
    park_after: float = 3600.0
    """Age of a foreign message for which no owner is expected any more: longer than runs live."""


@dataclass
class ReaderCounts:
    """What a reader has seen so far."""

    delivered: int = 0
    duplicates: int = 0
    late: int = 0
    foreign_looks: int = 0
    malformed: int = 0
    parked: int = 0


class Expected:
    """A call that waits for its answer: `async with reader.expect(id) as expected`."""

    def __init__(self, reader: AnswerReader, correlation_id: str) -> None:
        self._reader = reader
        self.correlation_id = correlation_id
        self._arrived: asyncio.Future[AnswerMessage] = asyncio.get_running_loop().create_future()
        self._message: ReceivedMessage | None = None
        self._gave_up = False

    async def answer(self, *, within: float) -> str:
        """Waits for the answer; returns its value. Its message is deleted at the end of the block.

        Args:
            within: seconds to wait.

        Raises:
            QueueAnswerTimeoutError: none came in time; if one comes later, it is dropped.
            StorageUnreachableError: none came in time, and the storage does not answer.
            QueueAnswerError: one came that cannot be used.
            QueueError: the queue is missing, or the storage refuses.
        """
        try:
            async with asyncio.timeout(within):
                answer = await asyncio.shield(self._arrived)
        except TimeoutError:
            self._gave_up = True
            raise self._reader.not_in_time(self.correlation_id, within) from None
        if answer.reference is None or self._reader.claim_check is None:
            return answer.value
        try:
            return await self._reader.claim_check.load(answer.reference)
        except QueueAnswerError as error:
            error.queue, error.correlation_id = self._reader.queue.name, self.correlation_id
            raise

    def abandon(self) -> None:
        """Nobody waits for the answer any more: one that comes later is dropped."""
        self._gave_up = True

    async def __aenter__(self) -> Self:
        self._reader.register(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.settle(self, error)

    # --- for the reader ---

    @property
    def is_open(self) -> bool:
        """Whether nothing has arrived yet."""
        return not self._arrived.done()

    @property
    def message(self) -> ReceivedMessage | None:
        """The message of the answer, once it has arrived."""
        return self._message

    @property
    def gave_up(self) -> bool:
        """Whether nobody waits any more, so that an answer is late."""
        return self._gave_up

    def deliver(self, message: ReceivedMessage, answer: AnswerMessage | QueueError) -> None:
        """Hands the answer over, or what is wrong with it."""
        self._message = message
        self._finish(answer)

    def fail(self, error: AgentTasksError) -> None:
        """No answer can come: the queue cannot be read."""
        self._finish(error)

    def renew(self, message: ReceivedMessage) -> None:
        """The same message was received again: its former receipt is worth nothing any more."""
        self._message = message

    def _finish(self, answer: AnswerMessage | AgentTasksError) -> None:
        if self._arrived.done():
            return
        if isinstance(answer, AnswerMessage):
            self._arrived.set_result(answer)
        else:
            self._arrived.set_exception(answer)
            self._arrived.exception()  # it counts as looked at, should nobody ask for it


@dataclass
class _Ended:
    """Ids of calls that have ended here: the newest `REMEMBERED`, each with whether it was answered."""

    calls: OrderedDict[str, bool] = field(default_factory=OrderedDict)

    def add(self, correlation_id: str, *, answered: bool) -> None:
        self.calls[correlation_id] = answered
        self.calls.move_to_end(correlation_id)
        if len(self.calls) > REMEMBERED:
            self.calls.popitem(last=False)


class AnswerReader:
    """Reads an output queue for all calls of this process that wait there; see the module.

    Args:
        queue: the output queue.
        parked: where messages go that nobody here can use; created when it is needed.
        claim_check: follows references to values that were too large; None: readers get the `Value` beside
            them.
        policy: how it reads.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        parked: Queue,
        claim_check: ClaimCheck | None = None,
        policy: ReaderPolicy | None = None,
    ) -> None:
        self.queue = queue
        self.claim_check = claim_check
        self.counts = ReaderCounts()
        self._parked = parked
        self._policy = policy or ReaderPolicy()
        self._expected: dict[str, Expected] = {}
        self._ended = _Ended()
        self._reading: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._trouble: StorageUnreachableError | None = None

    def expect(self, correlation_id: str) -> Expected:
        """A call whose answer is expected from when the block is entered: before it is sent."""
        return Expected(self, correlation_id)

    def note_answered(self, correlation_id: str) -> None:
        """A call has its answer already, from before this process: its message is a duplicate."""
        self._ended.add(correlation_id, answered=True)

    async def close(self) -> None:
        """Stops reading. Calls that still wait run into their own time limits."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])
            self._reading = None

    # --- for the calls ---

    def register(self, expected: Expected) -> None:
        """A call begins to wait. Raises QueueError where another one waits under the same id."""
        if expected.correlation_id in self._expected:
            raise QueueError(
                f"A call {expected.correlation_id} waits already for an answer in {self.queue.name}.",
                queue=self.queue.name,
                correlation_id=expected.correlation_id,
            )
        self._expected[expected.correlation_id] = expected
        self._ended.calls.pop(expected.correlation_id, None)
        self._woken.set()
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read())

    async def settle(self, expected: Expected, error: BaseException | None) -> None:
        """A call has ended, with the message of its answer or without one."""
        del self._expected[expected.correlation_id]
        message = expected.message
        if message is None:
            if expected.gave_up:
                self._ended.add(expected.correlation_id, answered=False)
            return
        # Shielded: what was handed over has its fate also when the receiver is cancelled.
        if error is None:
            self._ended.add(expected.correlation_id, answered=True)
            await asyncio.shield(self._safely(self.queue.delete(message), message))
        elif isinstance(error, QueueAnswerError):
            self._ended.add(expected.correlation_id, answered=False)
            await asyncio.shield(self._safely(self._park(message, str(error)), message))
        else:
            await asyncio.shield(self._safely(self.queue.hide(message, 0), message))

    def not_in_time(self, correlation_id: str, within: float) -> QueueError:
        """The error for a call whose time is up."""
        where = (
            f"The call {correlation_id} got no answer from the queue {self.queue.name} in {within:g} seconds"
        )
        if self._trouble is not None:
            return StorageUnreachableError(
                f"{where}: {self._trouble}", queue=self.queue.name, correlation_id=correlation_id
            )
        return QueueAnswerTimeoutError(
            f"{where}. Is the Function App running, with this queue as its output? Its log knows the call by "
            "its CorrelationId.",
            queue=self.queue.name,
            correlation_id=correlation_id,
        )

    # --- reading ---

    async def _read(self) -> None:
        """Reads until nobody waits any more."""
        pauses = Pauses(self._policy.first_pause, self._policy.longest_pause)
        while any(expected.is_open for expected in self._expected.values()):
            self._woken.clear()
            found = 0
            try:
                messages = await self.queue.receive(hidden_for=self._policy.hidden_for)
                self._trouble = None
                found = await self._sort(messages)
            except StorageUnreachableError as error:
                if self._trouble is None:
                    logger.warning("%s: %s", self.queue.name, error)
                self._trouble = error
            except Exception as error:
                self._fail(error)
                return
            if found:
                pauses.restart()
                continue
            if await pauses.until(self._woken):
                pauses.restart()

    def _fail(self, error: Exception) -> None:
        """The queue cannot be read: everybody who waits is told."""
        logger.error("%s: %s", self.queue.name, error)
        for expected in self._expected.values():
            told = copy.copy(error) if isinstance(error, AgentTasksError) else QueueError(str(error))
            if isinstance(told, QueueError):
                told.queue, told.correlation_id = self.queue.name, expected.correlation_id
            expected.fail(told)

    async def _sort(self, messages: list[ReceivedMessage]) -> int:
        """Gives each message its fate; returns how many were of calls that this process knows."""
        found = 0
        fates: list[Awaitable[None]] = []
        for message in messages:
            fate = self._fate(message)
            if fate is None:
                found += 1
            else:
                fates.append(self._safely(fate, message))
        await asyncio.gather(*fates)
        return found

    def _fate(self, message: ReceivedMessage) -> Awaitable[object] | None:
        """What is to be done with a message; None: it was handed over."""
        answer: AnswerMessage | QueueAnswerError
        try:
            answer = read_answer(message.body)
        except QueueAnswerError as error:
            answer = error
        correlation_id = answer.correlation_id
        expected = self._expected.get(correlation_id or "")
        if isinstance(answer, QueueAnswerError):
            self.counts.malformed += 1
            if expected is None or not expected.is_open:
                return self._park(message, str(answer))
        if correlation_id is None:
            raise AssertionError("an answer without an id is malformed")
        if expected is not None and expected.is_open:
            self.counts.delivered += 1
            expected.deliver(message, answer)
            return None
        if expected is not None and expected.message is not None and expected.message.id == message.id:
            expected.renew(message)
            return None
        if expected is not None or self._ended.calls.get(correlation_id):
            self.counts.duplicates += 1
            logger.info("%s: CorrelationId %s: a duplicate is deleted", self.queue.name, correlation_id)
            return self.queue.delete(message)
        if correlation_id in self._ended.calls:
            self.counts.late += 1
            logger.warning(
                "%s: CorrelationId %s: an answer came %.0f s after it was written, too late; it is deleted",
                self.queue.name,
                correlation_id,
                _age(message),
            )
            return self.queue.delete(message)
        self.counts.foreign_looks += 1
        if _age(message) > self._policy.park_after:
            return self._park(message, f"nobody has asked for it in {self._policy.park_after:g} seconds")
        return self.queue.hide(message, self._hiding(message.dequeue_count))

    def _hiding(self, looks: int) -> int:
        beyond = looks - self._policy.quick_looks
        return 0 if beyond <= 0 else int(min(2 ** min(beyond - 1, 10), self._policy.longest_hiding))

    async def _park(self, message: ReceivedMessage, why: str) -> None:
        logger.warning(
            "%s: message %s is a dead letter, moved to %s: %s",
            self.queue.name,
            message.id,
            self._parked.name,
            why,
        )
        try:
            await self._parked.put(message.body, time_to_live=FOREVER)
        except QueueNotFoundError:
            await self._parked.create()
            await self._parked.put(message.body, time_to_live=FOREVER)
        self.counts.parked += 1
        await self.queue.delete(message)

    async def _safely(self, work: Awaitable[object], message: ReceivedMessage) -> None:
        """A message whose fate fails stays: it is visible again after a while, and gets its fate then."""
        try:
            await work
        except QueueError as error:
            logger.warning("%s: message %s stays for now: %s", self.queue.name, message.id, error)


def _age(message: ReceivedMessage) -> float:
    """Seconds since the message was put into the queue."""
    return (datetime.now(UTC) - message.inserted_at).total_seconds()
