"""The other service of a project: the one that a journal may have been begun with."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agent_tasks.backends.base import Backend
from agent_tasks.backends.opening import Credential, has_service, open_backend
from agent_tasks.backends.responses.live import LiveAnswers
from agent_tasks.errors import BadRequestError, PermissionDeniedError
from agent_tasks.settings import ServiceKind

__all__ = ["OtherSide"]

_KINDS = {"": ServiceKind.CLASSIC, "agents": ServiceKind.RESPONSES}
"""Services of a project, by what tells them apart in keys (`Capabilities.in_keys`)."""


class OtherSide:
    """Opens the other service at the same address, and only when something of it turns up.

    Args:
        endpoint: the project's address.
        credential: as for `open_backend`.
        here: what tells the service that is set from others in keys.
        told: what the project has told of itself.
    """

    def __init__(
        self, endpoint: str, credential: Credential, here: str, told: LiveAnswers | None = None
    ) -> None:
        self._endpoint = endpoint
        self._credential = credential
        self._here = here
        self._told = told
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._opened: Backend | None = None
        self._is_asked = False

    async def backend(self, service: str) -> Backend | None:
        """The backend of a service; None if the project has no such one, or not any more.

        Args:
            service: what tells it from others in keys.

        Raises:
            ServiceError: the endpoint fails, or refuses the caller.
            TransportError: it could not be reached.
        """
        kind = _KINDS.get(service)
        if kind is None or self._here not in _KINDS or service == self._here:
            return None
        async with self._opening:
            if not self._is_asked:
                if await self._has(kind):
                    opening = open_backend(self._endpoint, self._credential, kind, self._told)
                    self._opened = await self._stack.enter_async_context(opening)
                self._is_asked = True
            return self._opened

    async def _has(self, kind: ServiceKind) -> bool:
        try:
            return await has_service(self._endpoint, self._credential, kind)
        except (PermissionDeniedError, BadRequestError):  # an account may have it disabled
            return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
