"""The shared reader of an output queue: each answer to its call, and a fate for everything else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import pytest

from agent_tasks.errors import (
    QueueAnswerError,
    QueueAnswerTimeoutError,
    QueueError,
    QueueNotFoundError,
    StorageUnreachableError,
)
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.queues import (
    AnswerReader,
    ClaimCheck,
    Queue,
    ReaderPolicy,
    Reference,
    Storage,
    StorageConnection,
    encode,
    send_call,
)
from agent_tasks.queues.messages import decode
from tests.support.lost_answers import losing_answers


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as storage:
        yield storage


@pytest.fixture
async def queue(storage: Storage, queue_prefix: str) -> Queue:
    queue = storage.queue(f"{queue_prefix}-output")
    await queue.create()
    return queue


@pytest.fixture
def parked(storage: Storage, queue: Queue) -> Queue:
    return storage.queue(f"{queue.name}-parked")


Readers = Callable[..., AnswerReader]


@pytest.fixture
async def readers(queue: Queue, parked: Queue, storage: Storage, queue_prefix: str) -> AsyncIterator[Readers]:
    made: list[AnswerReader] = []

    def make(**policy: float) -> AnswerReader:
        claim_check = ClaimCheck(storage, f"{queue_prefix}-values", max_bytes=100_000)
        reader = AnswerReader(queue, parked=parked, claim_check=claim_check, policy=ReaderPolicy(**policy))  # type: ignore[arg-type]
        made.append(reader)
        return reader

    yield make
    for reader in made:
        await reader.close()


def answer(correlation_id: str, value: str = "42") -> str:
    return encode(json.dumps({"Value": value, "CorrelationId": correlation_id}))


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_each_answer_reaches_its_call_and_is_deleted(queue: Queue, readers: Readers) -> None:
    reader = readers()

    async def call(name: str) -> str:
        async with reader.expect(name) as expected:
            return await expected.answer(within=20)

    calls = [asyncio.create_task(call(f"c{number}")) for number in range(40)]
    for number in reversed(range(40)):
        await queue.put(answer(f"c{number}", f"value {number}"))
    assert await asyncio.gather(*calls) == [f"value {number}" for number in range(40)]
    assert await queue.depth() == 0
    assert reader.counts.delivered == 40


async def test_nothing_is_read_while_nobody_waits(queue: Queue, readers: Readers) -> None:
    reader = readers()
    async with reader.expect("c1") as expected:
        await queue.put(answer("c1"))
        assert await expected.answer(within=10) == "42"
    await queue.put(answer("stranger"))
    await asyncio.sleep(0.3)
    [message] = await queue.peek()
    assert message.dequeue_count == 0


async def test_receiver_that_fails_leaves_the_answer_for_the_next(queue: Queue, readers: Readers) -> None:
    reader = readers()
    await queue.put(answer("c1"))
    got = []
    with pytest.raises(RuntimeError, match="journal"):  # noqa: PT012 - the block that fails is what is tested
        async with reader.expect("c1") as expected:
            got.append(await expected.answer(within=10))
            raise RuntimeError("the journal is full")
    assert got == ["42"]
    async with readers().expect("c1") as expected:
        assert await expected.answer(within=10) == "42"
    assert await queue.depth() == 0


async def test_duplicate_is_deleted(queue: Queue, readers: Readers) -> None:
    reader = readers()
    for _ in range(3):
        await queue.put(answer("c1"))
    async with reader.expect("other") as other, reader.expect("c1") as expected:
        assert await expected.answer(within=10) == "42"
        await settled(lambda: reader.counts.duplicates == 2)
        await queue.put(answer("other"))
        await other.answer(within=10)
    assert await queue.depth() == 0
    assert reader.counts.delivered == 2


async def test_late_answer_is_deleted_and_logged(
    queue: Queue, readers: Readers, caplog: pytest.LogCaptureFixture
) -> None:
    reader = readers()
    with pytest.raises(
        QueueAnswerTimeoutError, match=r"c1 got no answer from the queue .* in 0.2 s"
    ) as caught:
        async with reader.expect("c1") as expected:
            await expected.answer(within=0.2)
    assert (caught.value.queue, caught.value.correlation_id) == (queue.name, "c1")
    await queue.put(answer("c1"))
    async with reader.expect("c2"):
        await settled(lambda: reader.counts.late == 1)
    assert await queue.depth() == 0
    assert "CorrelationId c1" in caplog.text


async def test_call_that_is_asked_again_after_its_time_gets_its_answer(
    queue: Queue, readers: Readers
) -> None:
    reader = readers()
    with pytest.raises(QueueAnswerTimeoutError):
        async with reader.expect("c1") as expected:
            await expected.answer(within=0.1)
    await queue.put(answer("c1"))
    async with reader.expect("c1") as expected:
        assert await expected.answer(within=10) == "42"


async def test_foreign_answer_reaches_its_owner_in_another_process(queue: Queue, readers: Readers) -> None:
    ours, theirs = readers(), readers()
    names = [f"c{number}" for number in range(20)]

    async def call(reader: AnswerReader, name: str) -> str:
        async with reader.expect(name) as expected:
            return await expected.answer(within=30)

    calls = [asyncio.create_task(call((ours, theirs)[index % 2], name)) for index, name in enumerate(names)]
    for name in names:
        await queue.put(answer(name, name))
    assert await asyncio.gather(*calls) == names
    assert ours.counts.delivered == theirs.counts.delivered == 10
    assert ours.counts.parked + theirs.counts.parked == 0


async def test_foreign_answer_that_nobody_asks_for_is_looked_at_less_and_parked(
    queue: Queue, parked: Queue, readers: Readers
) -> None:
    reader = readers(quick_looks=2, park_after=2.0, longest_hiding=1)
    await queue.put(answer("stranger"))
    async with reader.expect("c1"):
        await settled(lambda: reader.counts.parked == 1)
    assert reader.counts.foreign_looks <= 6
    [message] = await parked.peek()
    assert message.body == answer("stranger")
    assert await queue.depth() == 0


@pytest.mark.parametrize("body", ["no json", encode("{}"), encode('{"Value": "x"}'), "/w=="])
async def test_malformed_message_is_parked_unchanged(
    queue: Queue, parked: Queue, readers: Readers, body: str
) -> None:
    reader = readers()
    await queue.put(body)
    async with reader.expect("c1"):
        await settled(lambda: reader.counts.parked == 1)
    [message] = await parked.peek()
    assert message.body == body
    assert reader.counts.malformed == 1


async def test_malformed_answer_of_a_known_call_fails_that_call(
    queue: Queue, parked: Queue, readers: Readers
) -> None:
    reader = readers()
    await queue.put(encode('{"CorrelationId": "c1"}'))
    with pytest.raises(QueueAnswerError, match="no Value"):
        async with reader.expect("c1") as expected:
            await expected.answer(within=10)
    assert await parked.depth() == 1
    assert await queue.depth() == 0


async def test_large_value_is_read_from_its_blob(
    storage: Storage, queue: Queue, readers: Readers, queue_prefix: str
) -> None:
    reader = readers()
    value = "ü" * 40_000
    reference = await ClaimCheck(storage, f"{queue_prefix}-values").store(value)
    await queue.put(_with_reference("c1", reference))
    async with reader.expect("c1") as expected:
        assert await expected.answer(within=10) == value


@pytest.mark.parametrize("is_new", [True, False], ids=["new container", "container"])
async def test_storing_a_large_text_may_be_repeated(
    storage: Storage, azurite: StorageAddresses, queue_prefix: str, is_new: bool
) -> None:
    container = f"{queue_prefix}-values"
    if not is_new:
        await ClaimCheck(storage, container).store("an earlier one")
    async with (
        losing_answers(azurite, "PUT", f"/{container}/") as (addresses, lost),
        Storage(StorageConnection.from_string(addresses.connection_string)) as unsure,
    ):
        reference = await ClaimCheck(unsure, container).store("x" * 60_000)
    assert len(lost) == 1
    assert await ClaimCheck(storage, container).load(reference) == "x" * 60_000


async def test_reference_that_leads_elsewhere_or_to_too_much_is_refused(
    storage: Storage, queue: Queue, parked: Queue, readers: Readers, queue_prefix: str
) -> None:
    container = f"{queue_prefix}-values"
    good = await ClaimCheck(storage, container).store("x" * 10)
    too_large = await ClaimCheck(storage, container).store("x" * 100_001)
    wrong = [
        (Reference("other", good.blob, good.sha256, good.size), "leads to another container: other"),
        (
            Reference(container, f"../other/{good.blob}", good.sha256, good.size),
            "names no blob",
        ),
        (Reference(container, "a/./b", good.sha256, good.size), "names no blob"),
        (Reference(container, "not-there", good.sha256, good.size), "has it expired"),
        (
            Reference(container, good.blob, "0" * 64, good.size),
            "is not the one",
        ),
        (
            Reference(container, good.blob, good.sha256, good.size - 1),
            "is not the one",
        ),
        (too_large, "at most 100000 are read"),
    ]
    reader = readers()
    for number, (reference, message) in enumerate(wrong):
        await queue.put(_with_reference(f"c{number}", reference))
        with pytest.raises(QueueAnswerError, match=message) as caught:
            async with reader.expect(f"c{number}") as expected:
                await expected.answer(within=10)
        assert caught.value.correlation_id == f"c{number}"
    assert await parked.depth() == len(wrong)
    assert await queue.depth() == 0


async def test_missing_queue_fails_every_call_at_once(storage: Storage, queue_prefix: str) -> None:
    reader = AnswerReader(storage.queue(queue_prefix), parked=storage.queue(f"{queue_prefix}-parked"))
    begun = time.monotonic()

    async def call(name: str) -> None:
        async with reader.expect(name) as expected:
            await expected.answer(within=60)

    errors = await asyncio.gather(call("c1"), call("c2"), return_exceptions=True)
    assert [type(error) for error in errors] == [QueueNotFoundError] * 2
    assert [error.correlation_id for error in errors if isinstance(error, QueueError)] == ["c1", "c2"]
    assert time.monotonic() - begun < 10


async def test_storage_that_is_down_is_named_when_the_time_is_up() -> None:
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;QueueEndpoint=http://127.0.0.1:9/a"
    async with Storage(StorageConnection.from_string(nowhere)) as storage:
        reader = AnswerReader(storage.queue("out"), parked=storage.queue("out-parked"))
        with pytest.raises(StorageUnreachableError, match="c1 got no answer"):
            async with reader.expect("c1") as expected:
                await expected.answer(within=4)
        with pytest.raises(StorageUnreachableError) as caught:
            await send_call(storage.queue("in"), {}, "c1", within=1)
        assert caught.value.correlation_id == "c1"
        await reader.close()


async def test_one_id_cannot_be_waited_for_twice(readers: Readers) -> None:
    reader = readers()
    async with reader.expect("c1"):
        with pytest.raises(QueueError, match="waits already"):
            async with reader.expect("c1"):
                pass


async def test_arguments_too_large_for_a_message_go_by_reference(
    storage: Storage, queue: Queue, queue_prefix: str
) -> None:
    claim_check = ClaimCheck(storage, f"{queue_prefix}-arguments")
    arguments = {"text": "x" * 60_000}
    await send_call(queue, arguments, "c1", within=10, claim_check=claim_check)
    [message] = await queue.receive()
    body = json.loads(decode(message.body))
    assert body["CorrelationId"] == "c1"
    assert "text" not in body
    assert json.loads(await claim_check.load(Reference(**body["ArgumentsReference"]))) == arguments


def _with_reference(correlation_id: str, reference: Reference) -> str:
    body = {"Value": "too large", "CorrelationId": correlation_id, "ValueReference": vars(reference)}
    return encode(json.dumps(body))
