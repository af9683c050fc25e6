# Made from _async/client.py by `make generate`: change that one.
"""The client: one object for a project, with a resource for each kind of thing."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote

import httpx

from agent_tasks.client._options import DEFAULT_API_VERSION, Credential, RetryPolicy, Timeouts
from agent_tasks.client._requests import ServiceRequest
from agent_tasks.client._sync.agents import Agents
from agent_tasks.client._sync.credentials import TokenSource
from agent_tasks.client._sync.files import Files
from agent_tasks.client._sync.messages import Messages
from agent_tasks.client._sync.run_steps import RunSteps
from agent_tasks.client._sync.runs import Runs
from agent_tasks.client._sync.threads import Threads
from agent_tasks.client._sync.transport import Transport
from agent_tasks.client._sync.vector_store_file_batches import VectorStoreFileBatches
from agent_tasks.client._sync.vector_store_files import VectorStoreFiles
from agent_tasks.client._sync.vector_stores import VectorStores
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.client.functions import DEFAULT_MAX_ROUNDS, AutoFunctionCalls, CallableTools


class AgentsClient:
    """Speaks to the Agents service of one project.

    `endpoint` is the project's address, `https://<resource>.services.ai.azure.com/api/projects/<project>`.
    `credential` is one of azure-identity, or a token as `SecretStr`; None only for an endpoint on this
    machine. The credential stays the caller's to close. `logging_enable` adds bodies
    to the DEBUG log `agent_tasks.client`. `transport` replaces the network, for tests.

    Raises ConfigurationError for an endpoint or credential that cannot be used, InsecureEndpointError where
    a token would travel over plain http to another machine. Methods raise ServiceError for answers with
    status >= 400 and TransportError where none came; a request that creates something is never repeated while
    its outcome is not known (`outcome_unknown`).
    """

    def __init__(
        self,
        endpoint: str,
        credential: Credential | None,
        *,
        api_version: str = DEFAULT_API_VERSION,
        timeout: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        logging_enable: bool = False,
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
            logging_enable=logging_enable,
            transport=transport,
        )
        self.agents = Agents(self._transport)
        self.threads = Threads(self._transport)
        self.messages = Messages(self._transport)
        self._auto = AutoFunctionCalls()
        self.runs = Runs(self._transport, self._auto)
        self.run_steps = RunSteps(self._transport)
        self.files = Files(self._transport)
        self.vector_stores = VectorStores(self._transport)
        self.vector_store_files = VectorStoreFiles(self._transport)
        self.vector_store_file_batches = VectorStoreFileBatches(self._transport)

    def enable_auto_function_calls(
        self, toolset: CallableTools | None, *, max_rounds: int = DEFAULT_MAX_ROUNDS
    ) -> None:
        """Has runs that are processed or streamed with this client call these functions by themselves.

        It does not add the tools to agents or runs. `max_rounds` is how often a run may ask; then it is
        cancelled. None turns it off.
        """
        self._auto.toolset, self._auto.max_rounds = toolset, max_rounds

    def send_request(
        self,
        method: Literal["GET", "POST", "DELETE"],
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Sends a request that this client has no method for, with its credential, api-version and errors.

        Args:
            method: A POST is taken to create something: it is not repeated while its outcome is not known.
            path: Below the project's address: `/assistants/asst_1`.
            body: A JSON object.
            params: The query, without the api-version.

        Returns:
            The JSON object of the answer.

        Raises:
            ValueError: The path leads out of the project.
            ServiceError, TransportError: As of all operations.
        """
        segments = path.split("/")[1:]
        if (
            not path.startswith("/")
            or not all(segments)
            or {".", ".."} & {unquote(part) for part in segments}
        ):
            raise ValueError(f"{path!r} is not a path below the project's address")
        if any(character in path for character in "?#\\"):
            raise ValueError(f"{path!r} has more than a path: give the query as params")
        call = ServiceRequest(method, path, creates=method == "POST", body=body, params=params or {})
        return self._transport.json(call, name="send_request")

    def close(self) -> None:
        """Closes all connections; runs keep running."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
