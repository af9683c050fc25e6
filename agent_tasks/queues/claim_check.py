"""Claim check: a text too large for a message lies in a blob, and the message carries a reference to it."""

from __future__ import annotations

from azure.core.exceptions import AzureError

from agent_tasks.errors import QueueAnswerError, QueueMessageTooLargeError
from agent_tasks.queues import large_texts
from agent_tasks.queues.message_format import Reference
from agent_tasks.queues.storage import Storage, storage_error

__all__ = ["ClaimCheck"]


class ClaimCheck:
    """Puts large texts into a container of an account, and reads them back.

    Args:
        storage: the account.
        container: the container's name; created at the first use.
        max_bytes: largest text that is put or read.
    """

    def __init__(
        self, storage: Storage, container: str, *, max_bytes: int = large_texts.MAX_TEXT_BYTES
    ) -> None:
        self._storage = storage
        self.container = container
        self.max_bytes = max_bytes

    async def store(self, text: str) -> Reference:
        """Puts a text into a blob of its own; blobs are removed by a lifecycle rule of the account.

        Raises:
            QueueMessageTooLargeError: it has more than `max_bytes`.
            QueueError: the storage refused.
            ConfigurationError: the connection leads to no blobs.
        """
        container = self._storage.container(self.container)
        try:
            return await large_texts.put(container, text, max_bytes=self.max_bytes)
        except large_texts.TextTooLargeError as error:
            raise QueueMessageTooLargeError(
                f"A text was not put into the container {self.container}: {error}."
            ) from None
        except AzureError as error:
            raise storage_error(error, "", self._storage.connection.name) from error

    async def load(self, reference: Reference) -> str:
        """Reads a text back.

        Raises:
            QueueAnswerError: the reference leads elsewhere, to nothing, or to another text.
            QueueError: the storage refused.
            ConfigurationError: the connection leads to no blobs.
        """
        container = self._storage.container(self.container)
        try:
            return await large_texts.get(container, reference, max_bytes=self.max_bytes)
        except large_texts.BadReferenceError as error:
            raise QueueAnswerError(
                f"The value is not in the message, and cannot be read from where it is said to be: {error}"
            ) from None
        except AzureError as error:
            raise storage_error(error, "", self._storage.connection.name) from error
