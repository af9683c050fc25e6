"""Queues of a real storage emulator: what each operation does, and the error for each refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from agent_tasks.errors import (
    QueueError,
    QueueMessageTooLargeError,
    QueueNotFoundError,
    QueuePermissionError,
    StorageUnreachableError,
)
from agent_tasks.local.azurite import ACCOUNT, ACCOUNT_KEY, StorageAddresses
from agent_tasks.queues import MAX_MESSAGE_BYTES, Queue, Storage, StorageConnection


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as storage:
        yield storage


@pytest.fixture
async def queue(storage: Storage, queue_prefix: str) -> Queue:
    queue = storage.queue(queue_prefix)
    assert await queue.create()
    return queue


async def test_message_is_put_received_and_deleted(queue: Queue) -> None:
    sent = await queue.put("ümläut & <xml>")
    assert await queue.depth() == 1
    [peeked] = await queue.peek()
    [message] = await queue.receive(hidden_for=30)
    assert (peeked.id, message.id, message.body) == (sent, sent, "ümläut & <xml>")
    assert message.dequeue_count == 1
    assert datetime.now(UTC) - message.inserted_at < timedelta(minutes=1)
    assert await queue.receive() == []
    assert await queue.delete(message)
    assert await queue.depth() == 0
    assert await queue.delete(message), "a message that is gone counts as deleted"


async def test_receipt_is_worth_nothing_after_somebody_else_has_received(queue: Queue) -> None:
    await queue.put("x")
    [first] = await queue.receive(hidden_for=60)
    put_back = await queue.hide(first, 0)
    assert put_back is not None
    assert put_back.body == "x"
    [second] = await queue.receive(hidden_for=60)
    assert (second.body, second.dequeue_count) == ("x", 2)
    assert not await queue.delete(first)
    assert await queue.hide(first, 0) is None
    assert await queue.delete(second)
    assert await queue.hide(second, 0) is None


async def test_creating_twice_and_dropping_twice_is_harmless(queue: Queue, storage: Storage) -> None:
    assert not await queue.create()
    assert await storage.queue_names(queue.name) == [queue.name]
    await queue.drop()
    await queue.drop()
    assert await storage.queue_names(queue.name) == []


async def test_largest_message_fits_and_one_byte_more_does_not(queue: Queue) -> None:
    await queue.put("x" * MAX_MESSAGE_BYTES)
    with pytest.raises(QueueMessageTooLargeError, match="65537 bytes"):
        await queue.put("x" * MAX_MESSAGE_BYTES + "x")
    assert await queue.depth() == 1


async def test_missing_queue_is_named(storage: Storage, queue_prefix: str) -> None:
    for attempt in (storage.queue(queue_prefix).receive(), storage.queue(queue_prefix).put("x")):
        with pytest.raises(QueueNotFoundError, match=f"There is no queue {queue_prefix}") as caught:
            await attempt
        assert caught.value.queue == queue_prefix
        assert not caught.value.retryable


async def test_signature_without_the_right_is_refused(azurite: StorageAddresses, queue: Queue) -> None:
    signature = generate_account_sas(
        ACCOUNT,
        ACCOUNT_KEY,
        ResourceTypes(object=True),
        AccountSasPermissions(read=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    limited = StorageConnection.from_string(
        f"QueueEndpoint={azurite.queue};SharedAccessSignature={signature}"
    )
    async with Storage(limited) as storage:
        with pytest.raises(QueuePermissionError, match="Storage Queue Data Contributor") as caught:
            await storage.queue(queue.name).put("x")
    assert signature not in str(caught.value)
    assert caught.value.code is not None


async def test_wrong_key_is_refused(azurite: StorageAddresses, queue: Queue) -> None:
    text = azurite.connection_string.get_secret_value().replace("AccountKey=Eby", "AccountKey=Abc")
    async with Storage(StorageConnection.from_string(text)) as storage:
        with pytest.raises(QueuePermissionError):
            await storage.queue(queue.name).receive()


async def test_storage_that_is_down_may_be_asked_again() -> None:
    nowhere = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;QueueEndpoint=http://127.0.0.1:9/a"
    async with Storage(StorageConnection.from_string(nowhere)) as storage:
        with pytest.raises(StorageUnreachableError) as caught:
            await storage.queue("some-queue").receive()
    assert caught.value.retryable


async def test_impossible_name_is_a_typed_error(storage: Storage) -> None:
    with pytest.raises(QueueError):
        await storage.queue("Not_A_Name").create()
