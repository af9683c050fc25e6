"""A network between one worker and PostgreSQL that a test can cut: nothing passes, and nobody is told.

with partition(server) as network:
    worker = start(network.address(database))       # instead of server.address(database)
    network.cut()
    network.heal()                                  # what was under way arrives late
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.postgresql import PostgresServer

_SOCKET = ".s.PGSQL.5432"


class Network:
    """Passes bytes on between a socket of its own and the server's; runs in a thread."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.folder = Path(
            tempfile.mkdtemp(prefix="net-")
        )  # short: a socket's path has at most 107 characters
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="partition", daemon=True)

    def address(self, journal_url: str) -> str:
        """A journal's address by way of this network."""
        return journal_url.replace(f"host={self._server.folder}", f"host={self.folder}")

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        path = str(self.folder / _SOCKET)
        self._run(asyncio.start_unix_server(self._connected, path))

    def cut(self) -> None:
        """Let nothing pass any more."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def heal(self) -> None:
        """Let all pass again."""
        self._loop.call_soon_threadsafe(self._whole.set)

    def stop(self) -> None:
        """Close all connections."""

        async def end() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        there, back = await asyncio.open_unix_connection(str(self._server.folder / _SOCKET))
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError):
                while data := await source.read(65_536):
                    await self._whole.wait()
                    target.write(data)
                    await target.drain()
        finally:
            target.close()


@contextmanager
def partition(server: PostgresServer) -> Iterator[Network]:
    """A network to a server for the block."""
    network = Network(server)
    network.start()
    try:
        yield network
    finally:
        network.stop()
