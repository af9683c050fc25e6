# Made from _async/files.py by `make generate`: change that one.
"""Uploaded files."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from agent_tasks.client._downloads import Download
from agent_tasks.client._requests import ServiceRequest, path_of
from agent_tasks.client._sync import _runtime
from agent_tasks.client._sync.resource import Resource
from agent_tasks.client._uploads import Upload
from agent_tasks.client.polling import DEFAULT_DEADLINE, FIRST_PAUSE
from agent_tasks.errors import AgentTasksError
from agent_tasks.wire import FileDeletionStatus, FileInfo, FileListResponse, FileState

LARGEST_FILE = 512 * 1024 * 1024
"""Bytes: what the service takes and gives."""
LONGEST_DOWNLOAD = 3600.0
"""Seconds for a file in whole."""
_UPLOADS_AT_ONCE = 4


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
        call = ServiceRequest("POST", "/files", creates=True, upload=Upload.of(content, filename, purpose))
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

    def get_content(self, file_id: str) -> Generator[bytes, None]:
        """The content of a file in pieces.

        Raises NotFoundError, and TransportError when it breaks off, or is larger than the service's files.
        """
        call = ServiceRequest("GET", path_of("files", file_id, "content"))
        limits = self._transport.timeouts.for_answer()
        with self._transport.observe(call):
            response = self._transport.open(call, accept="*/*", limits=limits)
            with _runtime.closing(
                self._transport.pieces(call, response, LARGEST_FILE, seconds=LONGEST_DOWNLOAD)
            ) as pieces:
                yield from pieces

    def save(
        self,
        file_id: str,
        folder: str | os.PathLike[str],
        name: str | None = None,
        *,
        overwrite: bool = False,
    ) -> Path:
        """Writes the content of a file into a folder (made if missing) and returns its path.

        The name is the given one or the file's own, made safe: its last part, without control characters,
        leading dots and what systems refuse in names. The content goes into a temporary file first, so the
        name never stands for half a file. Raises FileExistsError where there is such a file, unless
        `overwrite`; NotFoundError; TransportError when the content breaks off; ValueError for a name of which
        nothing is left.
        """
        own = name if name is not None else (self.get(file_id)).filename
        download = _runtime.in_thread(Download, Path(folder), own, overwrite)
        try:
            with _runtime.closing(self.get_content(file_id)) as pieces:
                for piece in pieces:
                    _runtime.in_thread(download.write, piece)
            return _runtime.in_thread(download.finish)
        finally:
            download.discard()

    def upload_and_poll(
        self,
        content: bytes | os.PathLike[str],
        filename: str | None = None,
        *,
        purpose: str = "assistants",
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
    ) -> FileInfo:
        """Like `upload`, and waits until the file is no longer being worked on; look at its `status`.

        Raises NotReadyError after `deadline` seconds.
        """
        file = self.upload(content, filename, purpose=purpose)
        return self._poll(
            file, path_of("files", file.id), _is_settled, poll_interval=poll_interval, deadline=deadline
        )

    @_runtime.contextmanager
    def passing(
        self, uploads: Sequence[tuple[bytes | os.PathLike[str], str | None]]
    ) -> Iterator[Sequence[str]]:
        """Uploads contents with their names, for a block that makes use of them; gives their ids.

        When an upload or the block fails, what was uploaded is deleted, unless the block may have had its
        effect (`outcome_unknown`).
        """
        ids: dict[int, str] = {}

        def upload(index: int) -> None:
            content, filename = uploads[index]
            ids[index] = (self.upload(content, filename)).id

        try:
            _runtime.for_each(upload, range(len(uploads)), at_once=_UPLOADS_AT_ONCE)
            yield [ids[index] for index in range(len(uploads))]
        except Exception as error:
            if not (len(ids) == len(uploads) and getattr(error, "outcome_unknown", False)):
                for file_id in ids.values():
                    try:
                        self.delete(file_id)
                    except AgentTasksError as failed:
                        error.add_note(f"The uploaded file {file_id} could not be deleted again: {failed}")
            raise


def _is_settled(file: FileInfo) -> bool:
    return file.status not in (FileState.UPLOADED, FileState.PENDING, FileState.RUNNING)
