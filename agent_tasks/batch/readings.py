"""A document's bytes and text, read before it has a slot: no slot waits for a file."""

from __future__ import annotations

import asyncio
import time

from agent_tasks.batch.context import Batch
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.operations import content_hash

__all__ = ["Reading"]


class Reading:
    """What is read of one document, once.

    Args:
        batch: The batch.
        file: The document.
    """

    def __init__(self, batch: Batch, file: DocumentFile) -> None:
        self._batch = batch
        self.file = file
        self._bytes: tuple[bytes, str] | None = None
        self._text: DocumentContent | None = None
        self._error: Exception | None = None
        """What happened to the first of these that is not there."""
        self.seconds = 0.0
        """What it took, ahead of the document's slot."""

    async def ahead(self) -> None:
        """Read what there is to read. What goes wrong is raised when it is asked for."""
        begun = time.monotonic()
        try:
            await self.content()
            if self._batch.origin is None:  # a fork may keep the row as it is, and need no text
                await self.text()
        except Exception as error:
            self._error = error
        self.seconds = time.monotonic() - begun

    async def content(self) -> tuple[bytes, str]:
        """The file's bytes and their hash.

        Raises:
            DocumentError: It cannot be read.
        """
        if self._bytes is None:
            self._raise_what_happened()
            self._bytes = await asyncio.to_thread(self._read)
        return self._bytes

    async def text(self) -> DocumentContent:
        """Its text, with what is known of places in it.

        Raises:
            DocumentError: It cannot be read.
            ConfigurationError: Nothing can: the processes that read cannot be started.
        """
        content, _ = await self.content()
        if self._text is None:
            self._raise_what_happened()
            limits = self._batch.pipeline.reading
            self._text = await shared_pool().read_async(content, self.file.name, limits=limits)
        return self._text

    def _raise_what_happened(self) -> None:
        if self._error is not None:
            raise self._error

    def _read(self) -> tuple[bytes, str]:
        content = self.file.read(self._batch.pipeline.limits.max_document_bytes)
        return content, content_hash(content)
