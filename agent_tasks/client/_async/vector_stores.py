"""Vector stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

from agent_tasks.client._async.resource import AsyncResource, request_body
from agent_tasks.client._requests import path_of
from agent_tasks.client.polling import DEFAULT_DEADLINE, FIRST_PAUSE
from agent_tasks.wire import (
    CreateVectorStoreRequest,
    UpdateVectorStoreRequest,
    VectorStore,
    VectorStoreDeletionStatus,
    VectorStoreStatus,
)


class AsyncVectorStores(AsyncResource):
    """Operations on vector stores."""

    async def create(self, request: CreateVectorStoreRequest | None = None, /, **fields: Any) -> VectorStore:
        """Creates a store from a request or its fields (`name=`, at most 500 `file_ids=`, ...)."""
        body = request_body(CreateVectorStoreRequest, request, fields)
        return await self._create(VectorStore, "/vector_stores", body)

    async def create_and_poll(
        self,
        request: CreateVectorStoreRequest | None = None,
        /,
        *,
        poll_interval: float = FIRST_PAUSE,
        deadline: float = DEFAULT_DEADLINE,
        **fields: Any,
    ) -> VectorStore:
        """Like `create`, and waits until its files are in; look at `file_counts`.

        `poll_interval` is the first pause in seconds; pauses grow. Raises NotReadyError after `deadline`
        seconds.
        """
        made = await self.create(request, **fields)
        path = path_of("vector_stores", made.id)
        return await self._poll(made, path, _is_settled, poll_interval=poll_interval, deadline=deadline)

    async def get(self, vector_store_id: str) -> VectorStore:
        """Reads a store with the counts of its files. Raises NotFoundError."""
        return await self._get(VectorStore, path_of("vector_stores", vector_store_id))

    async def update(
        self, vector_store_id: str, request: UpdateVectorStoreRequest | None = None, /, **fields: Any
    ) -> VectorStore:
        """Changes the given fields of a store (`name=`, `expires_after=`, `metadata=`)."""
        body = request_body(UpdateVectorStoreRequest, request, fields)
        return await self._update(VectorStore, path_of("vector_stores", vector_store_id), body)

    async def delete(self, vector_store_id: str) -> VectorStoreDeletionStatus:
        """Deletes a store; the uploaded files stay. Raises NotFoundError."""
        path = path_of("vector_stores", vector_store_id)
        return await self._delete(VectorStoreDeletionStatus, path, vector_store_id)

    def list(
        self,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> AsyncIterator[VectorStore]:
        """All stores, newest first unless `order="asc"`; `limit` (1 to 100) is the size of a page."""
        params = {"limit": limit, "order": order, "after": after, "before": before}
        return self._list(VectorStore, "/vector_stores", params)


def _is_settled(store: VectorStore) -> bool:
    return store.status != VectorStoreStatus.IN_PROGRESS
