# Made from _async/responses_client.py by `make generate`: change that one.
"""The client of a service of responses: agents with versions, conversations, responses, files and stores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from agent_tasks.client._options import Credential, RetryPolicy, Timeouts
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client._sync.credentials import TokenSource
from agent_tasks.client._sync.files import Files
from agent_tasks.client._sync.response_streams import ResponseStream
from agent_tasks.client._sync.transport import Transport
from agent_tasks.client._sync.vector_store_file_batches import VectorStoreFileBatches
from agent_tasks.client._sync.vector_store_files import VectorStoreFiles
from agent_tasks.client._sync.vector_stores import VectorStores
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.errors import InvalidAnswerError


class ResponsesClient:
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

    Raises ConfigurationError and InsecureEndpointError as `AgentsClient` does.
    """

    def __init__(
        self,
        endpoint: str,
        credential: Credential | None,
        *,
        api_version: str = "",
        timeout: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        checked = Endpoint(endpoint, with_token=credential is not None)
        self.endpoint = checked.url
        self._transport = Transport(
            checked,
            TokenSource(credential),
            api_version=api_version,
            timeouts=Timeouts.checked(timeout),
            retry=RetryPolicy.checked(retry),
            logging_enable=False,
            transport=transport,
            gateway=True,
        )
        self.files = Files(self._transport)
        self.vector_stores = VectorStores(self._transport)
        self.vector_store_files = VectorStoreFiles(self._transport)
        self.vector_store_file_batches = VectorStoreFileBatches(self._transport)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Reads a JSON object; repeated as often as the policy says."""
        return self._transport.json(ServiceRequest("GET", path, params=params or {}), name=_named(path))

    def post(self, path: str, body: Mapping[str, Any], *, creates: bool = True) -> dict[str, Any]:
        """Sends a JSON object; once, unless it leaves the same behind however often it is sent."""
        call = ServiceRequest("POST", path, creates=creates, body=body)
        return self._transport.json(call, name=_named(path))

    def delete(self, path: str) -> None:
        """Deletes. Raises ServiceError."""
        self._transport.json(ServiceRequest("DELETE", path), name=_named(path))

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """All items of a list, page by page, only as far as the caller reads.

        A page past the end may lack `first_id` and `last_id` (recorded).
        """
        query = dict(params)
        while True:
            page = self.get(path, query)
            items = page.get("data")
            if not isinstance(items, list):
                raise InvalidAnswerError(
                    f"GET {path} answered something other than a list.",
                    method="GET",
                    path=path,
                    retryable=False,
                )
            yield from items
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
    ) -> ResponseStream:
        """The events of a response, created (POST) or replayed (GET); `only` some of them, or all."""
        call = ServiceRequest(method, path, creates=method == "POST", body=body, params=params or {})
        return ResponseStream(self._transport, call, only=only)

    def close(self) -> None:
        """Closes all connections; responses go on."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _named(path: str) -> str:
    return path.split("/")[1]
