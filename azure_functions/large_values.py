"""Claim check: what is too large for a queue lies in a blob of this app's container (`large_texts`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import app_settings
import large_texts
from large_texts import BadReferenceError, TextTooLargeError
from storage import storage

if TYPE_CHECKING:
    from azure.storage.blob.aio import ContainerClient
    from message_format import Reference

__all__ = ["BadReferenceError", "TextTooLargeError", "load", "store"]


async def store(text: str) -> Reference:
    """Put a text into a blob of its own. Raises TextTooLargeError."""
    return await large_texts.put(_container(), text)


async def load(reference: Reference) -> str:
    """Read a text back. Only this app's container is read, whatever the reference says.

    Raises BadReferenceError.
    """
    return await large_texts.get(_container(), reference)


def _container() -> ContainerClient:
    return storage().blobs().get_container_client(app_settings.values_container())
