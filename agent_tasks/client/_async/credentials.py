"""Where the bearer token comes from."""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError
from pydantic import SecretStr

from agent_tasks.client._async._runtime import AsyncLock, call_any
from agent_tasks.client._options import TOKEN_SCOPE, Credential
from agent_tasks.errors import ConfigurationError, CredentialError, TransportError

_REFRESH_BEFORE_EXPIRY = 300.0  # seconds
_TOKEN_TIMEOUT = 90.0  # seconds; some credentials ask several sources in turn


class AsyncTokenSource:
    """Gives the token of a credential, and keeps it until five minutes before it expires.

    It is fetched once for all who wait. A `SecretStr` is the token itself; None means no sign-in.
    """

    def __init__(self, credential: Credential | None) -> None:
        if (
            credential is not None
            and not isinstance(credential, SecretStr)
            and not hasattr(credential, "get_token")
        ):
            raise ConfigurationError(
                f"the credential is a {type(credential).__name__}; pass one of azure-identity, or a token as "
                "pydantic.SecretStr.",
                setting="credential",
            )
        self._credential: Any = credential
        self._cached: AccessToken | None = None
        self._lock = AsyncLock()

    async def token(self) -> str | None:
        """The token to send. Raises CredentialError, or TransportError when the identity service fails."""
        if self._credential is None:
            return None
        if isinstance(self._credential, SecretStr):
            return self._credential.get_secret_value()
        async with self._lock:
            if self._cached is None or self._cached.expires_on - _REFRESH_BEFORE_EXPIRY <= time.time():
                self._cached = await self._fetch()
            return self._cached.token

    async def renew(self, refused: str | None) -> bool:
        """Drops a token that the service refused; whether there may be another one."""
        if self._credential is None or isinstance(self._credential, SecretStr):
            return False
        async with self._lock:
            # Another request may have renewed it meanwhile.
            if self._cached is not None and self._cached.token == refused:
                self._cached = None
        return True

    async def _fetch(self) -> AccessToken:
        name = type(self._credential).__name__
        try:
            token = await call_any(self._credential.get_token, TOKEN_SCOPE, seconds=_TOKEN_TIMEOUT)
        except ClientAuthenticationError as error:
            raise CredentialError(
                f"{name} gave no token for {TOKEN_SCOPE}: {error.message} Sign in (`az login`) or choose "
                "another credential.",
                setting="credential",
            ) from error
        except (AzureError, TimeoutError) as error:
            raise TransportError(f"{name} could not fetch a token: {error or 'it took too long'}") from error
        if not isinstance(getattr(token, "token", None), str):
            raise CredentialError(f"{name}.get_token gave no access token", setting="credential")
        return AccessToken(token.token, int(token.expires_on))
