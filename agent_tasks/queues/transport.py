"""What the official clients send with where the environment names certificates to trust.

Their own option `connection_verify` reads the certificates again for every request, and keeps no connection
open (azure-core 1.41): ten times the time of a request.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.pipeline.transport import AioHttpTransport

__all__ = ["TrustingTransport"]


class TrustingTransport(AioHttpTransport):  # type: ignore[misc]  # known at run time only
    """Trusts a file or folder of certificates, read once.

    Args:
        trusted: the file or folder.
        options: as of the base.

    Raises:
        OSError: it can't be read.
        ssl.SSLError: it holds no certificates.
    """

    session: aiohttp.ClientSession | None

    def __init__(self, trusted: str, **options: Any) -> None:
        super().__init__(**options)
        cafile, capath = (None, trusted) if Path(trusted).is_dir() else (trusted, None)
        self._context = ssl.create_default_context(cafile=cafile, capath=capath)

    async def open(self) -> None:
        """Open a session like that of the base, but for whom it trusts."""
        if self.session is None:
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._context),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
                auto_decompress=False,
            )
        await super().open()
