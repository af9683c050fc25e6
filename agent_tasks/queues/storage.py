"""A storage account while it is open, and its queues: the official client, with typed errors.

    async with Storage(connection) as storage:
        queue = storage.queue("lookup-supplier-input")
        await queue.put(encode("{...}"))

Bodies are texts as they stand in the queue: what they mean is `agent_tasks.queues.messages`'.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)

from agent_tasks.errors import (
    ConfigurationError,
    CredentialError,
    QueueError,
    QueueMessageTooLargeError,
    QueueNotFoundError,
    QueuePermissionError,
    StorageUnreachableError,
)
from agent_tasks.queues.connection import StorageConnection
from agent_tasks.queues.messages import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.storage.blob.aio import BlobServiceClient, ContainerClient
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

__all__ = ["Queue", "ReceivedMessage", "Storage"]

T = TypeVar("T")
_Client = TypeVar("_Client", "QueueServiceClient", "BlobServiceClient")

RECEIVE_AT_ONCE = 32
"""Messages that one request gets at most."""
FOREVER = -1
"""Time to live of messages that must not be lost."""


@dataclass(frozen=True)
class ReceivedMessage:
    """A message as it was received: hidden from others until `next_visible_at`."""

    id: str
    body: str
    dequeue_count: int
    """How often it has been received, this time included."""
    inserted_at: datetime
    pop_receipt: str
    """Proof that it was received last by whoever holds this; each receive and update gives a new one."""
    expires_at: datetime | None = None
    next_visible_at: datetime | None = None


class Storage:
    """A storage account while it is open: `async with Storage(connection) as storage`."""

    def __init__(self, connection: StorageConnection, credential: AsyncTokenCredential | None = None) -> None:
        self.connection = connection
        self._given = credential
        self._own: AsyncTokenCredential | None = None
        self._queues: QueueServiceClient | None = None
        self._blobs: BlobServiceClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections. Safe to call twice; a later operation opens them again."""
        clients, self._queues, self._blobs, self._own = (
            (self._queues, self._blobs, self._own),
            None,
            None,
            None,
        )
        for client in clients:
            if client is not None:
                await client.close()

    @property
    def address(self) -> str:
        """The address of the account's queues, without a signature."""
        return self._queue_service().primary_endpoint.partition("?")[0].rstrip("/")

    def queue(self, name: str) -> Queue:
        """One of its queues, whether it exists or not."""
        return Queue(self._queue_service().get_queue_client(name), self.connection.name)

    def container(self, name: str) -> ContainerClient:
        """One of its blob containers, as the official client has it. Raises ConfigurationError."""
        if self._blobs is None:
            from azure.storage.blob.aio import BlobServiceClient

            self._blobs = self._client(BlobServiceClient, "blobs", self._blob_address)
        return self._blobs.get_container_client(name)

    async def queue_names(self, prefix: str = "") -> list[str]:
        """The names of its queues that begin with `prefix`. Raises QueueError."""

        async def listed() -> list[str]:
            return [
                str(queue.name) async for queue in self._queue_service().list_queues(name_starts_with=prefix)
            ]

        return await _typed(listed, "", self.connection.name)

    def _client(self, kind: type[_Client], what: str, address: Callable[[], str]) -> _Client:
        """The official client of a service of the account. Raises ConfigurationError."""
        string = self.connection.connection_string
        try:
            if string is not None:
                return kind.from_connection_string(string.get_secret_value(), **_options())
            return kind(address(), credential=self._credential(), **_options())
        except ValueError as error:
            raise self._unusable(what, error) from None

    def _queue_service(self) -> QueueServiceClient:
        if self._queues is None:
            from azure.storage.queue.aio import QueueServiceClient

            self._queues = self._client(
                QueueServiceClient, "queues", lambda: str(self.connection.queue_endpoint)
            )
        return self._queues

    def _unusable(self, what: str, error: ValueError) -> ConfigurationError:
        name = self.connection.name
        return ConfigurationError(f"{name} cannot be used for {what}: {error}", setting=name)

    def _credential(self) -> AsyncTokenCredential:
        if self._given is not None:
            return self._given
        if self._own is None:
            from azure.identity import aio as identity  # half a second: only where somebody signs in

            client_id = self.connection.client_id
            if self.connection.identity == "managedidentity":
                self._own = identity.ManagedIdentityCredential(client_id=client_id)
            else:
                self._own = identity.DefaultAzureCredential(managed_identity_client_id=client_id)
        return self._own

    def _blob_address(self) -> str:
        if self.connection.blob_endpoint:
            return self.connection.blob_endpoint
        account, dot, rest = (urlsplit(self.connection.queue_endpoint or "").hostname or "").partition(
            ".queue."
        )
        if not dot:
            raise ConfigurationError(
                f"{self.connection.name}__blobServiceUri is not set, and the address of the blobs cannot be "
                "told from that of the queues.",
                setting=f"{self.connection.name}__blobServiceUri",
            )
        return f"https://{account}.blob.{rest}"


