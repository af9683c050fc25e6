"""Which service an endpoint is, and its backend: the one place where that is chosen."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from agent_tasks.backends.base import Backend
from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.backends.responses.live import LiveAnswers
from agent_tasks.client import AsyncAgentsClient, AsyncResponsesClient
from agent_tasks.errors import ConfigurationError, NotFoundError, PermissionDeniedError, ServiceError
from agent_tasks.settings import ServiceKind

__all__ = [
    *("LIVE", "Credential", "has_service", "known_service", "open_backend", "read_live", "service_at"),
    "write_live",
]

LIVE = "live.json"
"""The file of the state folder that keeps what projects have told of themselves."""

_Kept = TypeVar("_Kept")

Credential = AsyncTokenCredential | TokenCredential | SecretStr | None


@asynccontextmanager
async def open_backend(
    endpoint: str, credential: Credential, service: ServiceKind, told: LiveAnswers | None = None
) -> AsyncIterator[Backend]:
    """Open the backend of a service and close it at the end.

    Args:
        endpoint: the project's address; of `ServiceKind.INLINE` that of the server.
        credential: any azure-identity credential, a token or key, or None on this machine.
        service: which service it is; `auto` asks the endpoint.
        told: what a project has told of itself; see `read_live`.

    Raises:
        ConfigurationError: the endpoint can't be used, or speaks neither wire.
        ServiceError: a server of responses refuses to say what it has.
        TransportError: it could not be reached.
    """
    if service is ServiceKind.AUTO:
        service = await service_at(endpoint, credential)
    match service:
        case ServiceKind.RESPONSES:
            async with ResponsesBackend.of_project(endpoint, credential, told=told) as project:
                yield project
        case ServiceKind.INLINE:
            if credential is not None and not isinstance(credential, SecretStr):
                raise ConfigurationError(
                    "A server of responses is reached with a key, not with a credential of Azure: set "
                    "OPENAI_API_KEY.",
                    setting="OPENAI_API_KEY",
                )
            async with ResponsesBackend.of_server(endpoint, credential) as server:
                yield server
        case _:
            async with AgentsBackend.open(endpoint, credential) as classic:
                yield classic


async def service_at(endpoint: str, credential: Credential) -> ServiceKind:
    """Ask an endpoint which service it is: the successor where it has it, else the classic one.

    Raises:
        ConfigurationError: it has neither.
        ServiceError: it refuses the caller, or fails.
        TransportError: it could not be reached.
    """
    for kind in (ServiceKind.RESPONSES, ServiceKind.CLASSIC):
        if await has_service(endpoint, credential, kind):
            return kind
    raise ConfigurationError(
        f"{endpoint} has neither agents with versions nor classic agents. Copy PROJECT_ENDPOINT from "
        "the project's overview page; it ends in /api/projects/PROJECT.",
        setting="PROJECT_ENDPOINT",
    )


async def has_service(endpoint: str, credential: Credential, kind: ServiceKind) -> bool:
    """Whether a project has one of its services, the classic one or the successor.

    Raises:
        ServiceError: it refuses the caller, or fails.
        TransportError: it could not be reached.
    """
    if kind is ServiceKind.CLASSIC:
        async with AsyncAgentsClient(endpoint, credential) as client:
            try:
                async for _ in client.agents.list(limit=1):
                    break
            except NotFoundError:
                return False
        return True
    async with AsyncResponsesClient(endpoint, credential, api_version="v1") as successor:
        try:
            await successor.get("/agents", {"limit": 1})
        except (NotFoundError, PermissionDeniedError):
            return False
        except ServiceError as error:
            if error.status not in (400, 405):
                raise
            return False
    return True


async def known_service(endpoint: str, credential: Credential, file: Path) -> ServiceKind:
    """Which service an endpoint is, asked once and kept in a file.

    Args:
        endpoint: the project's address.
        credential: as for `open_backend`.
        file: where the answers are kept, by endpoint; made if missing.

    Raises:
        ConfigurationError: the file can't be read; or as `service_at`, like all other errors.
    """
    known = _read(file, ServiceKind)
    if endpoint not in known:
        known[endpoint] = await service_at(endpoint, credential)
        _write(file, known)
    return known[endpoint]


def read_live(endpoint: str, file: Path) -> LiveAnswers | None:
    """What a project has told of itself; None if it was never asked (`agent-tasks doctor --live`).

    Raises:
        ConfigurationError: the file can't be read.
    """
    return _read(file, LiveAnswers.model_validate).get(endpoint)


def write_live(endpoint: str, told: LiveAnswers, file: Path) -> None:
    """Keep what a project has told of itself.

    Raises:
        ConfigurationError: the file can't be read.
    """
    known = _read(file, LiveAnswers.model_validate)
    _write(file, {name: one.model_dump() for name, one in {**known, endpoint: told}.items()})


def _read(file: Path, of: Callable[[Any], _Kept]) -> dict[str, _Kept]:
    try:
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if isinstance(known, dict):
            return {endpoint: of(value) for endpoint, value in known.items()}
        why = "it holds no object of endpoints"
    except (OSError, ValueError) as error:
        why = str(error)
    raise ConfigurationError(
        f"{file}, which keeps what endpoints are, can't be read: {why}. Remove it: the endpoints are asked "
        "again.",
        setting="AGENT_TASKS_STATE_DIR",
    )


def _write(file: Path, known: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.write_text(json.dumps(known, indent=1), encoding="utf-8")
    fresh.replace(file)
