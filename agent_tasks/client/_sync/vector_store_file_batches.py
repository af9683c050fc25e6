# Made from _async/vector_store_file_batches.py by `make generate`: change that one.
"""File batches of a vector store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from agent_tasks.client._calls import path_of
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.wire import CreateVectorStoreFileBatchRequest, VectorStoreFile, VectorStoreFileBatch


class VectorStoreFileBatches(Resource):
    """Operations on batches: up to 500 files added to a store together."""

    def create(
        self, vector_store_id: str, request: CreateVectorStoreFileBatchRequest | None = None, /, **fields: Any
    ) -> VectorStoreFileBatch:
        """Adds files (`file_ids=` or `data_sources=`, `chunking_strategy=`); `in_progress` at first."""
        body = request_body(CreateVectorStoreFileBatchRequest, request, fields)
        path = path_of("vector_stores", vector_store_id, "file_batches")
        return self._create(VectorStoreFileBatch, path, body)

    def get(self, vector_store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """Reads a batch with the counts of its files. Raises NotFoundError."""
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id)
        return self._get(VectorStoreFileBatch, path)

    def cancel(self, vector_store_id: str, batch_id: str) -> VectorStoreFileBatch:
        """Stops a batch; files that are in already stay."""
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id, "cancel")
        return self._update(VectorStoreFileBatch, path)

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
    ) -> Iterator[VectorStoreFile]:
        """The files of a batch, in one state if `filter` names it."""
        params = {"filter": filter, "limit": limit, "order": order, "after": after, "before": before}
        path = path_of("vector_stores", vector_store_id, "file_batches", batch_id, "files")
        return self._list(VectorStoreFile, path, params)
