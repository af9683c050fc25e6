"""Uploaded files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from agent_tasks.client._async.resource import AsyncResource
from agent_tasks.client._calls import Call, path_of, transport_errors
from agent_tasks.client._uploads import Upload
from agent_tasks.wire import FileDeletionStatus, FileInfo, FileListResponse


class AsyncFiles(AsyncResource):
    """Operations on files."""

    async def upload(
        self,
        content: bytes | os.PathLike[str],
        filename: str | None = None,
        *,
        purpose: str = "assistants",
    ) -> FileInfo:
        """Uploads bytes under a name, or a file from disk (read in pieces; its own name unless one is given).

        Only the last part of the name is sent, without control characters and quotes. At most 512 MB. Raises
        ValueError for a name of which nothing is left, OSError for a file that cannot be read.
        """
        call = Call("POST", "/files", creates=True, upload=Upload.of(content, filename, purpose))
        return await self._call(FileInfo, call)

    async def get(self, file_id: str) -> FileInfo:
        """Reads what is known about a file. Raises NotFoundError."""
        return await self._get(FileInfo, path_of("files", file_id))

    async def delete(self, file_id: str) -> FileDeletionStatus:
        """Deletes a file. Raises NotFoundError."""
        return await self._delete(FileDeletionStatus, path_of("files", file_id), file_id)

    async def list(self, *, purpose: str | None = None) -> AsyncIterator[FileInfo]:
        """All files, of one purpose if named. The service has a single page of them."""
        page = await self._get(FileListResponse, "/files", {"purpose": purpose} if purpose else None)
        for file in page.data:
            yield file

    async def content(self, file_id: str) -> AsyncIterator[bytes]:
        """The content of a file in pieces. Raises NotFoundError, and TransportError when it is cut off."""
        call = Call("GET", path_of("files", file_id, "content"))
        limits = self._transport.timeouts.for_answer()
        response = await self._transport.open(call, accept="*/*", limits=limits)
        try:
            with transport_errors(call):
                async for chunk in response.aiter_bytes():
                    yield chunk
        finally:
            await response.aclose()
