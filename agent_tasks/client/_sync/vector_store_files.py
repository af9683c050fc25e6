# Made from _async/vector_store_files.py by `make generate`: change that one.
"""Files of a vector store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from agent_tasks.client._calls import path_of
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.wire import CreateVectorStoreFileRequest, VectorStoreFile, VectorStoreFileDeletionStatus


class VectorStoreFiles(Resource):
    """Operations on the files of a vector store; their ids are those of the uploaded files."""

    def create(
        self, vector_store_id: str, request: CreateVectorStoreFileRequest | None = None, /, **fields: Any
    ) -> VectorStoreFile:
        """Adds a file (`file_id=` or `data_source=`, `chunking_strategy=`); status `in_progress` at first.

        Raises BadRequestError (code `unsupported_file`) for a format that cannot be searched.
        """
        body = request_body(CreateVectorStoreFileRequest, request, fields)
        return self._create(VectorStoreFile, path_of("vector_stores", vector_store_id, "files"), body)

    def get(self, vector_store_id: str, file_id: str) -> VectorStoreFile:
        """Reads the state of a file in the store. Raises NotFoundError."""
        return self._get(VectorStoreFile, path_of("vector_stores", vector_store_id, "files", file_id))

    def delete(self, vector_store_id: str, file_id: str) -> VectorStoreFileDeletionStatus:
        """Takes a file out of the store; the uploaded file stays. Raises NotFoundError."""
        path = path_of("vector_stores", vector_store_id, "files", file_id)
        return self._delete(VectorStoreFileDeletionStatus, path, file_id)

    def list(
        self,
        vector_store_id: str,
        *,
        filter: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Iterator[VectorStoreFile]:
        """The files of a store, in one state if `filter` names it, newest first unless `order="asc"`."""
        params = {"filter": filter, "limit": limit, "order": order, "after": after, "before": before}
        return self._list(VectorStoreFile, path_of("vector_stores", vector_store_id, "files"), params)
