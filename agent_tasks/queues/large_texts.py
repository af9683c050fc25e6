"""Texts too large for a message, in blobs: common to the pipeline and to the Function App.

References come from outside. They are followed into the one container that is given, to blobs with harmless
names, up to a size, and the text has to be the one that the reference was made for. Blobs are named by the
day, each with a name of its own; a rule of the storage account's lifecycle management removes them.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from agent_tasks.queues.message_format import Reference

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient

MAX_TEXT_BYTES = 32 * 1024 * 1024
"""Largest text in bytes that is put into a blob or read from one, unless the caller says otherwise."""

# No empty part and none of dots alone: an address must not lead out of the container.
_BLOB_NAME = re.compile(r"(?=.{1,512}\Z)[A-Za-z0-9][A-Za-z0-9._=-]*(/[A-Za-z0-9][A-Za-z0-9._=-]*)*")


class BadReferenceError(Exception):
    """A reference leads nowhere, elsewhere, or to another text than it was made for."""


class TextTooLargeError(Exception):
    """A text has more bytes than may be put into a blob."""


async def put(container: ContainerClient, text: str, *, max_bytes: int = MAX_TEXT_BYTES) -> Reference:
    """Put a text into a blob of its own; the container is created at the first use.

    Raises:
        TextTooLargeError: it has more than `max_bytes`.
        AzureError: the storage refused.
    """
    data = text.encode("utf-8", "replace")
    if len(data) > max_bytes:
        raise TextTooLargeError(f"the text has {len(data)} bytes, at most {max_bytes} can be kept")
    name = f"{datetime.now(UTC):%Y-%m-%d}/{uuid.uuid4().hex}"
    try:
        # The name is new: only this very request, repeated after its answer was lost, finds a blob there.
        await container.upload_blob(name, data, overwrite=True)
    except ResourceNotFoundError:
        with contextlib.suppress(ResourceExistsError):
            await container.create_container()
        await container.upload_blob(name, data, overwrite=True)
    return Reference(container.container_name, name, hashlib.sha256(data).hexdigest(), len(data))


async def get(container: ContainerClient, reference: Reference, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Read a text back. Only this container is read, whatever the reference says.

    Raises:
        BadReferenceError: the reference leads elsewhere, to nothing, or to another text.
        AzureError: the storage refused.
    """
    if reference.container != container.container_name:
        raise BadReferenceError(f"the reference leads to another container: {reference.container}")
    if _BLOB_NAME.fullmatch(reference.blob) is None:
        raise BadReferenceError("the reference names no blob of the container")
    if not 0 <= reference.size <= max_bytes:
        raise BadReferenceError(f"the reference names {reference.size} bytes; at most {max_bytes} are read")
    blob = container.get_blob_client(reference.blob)
    try:
        # One byte more than it should have: a longer blob is another one, and is not read to its end.
        data = await (await blob.download_blob(offset=0, length=reference.size + 1)).readall()
    except ResourceNotFoundError:
        raise BadReferenceError(f"there is no blob {reference.blob}; has it expired?") from None
    if len(data) != reference.size or hashlib.sha256(data).hexdigest() != reference.sha256:
        raise BadReferenceError(f"the blob {reference.blob} is not the one that the reference was made for")
    return data.decode("utf-8", "replace")
