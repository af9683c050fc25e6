"""Servers that somebody else runs: looked at once, before anything relies on them."""

from __future__ import annotations

import base64
import os
import socket
import time
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from agent_tasks.errors import ConfigurationError

__all__ = ["require_answer", "require_prefect_api"]

SETTING = "PREFECT_API_URL"
_TIMEOUT = 10.0  # seconds
_PATIENCE = 3.0  # seconds in which something that is just starting may begin to listen


def require_answer(setting: str, url: str) -> None:
    """Look whether anything listens at an address; nothing is sent. Behind a proxy nobody can tell.

    Raises:
        ConfigurationError: nothing listens there, or there is no such host.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(
                (host, parts.port or (443 if parts.scheme == "https" else 80)), _TIMEOUT
            ).close()
            return
        except (OSError, UnicodeError) as error:
            if time.monotonic() < deadline and isinstance(error, ConnectionRefusedError):
                time.sleep(0.3)
                continue
            raise ConfigurationError(
                f"{setting}: {_place(url)} does not answer ({getattr(error, 'strerror', None) or error}). "
                "Check the address and the network; `agent-tasks doctor` looks closer.",
                setting=setting,
            ) from error


def require_prefect_api(url: str) -> None:
    """Ask a Prefect server for its health.

    Raises:
        ConfigurationError: nothing answers there, or not a Prefect server, or it does not let us in.
    """
    import httpx

    try:
        answer = httpx.get(f"{url}/health", headers=_headers(), timeout=_TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, socket.gaierror) as error:
        raise _refused(
            url,
            f"does not answer ({type(error).__name__})",
            "Start the server (`prefect server start`), correct the address (it ends in /api), or unset "
            f"{SETTING}: a server of the state folder is used then.",
        ) from error
    if answer.status_code in (401, 403):
        raise _refused(url, "does not let us in", "Set PREFECT_API_KEY or PREFECT_API_AUTH_STRING.")
    if answer.status_code != 200 or answer.text.strip() != "true":
        raise _refused(
            url,
            f"is not the API of a Prefect server: /health answers {answer.status_code}",
            "Correct the address: it ends in /api.",
        )


def _headers() -> dict[str, str]:
    """As Prefect's own client signs in."""
    if key := os.environ.get("PREFECT_API_KEY"):
        return {"Authorization": f"Bearer {key}"}
    if pair := os.environ.get("PREFECT_API_AUTH_STRING"):
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
    return {}


def _refused(url: str, why: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"{SETTING}: the Prefect server at {_place(url)} {why}. {remedy}", setting=SETTING
    )


def _place(url: str) -> str:
    """Host and port alone: a user name and a password may stand before them."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
