"""The client of a service of responses: agents with versions, conversations, responses, files and stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from agent_tasks.client._async.credentials import AsyncTokenSource
from agent_tasks.client._async.files import AsyncFiles
from agent_tasks.client._async.response_streams import AsyncResponseStream
from agent_tasks.client._async.transport import AsyncTransport
from agent_tasks.client._async.vector_store_file_batches import AsyncVectorStoreFileBatches
from agent_tasks.client._async.vector_store_files import AsyncVectorStoreFiles
from agent_tasks.client._async.vector_stores import AsyncVectorStores
from agent_tasks.client._options import Credential, RetryPolicy, Timeouts
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.errors import InvalidAnswerError


class AsyncResponsesClient:
    """Speaks to a service of responses, below one address.

    A POST that creates something is sent once: it is repeated only where it provably had no effect (429, a
    connection that was refused), never after an answer that leaves that open, such as the 408 of a gateway.

    Args:
        endpoint: the address below which `/responses` is: `.../api/projects/PROJECT/openai/v1`, or
            `https://api.openai.com/v1`.
        credential: one of azure-identity, a key or token as `SecretStr`, or None on this machine.
        api_version: sent with each request, if the service wants one.
        timeout: limits on waiting.
        retry: how often a request is tried that may be repeated.
        transport: replaces the network, for tests.

    Raises ConfigurationError and InsecureEndpointError as `AsyncAgentsClient` does.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Credential | None,
        *,
        api_version: str = "",
        timeout: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        checked = Endpoint(endpoint, with_token=credential is not None)
        self.endpoint = checked.url
        self._transport = AsyncTransport(
            checked,
            AsyncTokenSource(credential),
            api_version=api_version,
            timeouts=Timeouts.checked(timeout),
            retry=RetryPolicy.checked(retry),
            logging_enable=False,
            transport=transport,
            gateway=True,
        )
        self.files = AsyncFiles(self._transport)
        self.vector_stores = AsyncVectorStores(self._transport)
        self.vector_store_files = AsyncVectorStoreFiles(self._transport)
        self.vector_store_file_batches = AsyncVectorStoreFileBatches(self._transport)

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Reads a JSON object; repeated as often as the policy says."""
        return await self._transport.json(ServiceRequest("GET", path, params=params or {}), name=_named(path))

    async def post(self, path: str, body: Mapping[str, Any], *, creates: bool = True) -> dict[str, Any]:
        """Sends a JSON object; once, unless it leaves the same behind however often it is sent."""
        call = ServiceRequest("POST", path, creates=creates, body=body)
        return await self._transport.json(call, name=_named(path))

    async def delete(self, path: str) -> None:
        """Deletes. Raises ServiceError."""
        await self._transport.json(ServiceRequest("DELETE", path), name=_named(path))

    async def pages(self, path: str, params: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """All items of a list, page by page, only as far as the caller reads.

        A page past the end may lack `first_id` and `last_id` (recorded).
        """
        query = dict(params)
        while True:
            page = await self.get(path, query)
            items = page.get("data")
            if not isinstance(items, list):
                raise InvalidAnswerError(
                    f"GET {path} answered something other than a list.",
                    method="GET",
                    path=path,
                    retryable=False,
                )
            for item in items:
                yield item
            if not items or not page.get("has_more"):
                return
            last = page.get("last_id") or items[-1].get("id")
            if last is None or last == query.get("after"):
                raise InvalidAnswerError(
                    f"GET {path} says that there is more, but its pages end after {last}.",
                    method="GET",
                    path=path,
                    retryable=False,
                )
            query["after"] = last

    def stream(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        only: Collection[str] | None = None,
    ) -> AsyncResponseStream:
        """The events of a response, created (POST) or replayed (GET); `only` some of them, or all."""
        call = ServiceRequest(method, path, creates=method == "POST", body=body, params=params or {})
        return AsyncResponseStream(self._transport, call, only=only)

    async def aclose(self) -> None:
        """Closes all connections; responses go on."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _named(path: str) -> str:
    return path.split("/")[1]