class Queue:
    """A queue of an open account.

    Every method raises QueueNotFoundError, QueuePermissionError, StorageUnreachableError or another
    QueueError, and CredentialError where nobody is signed in.
    """

    def __init__(self, client: QueueClient, connection: str) -> None:
        self._client = client
        self._connection = connection

    @property
    def name(self) -> str:
        """Its name."""
        return str(self._client.queue_name)

    @property
    def address(self) -> str:
        """Its address, without a signature; the same for all who mean the same queue."""
        return str(self._client.url).partition("?")[0].rstrip("/")

    async def put(self, body: str, *, time_to_live: int | None = None, visible_in: int = 0) -> str:
        """Adds a message; returns its id.

        Args:
            body: as it stands in the queue: up to `MAX_MESSAGE_BYTES` bytes.
            time_to_live: seconds; None: the service's default of 7 days; -1: for ever.
            visible_in: seconds until it can be received.

        Raises QueueMessageTooLargeError besides.
        """
        size = len(body.encode())
        if size > MAX_MESSAGE_BYTES:
            raise QueueMessageTooLargeError(
                f"A message for the queue {self.name} has {size} bytes; a queue takes {MAX_MESSAGE_BYTES}.",
                queue=self.name,
            )
        sent = await self._do(
            lambda: self._client.send_message(body, time_to_live=time_to_live, visibility_timeout=visible_in)
        )
        return str(sent.id)

    async def receive(self, limit: int = RECEIVE_AT_ONCE, *, hidden_for: int = 30) -> list[ReceivedMessage]:
        """Receives up to `limit` (at most 32) messages, which others do not see for `hidden_for` seconds."""

        async def received() -> list[ReceivedMessage]:
            pages = self._client.receive_messages(
                messages_per_page=limit, max_messages=limit, visibility_timeout=hidden_for
            ).by_page()
            # One request: the pager would go on until a page is empty.
            async for page in pages:
                return [_message(message) async for message in page]
            return []

        return await self._do(received)

    async def peek(self, limit: int = RECEIVE_AT_ONCE) -> list[ReceivedMessage]:
        """Looks at up to `limit` (at most 32) visible messages without receiving them."""

        async def peeked() -> list[ReceivedMessage]:
            return [_message(message) for message in await self._client.peek_messages(max_messages=limit)]

        return await self._do(peeked)

    async def delete(self, message: ReceivedMessage) -> bool:
        """Deletes a received message. True: it is gone; False: somebody else has received it since."""
        try:
            await self._do(lambda: self._client.delete_message(message.id, message.pop_receipt))
        except _NotOursError:
            return False
        except _GoneError:
            pass  # perhaps by this very request, whose first answer was lost
        return True

    async def hide(self, message: ReceivedMessage, seconds: int) -> ReceivedMessage | None:
        """Makes a received message visible to others in `seconds` (0: at once); it goes by a new receipt.

        Returns None where it is gone, or somebody else has received it since.
        """
        try:
            updated = await self._do(
                lambda: self._client.update_message(
                    message.id, message.pop_receipt, visibility_timeout=seconds
                )
            )
        except (_GoneError, _NotOursError):
            return None
        return replace(message, pop_receipt=str(updated.pop_receipt), next_visible_at=updated.next_visible_on)

    async def create(self) -> bool:
        """Creates the queue. False: it was there already."""
        try:
            await self._do(self._client.create_queue)
        except _AlreadyThereError:
            return False
        return True

    async def drop(self) -> None:
        """Deletes the queue and what is in it; nothing happens if there is none."""
        try:
            await self._do(self._client.delete_queue)
        except QueueNotFoundError:
            return

    async def depth(self) -> int:
        """About how many messages are in it, the hidden ones too."""
        properties = await self._do(self._client.get_queue_properties)
        return int(properties.approximate_message_count or 0)

    async def clear(self) -> None:
        """Deletes all its messages."""
        await self._do(self._client.clear_messages)

    async def _do(self, operation: Callable[[], Awaitable[T]]) -> T:
        return await _typed(operation, self.name, self._connection)


