"""Serving the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from agent_tasks.errors import ConfigurationError
from agent_tasks.review.desk import open_desk
from agent_tasks.review.web.access import access_of
from agent_tasks.review.web.app import create_app
from agent_tasks.settings import Settings

__all__ = ["Where", "serve"]


@dataclass(frozen=True)
class Where:
    """Where the page listens, and for whom."""

    person: str
    """Who uses the one-time link."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: a free one."""
    people: Path | None = None
    """A file with a line `NAME: TOKEN` for each person, for more than one, or from elsewhere."""
    names: list[str] = field(default_factory=list)
    """Names by which people reach it, besides the host."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    is_behind_proxy: bool = False
    """Whether a proxy with TLS stands before it."""


async def serve(settings: Settings, where: Where, *, ready: Callable[[str], None]) -> None:
    """Serve the page until the server is told to stop.

    Args:
        settings: Which journal and service.
        where: Where to listen.
        ready: Called with the address to open.

    Raises:
        ConfigurationError: others could reach it without signing in, or the address can't be listened on.
        JournalError: the journal can't be read.
    """
    has_tls = where.tls_cert is not None and where.tls_key is not None
    if (where.tls_cert is None) != (where.tls_key is None):
        raise ConfigurationError("--tls-cert and --tls-key belong together: give both.")
    access = access_of(
        where.host,
        person=where.person,
        people=where.people,
        names=where.names,
        has_tls=has_tls,
        is_behind_proxy=where.is_behind_proxy,
    )
    listening = _listening(where)
    port = listening.getsockname()[1]
    name = where.names[0] if where.names else where.host
    shown = f"[{name}]" if ":" in name else name
    async with open_desk(settings) as desk:
        config = uvicorn.Config(
            create_app(desk, access),
            log_level="warning",
            access_log=False,
            server_header=False,
            ssl_certfile=where.tls_cert,
            ssl_keyfile=where.tls_key,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)
        ready(f"{'https' if has_tls else 'http'}://{shown}:{port}{access.link or '/'}")
        try:
            await _until_stopped(server, listening)
        finally:
            listening.close()


async def _until_stopped(server: uvicorn.Server, listening: socket.socket) -> None:
    """Serve; who is told to stop ends what is under way, and writes the results that are left."""
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="review-page")
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def _listening(where: Where) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((where.host, where.port))
        made.listen()  # who opens the link before the server is up waits, and is not refused
    except OSError as error:
        made.close()
        raise ConfigurationError(
            f"The desk can't listen on {where.host}:{where.port}: {error.strerror}. Give another --port."
        ) from error
    return made
