"""A credential for clients that ask for one; the local service on loopback asks for none."""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken


class NoCredential:
    """Blocking."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token that nobody looks at."""
        return AccessToken("none", int(time.time()) + 3600)


class AsyncNoCredential(NoCredential):
    """Async."""

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # type: ignore[override]
        """A token that nobody looks at."""
        return NoCredential.get_token(self)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> AsyncNoCredential:
        return self

    async def __aexit__(self, *error: object) -> None:
        """Nothing to close."""
