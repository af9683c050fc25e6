"""Claim check: a text too large for a message lies in a blob, and the message carries a reference to it.

References come from outside. They are followed into the one container that the configuration names, to blobs
with harmless names, up to a size, and the text has to be the one the reference was made for.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import uuid
from datetime import UTC, datetime

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

from agent_tasks.errors import QueueAnswerError, QueueMessageTooLargeError
from agent_tasks.queues.messages import Reference
from agent_tasks.queues.storage import Storage, storage_error

__all__ = ["ClaimCheck"]

# No empty part and none of dots alone: an address must not lead out of the container.
_BLOB_NAME = re.compile(r"(?=.{1,512}\Z)[A-Za-z0-9][A-Za-z0-9._=-]*(/[A-Za-z0-9][A-Za-z0-9._=-]*)*")


class ClaimCheck:
    """Puts large texts into a container of an account, and reads them back.

    Args:
        storage: the account.
        container: the container's name; created at the first use.
        max_bytes: largest text that is put or read.
    """

    def __init__(self, storage: Storage, container: str, *, max_bytes: int = 32 * 1024 * 1024) -> None:
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
        data = text.encode("utf-8", "replace")
        if len(data) > self.max_bytes:
            raise QueueMessageTooLargeError(
                f"A text of {len(data)} bytes was to be put into the container {self.container}; it takes "
                f"{self.max_bytes}."
            )
        name = f"{datetime.now(UTC):%Y-%m-%d}/{uuid.uuid4().hex}"
        container = self._storage.container(self.container)
        try:
            try:
                # The name is new: only this very request, repeated after its answer was lost, finds a blob.
                await container.upload_blob(name, data, overwrite=True)
            except ResourceNotFoundError:
                with contextlib.suppress(ResourceExistsError):
                    await container.create_container()
                await container.upload_blob(name, data, overwrite=True)
        except AzureError as error:
            raise storage_error(error, "", self._storage.connection.name) from error
        return Reference(self.container, name, hashlib.sha256(data).hexdigest(), len(data))

    async def load(self, reference: Reference) -> str:
        """Reads a text back.

        Raises:
            QueueAnswerError: the reference leads elsewhere, to nothing, or to another text.
            QueueError: the storage refused.
            ConfigurationError: the connection leads to no blobs.
        """
        if reference.container != self.container:
            raise QueueAnswerError(
                f"The value is said to be in the container {reference.container!r}; only {self.container} "
                "is read."
            )
        if _BLOB_NAME.fullmatch(reference.blob) is None:
            raise QueueAnswerError(f"The value is said to be in a blob named {reference.blob!r}: refused.")
        if reference.size > self.max_bytes:
            raise QueueAnswerError(
                f"The value has {reference.size} bytes; at most {self.max_bytes} are read. Let the function "
                "answer less."
            )
        blob = self._storage.container(self.container).get_blob_client(reference.blob)
        try:
            # One byte more than it should have: a longer blob is another one, and is not read to its end.
            data = await (await blob.download_blob(offset=0, length=reference.size + 1)).readall()
        except ResourceNotFoundError:
            raise QueueAnswerError(
                f"The value's blob {reference.blob} is not in the container {self.container}; has it expired?"
            ) from None
        except AzureError as error:
            raise storage_error(error, "", self._storage.connection.name) from error
        if len(data) != reference.size or hashlib.sha256(data).hexdigest() != reference.sha256:
            raise QueueAnswerError(
                f"The blob {reference.blob} is not the value that the answer was sent for."
            )
        return data.decode("utf-8", "replace")
