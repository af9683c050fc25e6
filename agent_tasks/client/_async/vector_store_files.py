"""Files of a vector store."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any, Literal

from agent_tasks.client._async.files import AsyncFiles
from agent_tasks.client._async.resource import AsyncResource, request_body
from agent_tasks.client._requests import path_of
from agent_tasks.client.polling import DEFAULT_DEADLINE, FIRST_PAUSE
from agent_tasks.wire import (
    CreateVectorStoreFileRequest,
    VectorStoreFile,
    VectorStoreFileDeletionStatus,
    VectorStoreFileStatus,
)


class AsyncVectorStoreFiles(AsyncResource):
    """Operations on the files of a vector store; their ids are those of the uploaded files."""

    async def create(
        self, vector_store_id: str, request: CreateVectorStoreFileRequest | None = None, /, **fields: Any
    ) -> VectorStoreFile:
        """Adds a file (`file_id=` or `data_source=`, `chunking_strategy=`); status `in_progress` at first.

        Raises BadRequestError (code `unsupported_file`) for a format that cannot be searched.
        """
        body = request_body(CreateVectorStoreFileRequest, request, fields)
        return await self._create(VectorStoreFile, path_of("vector_stores", vector_store_id, "files"), body)

    async def create_and_poll(
        self,
        vector_store_id: str,
        request: CreateVectorStoreFileRequest | None = None,
        /,
        *,
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
        **fields: Any,
    ) -> VectorStoreFile:
        """Like `create`, and waits until the file is in, or not; look at its `status` and `last_error`.

        `poll_interval` is the first pause in seconds; pauses grow. Raises NotReadyError after `deadline`
        seconds.
        """
        made = await self.create(vector_store_id, request, **fields)
        path = path_of("vector_stores", vector_store_id, "files", made.id)
        return await self._poll(made, path, _is_settled, poll_interval=poll_interval, deadline=deadline)

    async def upload_and_poll(
        self,
        vector_store_id: str,
        content: bytes | os.PathLike[str],
        filename: str | None = None,
        *,
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
        **fields: Any,
    ) -> VectorStoreFile:
        """Uploads a file as `files.upload` does, adds it, and waits as `create_and_poll` does.

        When it cannot be added, the upload is deleted again.
        """
        async with AsyncFiles(self._transport).passing([(content, filename)]) as (file_id,):
            made = await self.create(vector_store_id, file_id=file_id, **fields)
        path = path_of("vector_stores", vector_store_id, "files", made.id)
        return await self._poll(made, path, _is_settled, poll_interval=poll_interval, deadline=deadline)

    async def get(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        """Reads the state of a file in the store. Raises NotFoundError."""
        return await self._get(VectorStoreFile, path_of("vector_stores", vector_store_id, "files", file_id))

    async def delete(self, vector_store_id: str, file_id: str) -> VectorStoreFileDeletionStatus:
        """Takes a file out of the store; the uploaded file stays. Raises NotFoundError."""
        path = path_of("vector_stores", vector_store_id, "files", file_id)
        return await self._delete(VectorStoreFileDeletionStatus, path, file_id)

    def list(
        self,
        vector_store_id: str,
        *,
        filter: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> AsyncIterator[VectorStoreFile]:
        """All files of a store, in one state if `filter` names it, newest first unless `order="asc"`.

        `limit` (1 to 100) is the size of a page.
        """
        params = {"filter": filter, "limit": limit, "order": order, "after": after, "before": before}
        return self._list(VectorStoreFile, path_of("vector_stores", vector_store_id, "files"), params)


def _is_settled(file: VectorStoreFile) -> bool:
    return file.status != VectorStoreFileStatus.IN_PROGRESS