class _AlreadyThereError(QueueError):
    """The queue exists."""


class _GoneError(QueueError):
    """The message exists no more: deleted by somebody, or by our own request whose answer was lost."""


class _NotOursError(QueueError):
    """Somebody else has received the message since."""


def _message(message: Any) -> ReceivedMessage:
    return ReceivedMessage(
        str(message.id),
        str(message.content or ""),
        int(message.dequeue_count or 0),
        message.inserted_on,
        str(message.pop_receipt or ""),
        message.expires_on,
        message.next_visible_on,
    )


_PATIENCE: dict[str, Any] = {
    "retry_total": 1,
    "initial_backoff": 0.2,
    "increment_base": 2,
    "random_jitter_range": 0,
    "connection_timeout": 5,
    "read_timeout": 20,
}
"""One quick repetition: whoever waits for more has a deadline, and goes by it."""


def _options() -> dict[str, Any]:
    """Options of every client; it trusts whom the environment names, as the blocking clients do."""
    trusted = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
    if not trusted:
        return _PATIENCE
    from agent_tasks.queues.transport import TrustingTransport  # what it imports takes its time

    try:
        return {**_PATIENCE, "transport": TrustingTransport(trusted, **_PATIENCE)}
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The certificates in {trusted} cannot be read ({error}). Correct REQUESTS_CA_BUNDLE or "
            "SSL_CERT_FILE.",
            setting="REQUESTS_CA_BUNDLE",
        ) from None


async def _typed(operation: Callable[[], Awaitable[T]], queue: str, connection: str) -> T:
    try:
        return await operation()
    except AzureError as error:
        raise storage_error(error, queue, connection) from error


def storage_error(error: AzureError, queue: str, connection: str) -> Exception:
    """The typed error for an error of the official client."""
    where = f"the queue {queue}" if queue else "the storage account"
    code = getattr(error, "error_code", None) or ""
    code = str(getattr(code, "value", code))  # an enumeration, but for codes that the client does not know
    detail = str(error.message).partition("\n")[0]
    if isinstance(error, ResourceExistsError) and code == "QueueAlreadyExists":
        return _AlreadyThereError(detail, queue=queue, code=code)
    if isinstance(error, ResourceNotFoundError):
        if code == "MessageNotFound":
            return _GoneError(detail, queue=queue, code=code)
        return QueueNotFoundError(
            f"There is no queue {queue} (connection {connection}). Create it: neither the service nor the "
            "Functions host does.",
            queue=queue,
            code=code or None,
        )
    if isinstance(error, ClientAuthenticationError) and not code:  # of the identity, not of the storage
        return CredentialError(f"Nobody is signed in to {where} (connection {connection}): {detail}")
    if isinstance(error, HttpResponseError):
        status = error.status_code or 0
        if code == "PopReceiptMismatch":
            return _NotOursError(detail, queue=queue, code=code)
        if status in (401, 403):
            return QueuePermissionError(
                f"Access to {where} was refused ({status} {code}; connection {connection}). Give the "
                "identity the role Storage Queue Data Contributor, or use a key or signature that allows it.",
                queue=queue,
                code=code or None,
            )
        if status == 413:
            return QueueMessageTooLargeError(
                f"The message is too large for {where}: it takes {MAX_MESSAGE_BYTES} bytes.", queue=queue
            )
        if status < 500 and status not in (0, 408, 429):
            return QueueError(f"{where} answered {status} {code}: {detail}", queue=queue, code=code or None)
    return StorageUnreachableError(
        f"The storage of {where} does not answer as it should (connection {connection}): "
        f"{type(error).__name__}: {detail}",
        queue=queue,
        code=code or None,
    )
