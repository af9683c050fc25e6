"""File batches of a vector store."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

from agent_tasks.client._async.files import AsyncFiles
from agent_tasks.client._async.resource import AsyncResource, request_body
from agent_tasks.client._requests import path_of
from agent_tasks.client.polling import DEFAULT_DEADLINE, FIRST_PAUSE
from agent_tasks.wire import (
    CreateVectorStoreFileBatchRequest,
    VectorStoreFile,
    VectorStoreFileBatch,
    VectorStoreFileBatchStatus,
)


class AsyncVectorStoreFileBatches(AsyncResource):
    """Operations on batches: up to 500 files added to a store together."""

    async def create(
        self, vector_store_id: str, request: CreateVectorStoreFileBatchRequest | None = None, /, **fields: Any
    ) -> VectorStoreFileBatch:
        """Adds files (`file_ids=` or `data_sources=`, `chunking_strategy=`); `in_progress` at first."""
        body = request_body(CreateVectorStoreFileBatchRequest, request, fields)
        path = path_of("vector_stores", vector_store_id, "file_batches")
        return await self._create(VectorStoreFileBatch, path, body)

    async def create_and_poll(
        self,
        vector_store_id: str,
        request: CreateVectorStoreFileBatchRequest | None = None,
        /,
        *,
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
        **fields: Any,
    ) -> VectorStoreFileBatch:
        """Like `create`, and waits until its files are in; look at `file_counts`.

        `poll_interval` is the first pause in seconds; pauses grow. Raises NotReadyError after `deadline`
        seconds.
        """
        made = await self.create(vector_store_id, request, **fields)
        path = path_of("vector_stores", vector_store_id, "file_batches", made.id)
        return await self._poll(made, path, _is_settled, poll_interval=poll_interval, deadline=deadline)

    async def upload_and_poll(
        self,
        vector_store_id: str,
        files: Sequence[os.PathLike[str] | tuple[bytes, str]],
        *,
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
        **fields: Any,
    ) -> VectorStoreFileBatch:
        """Uploads files (paths, or content and name), adds them together, and waits as `create_and_poll`.

        When one cannot be uploaded, or they cannot be added, the uploads are deleted again.
        """
        uploads = [file if isinstance(file, tuple) else (file, None) for file in files]
        async with AsyncFiles(self._transport).passing(uploads) as file_ids:
            made = await self.create(vector_store_id, file_ids=list(file_ids), **fields)
        path = path_of("vector_stores", vector_store_id, "file_batches", made.id)
        return await self._poll(made, path, _is_settled, poll_interval=poll_interval, deadline=deadline)

    async def get(self, vector_store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """Reads a batch with the counts of its files. Raises NotFoundError."""
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id)
        return await self._get(VectorStoreFileBatch, path)

    async def cancel(self, vector_store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """Stops a batch; files that are in already stay."""
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id, "cancel")
        return await self._update(VectorStoreFileBatch, path)

    def list_files(
        self,
        vector_store_id: str,
        batch_id: str,
        *,
        filter: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> AsyncIterator[VectorStoreFile]:
        """All files of a batch, in one state if `filter` names it; `limit` (1 to 100) is the page size."""
        params = {"filter": filter, "limit": limit, "order": order, "after": after, "before": before}
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id, "files")
        return self._list(VectorStoreFile, path, params)


def _is_settled(batch: VectorStoreFileBatch) -> bool:
    return batch.status != VectorStoreFileBatchStatus.IN_PROGRESS
