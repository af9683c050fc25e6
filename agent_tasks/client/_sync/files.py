# Made from _async/files.py by `make generate`: change that one.
"""Uploaded files."""

from __future__ import annotations

import os
from collections.abc import Iterator

from agent_tasks.client._calls import Call, path_of, transport_errors
from agent_tasks.client._sync.resource import Resource
from agent_tasks.client._uploads import Upload
from agent_tasks.wire import FileDeletionStatus, FileInfo, FileListResponse


class Files(Resource):
    """Operations on files."""

    def upload(
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
        return self._call(FileInfo, call)

    def get(self, file_id: str) -> FileInfo:
        """Reads what is known about a file. Raises NotFoundError."""
        return self._get(FileInfo, path_of("files", file_id))

    def delete(self, file_id: str) -> FileDeletionStatus:
        """Deletes a file. Raises NotFoundError."""
        return self._delete(FileDeletionStatus, path_of("files", file_id), file_id)

    def list(self, *, purpose: str | None = None) -> Iterator[FileInfo]:
        """All files, of one purpose if named. The service has a single page of them."""
        page = self._get(FileListResponse, "/files", {"purpose": purpose} if purpose else None)
        yield from page.data

    def content(self, file_id: str) -> Iterator[bytes]:
        """The content of a file in pieces. Raises NotFoundError, and TransportError when it is cut off."""
        call = Call("GET", path_of("files", file_id, "content"))
        limits = self._transport.timeouts.for_answer()
        response = self._transport.open(call, accept="*/*", limits=limits)
        try:
            with transport_errors(call):
                yield from response.iter_bytes()
        finally:
            response.close()
