"""The parts of a running service, put together."""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from agents_emulator.assets import Assets
from agents_emulator.engine.broker import EventBroker
from agents_emulator.engine.children import ChildRunner
from agents_emulator.engine.file_search import FileSearch
from agents_emulator.engine.ingestion import Ingestion
from agents_emulator.engine.runner import RunEngine
from agents_emulator.faults import FaultPlan, Faults
from agents_emulator.guard import Limits
from agents_emulator.models.base import ChatModel
from agents_emulator.private import private_folder, restrict_contents
from agents_emulator.requestlog import RequestLog
from agents_emulator.store import CONTAINER_FILES, FILES, Store
from agents_emulator.tools.base import ToolServices
from agents_emulator.tools.settings import ToolSettings

DEFAULT_RUN_TTL = 600
DEFAULT_ACTION_TTL = 36000
DEFAULT_CONCURRENT_RUNS = 256
"""As many as a pipeline may have in flight: how many there are is the clients' to say. What is scarce has
queues of its own: the small model answers one request at a time, and few processes of tools run at once."""
WAIT_FOR_DATA_DIRECTORY = 5.0


@dataclass(frozen=True)
class ServiceConfig:
    """Settings of a service.

    Attributes:
        token: bearer token that requests must carry; None asks for none (loopback only).
        run_ttl: seconds after its creation at which an unfinished run expires.
        action_ttl: the same for a run that has waited for tool outputs.
        max_concurrent_runs: runs at work at the same time; further ones stay queued.
        tools: what the tools need where the real service has connections and a cloud.
        strict: validate requests against the published schemas.
        limits: what the service bears from slow and from many clients.
        faults: the faults it starts with.
    """

    token: str | None = field(default=None, repr=False)
    run_ttl: int = DEFAULT_RUN_TTL
    action_ttl: int = DEFAULT_ACTION_TTL
    max_concurrent_runs: int = DEFAULT_CONCURRENT_RUNS
    tools: ToolSettings = field(default_factory=ToolSettings)
    strict: bool = True
    limits: Limits = field(default_factory=Limits)
    faults: FaultPlan | None = None


class DataDirectoryInUseError(OSError):
    """Another service works on the data directory."""


def await_data_directory(data_dir: Path) -> None:
    """Wait until no other service works on the data directory (one may be about to stop).

    Raises `DataDirectoryInUseError` after 5 s.
    """
    private_folder(data_dir)
    deadline = time.monotonic() + WAIT_FOR_DATA_DIRECTORY
    while True:
        try:
            os.close(_lock(data_dir))
        except DataDirectoryInUseError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


class Service:
    """Store, log, engine and ingestion of one data directory."""

    def __init__(self, data_dir: Path, model: ChatModel, config: ServiceConfig) -> None:
        private_folder(data_dir)
        self._lock = _lock(data_dir)
        restrict_contents(data_dir)
        self.files_dir = private_folder(data_dir / "files")
        private_folder(data_dir / "interpreter")
        self.config = config
        self.model = model
        self.store = Store(data_dir / "service.db")
        self.log = RequestLog(self.store)
        self.faults = Faults(config.faults)
        self.broker = EventBroker()
        self.ingestion = Ingestion(self.store, self.files_dir, data_dir / "retrieval.db")
        self.assets = Assets(config.tools.assets, self.store, self.files_dir)
        self.tools = ToolServices(self.store, self.files_dir, data_dir, config.tools)
        self.engine = RunEngine(
            self.store,
            self.log,
            self.broker,
            model,
            FileSearch(self.store, self.ingestion),
            self.tools,
            max_concurrent_runs=config.max_concurrent_runs,
            action_ttl=config.action_ttl,
        )
        self.tools.children = ChildRunner(self.store, self.broker, self.engine, config.run_ttl)

    async def start(self) -> None:
        """Continue what the last service of this data directory left unfinished."""
        known = await self.store.read(
            lambda db: {file["id"] for files in (FILES, CONTAINER_FILES) for file in files.select(db)}
        )
        await asyncio.to_thread(_remove_orphans, self.files_dir, known)
        await self.ingestion.recover()
        await self.engine.recover()

    async def stop(self) -> None:
        """Stop all work, leaving a consistent data directory behind."""
        self.broker.close()
        self.tools.queues.stopping = True
        await self.engine.close()
        await self.tools.queues.close()
        await self.ingestion.close()
        await self.model.aclose()
        self.store.close()
        os.close(self._lock)


def _lock(data_dir: Path) -> int:
    """Hold the data directory; the kernel lets go of it however the process ends."""
    descriptor = os.open(data_dir / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise DataDirectoryInUseError(
            f"another service works on the data directory {data_dir}: stop it, or choose another --data-dir"
        ) from None
    return descriptor


def _remove_orphans(files_dir: Path, known: set[str]) -> None:
    """Remove contents whose upload or deletion was cut off by the end of the last service."""
    for path in files_dir.iterdir():
        if path.name not in known:
            path.unlink()
