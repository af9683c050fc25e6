"""Claim check: what is too large for a queue lies in a blob, and the message carries a reference.

Blobs are named by the day, each with a name of its own. They are not deleted here: a rule of the storage
account's lifecycle management removes them (README).
"""

from __future__ import annotations

import hashlib
import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime

import app_settings
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from queue_messages import Reference
from storage import storage

MAX_VALUE_BYTES = 32 * 1024 * 1024
"""Largest text in bytes that is put into a blob or read from one."""

# No empty part and none of dots alone: an address must not lead out of the container.
_BLOB_NAME = re.compile(r"(?=.{1,512}\Z)[A-Za-z0-9][A-Za-z0-9._=-]*(/[A-Za-z0-9][A-Za-z0-9._=-]*)*")


class BadReferenceError(Exception):
    """A reference leads nowhere, elsewhere, or to another text than it was made for."""


class ValueTooLargeError(Exception):
    """A value has more than `MAX_VALUE_BYTES`."""


async def store(text: str) -> Reference:
    """Put a text into a blob of its own. Raises ValueTooLargeError."""
    data = text.encode("utf-8", "replace")
    if len(data) > MAX_VALUE_BYTES:
        raise ValueTooLargeError(f"the answer has {len(data)} bytes, at most {MAX_VALUE_BYTES} can be kept")
    name = f"{datetime.now(UTC):%Y-%m-%d}/{uuid.uuid4().hex}"
    container = storage().blobs().get_container_client(app_settings.values_container())
    try:
        # The name is new: only this very request, repeated after its answer was lost, finds a blob there.
        await container.upload_blob(name, data, overwrite=True)
    except ResourceNotFoundError:
        with suppress(ResourceExistsError):
            await container.create_container()
        await container.upload_blob(name, data, overwrite=True)
    return Reference(container.container_name, name, hashlib.sha256(data).hexdigest(), len(data))


async def load(reference: Reference) -> str:
    """Read a text back. Only this app's container is read, whatever the reference says.

    Raises BadReferenceError.
    """
    if reference.container != app_settings.values_container():
        raise BadReferenceError(f"the reference leads to another container: {reference.container}")
    if _BLOB_NAME.fullmatch(reference.blob) is None:
        raise BadReferenceError("the reference names no blob of the container")
    if not 0 <= reference.size <= MAX_VALUE_BYTES:
        raise BadReferenceError(
            f"the reference names {reference.size} bytes; at most {MAX_VALUE_BYTES} are read"
        )
    blob = storage().blobs().get_blob_client(reference.container, reference.blob)
    try:
        found = await blob.download_blob(offset=0, length=reference.size + 1)
        data = await found.readall()
    except ResourceNotFoundError:
        raise BadReferenceError(f"there is no blob {reference.blob}; has it expired?") from None
    if len(data) != reference.size or hashlib.sha256(data).hexdigest() != reference.sha256:
        raise BadReferenceError(f"the blob {reference.blob} is not the one that the reference was made for")
    return data.decode("utf-8")
