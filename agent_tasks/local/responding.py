"""Whether a server that runs still answers: a process may be there, and hang."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

__all__ = ["RESPONSE_SECONDS", "responds"]

RESPONSE_SECONDS = 10.0
"""Milliseconds are usual; a server that another command keeps busy may take some seconds."""


def responds(url: str, ports: Sequence[int] = (), *, seconds: float | None = None) -> bool:
    """Ask a server of this machine for anything at all.

    Whatever comes back will do, also a refusal of what is no TLS: that the server does its work well is for
    its users to find out.

    Args:
        url: its address; empty: its first port counts.
        ports: its ports.
        seconds: how long it may take; None: `RESPONSE_SECONDS`.
    """
    port = urlsplit(url).port or next(iter(ports), None)
    if port is None:
        return False
    limit = RESPONSE_SECONDS if seconds is None else seconds
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            connection.recv(1)
    except ConnectionResetError:  # it has read something, and does not want it
        return True
    except OSError:
        return False
    return True
