"""The certificates that connections trust, read once: a file of them takes 50 ms of the processor."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path

import httpx

__all__ = ["trusted_certificates"]

_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")


def trusted_certificates() -> ssl.SSLContext:
    """What httpx trusts by default: certifi's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Returns:
        The same context to all clients of the process, until the variables or the files they name change.
    """
    given = tuple(os.environ.get(name) for name in _VARIABLES)
    return _read(given, tuple(_state(path) for path in given[:2] if path))


@lru_cache(4)
def _read(given: tuple[str | None, ...], files: tuple[tuple[int, int], ...]) -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _state(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:  # httpx says what is wrong with it
        return 0, 0
    return found.st_mtime_ns, found.st_size
