"""The local servers of a state folder: the Prefect server and the local Agents service.

Both are shared by all processes that use the folder. The first one starts a server under a guardian
(`agent_tasks.local.supervisor`, which explains the locks), later ones join it, and it ends a moment after the
last of them is gone, also when that one is killed. Nothing here imports Prefect.

    with prefect_server(settings) as api_url, local_service(settings) as endpoint:
        ...

To start both at the same time, and do something else meanwhile:

    server, service = prefect_server(settings).launch(), local_service(settings).launch()
    ...
    api_url = server.wait()
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import secrets
import subprocess
import sys
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from typing_extensions import override

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.local import child_environment
from agent_tasks.local import supervisor as guardian
from agent_tasks.local.parts import require_local_parts
from agent_tasks.local.reachability import require_prefect_api
from agent_tasks.local.server_access import auth_string, basic, origins, ui_folder
from agent_tasks.local.supervisor import Record, Settle, Specification, read_record
from agent_tasks.redaction import redacted
from agent_tasks.settings import Settings

__all__ = [
    "EmbeddedServer",
    "GivenServer",
    "Server",
    "local_service",
    "prefect_environment",
    "prefect_server",
    "prepare_state_folder",
    "use_prefect_api",
    "use_prefect_environment",
]

POLL_SECONDS = 0.05
START_ATTEMPTS = 2
LOG_LINES = 15

# After a run, the task runs it has reported still stand in the server's queue; they are written in batches,
# at least every FLUSH seconds. An answer that has not changed for longer than that means: all are written.
# A whole number: Prefect cuts the rest off, and a recorder that waits for 0 seconds takes a core for itself.
FLUSH_SECONDS = 1
SETTLED_SECONDS = 1.5
SETTLE_LIMIT_SECONDS = 60.0
CLIENT_DRAIN_SECONDS = 30.0

# Without these a batch of some thousand task runs overflows the server's queue, and task runs are lost.
BATCH_SETTINGS = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": str(FLUSH_SECONDS),
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TRIGGERS_READ_BATCH_SIZE": "100",
}
TERMINAL_STATES = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]


class Server(ABC):
    """A server to talk to. `with` and `async with` give its address and let go of it at the end."""

    def launch(self) -> Self:
        """Begins to start the server, without waiting for it."""
        return self

    @abstractmethod
    def wait(self) -> str:
        """Waits until the server is ready; returns its address.

        Raises:
            EmbeddedServiceError: it did not start; the message holds the end of its log.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of the server; the last one to do so waits until it has ended. Safe to call twice."""

    def running(self) -> str | None:
        """The address of the server if it runs now, whoever has started it; None if it does not."""
        return self.wait()

    @abstractmethod
    def hand_over(self) -> None:
        """Has the program that this process becomes (`os.exec...`) hold the server in its place."""

    def __enter__(self) -> str:
        try:
            return self.launch().wait()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> str:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shielded: a cancelled task must not leave the server held.
        await asyncio.shield(asyncio.to_thread(self.close))


class GivenServer(Server):
    """A Prefect server that somebody else runs: nothing is started, nothing is stopped."""

    def __init__(self, url: str) -> None:
        self.url = url

    def wait(self) -> str:
        """Its address, once it has answered.

        Raises:
            ConfigurationError: it does not answer, or is not a Prefect server.
        """
        require_prefect_api(self.url)
        return self.url

    def hand_over(self) -> None:
        """Does nothing: the server is not ours."""

    def close(self) -> None:
        """Does nothing: the server is not ours."""


class EmbeddedServer(Server):
    """A server of the state folder, shared with other processes that use the folder.

    Args:
        spec: what to run; `token` and `guardian_fd` are filled in here.
        environment: complete environment of the server (`spec.environment` comes on top).
    """

    def __init__(self, spec: Specification, environment: Mapping[str, str]) -> None:
        self.spec = spec
        self.environment = environment
        self.run_dir = Path(spec.run_dir)
        self.record_path = self.run_dir / f"{spec.name}.json"
        self._hold: int | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._started = 0
        self._token = ""

    @property
    def log(self) -> Path:
        """The file with everything the server has printed since its start."""
        return Path(self.spec.log)

    @override
    def launch(self) -> Self:
        self.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(self.spec.cwd).mkdir(parents=True, exist_ok=True)
        self._advance()
        return self

    @override
    def wait(self) -> str:
        # The guardian has its own limit; ours is a little longer, so that its reason is reported.
        deadline = time.monotonic() + self.spec.start_timeout + self.spec.stop_timeout + 10
        while (record := self._advance()) is None:
            if time.monotonic() > deadline:
                raise self._error("is not ready, and its guardian gives no sign")
            time.sleep(POLL_SECONDS)
        if record.status == "failed":
            raise self._error(f"did not start: {record.reason}")
        if record.identity != self.spec.identity:
            raise ConfigurationError(
                f"The local {self.spec.name} of the state folder {self.run_dir.parent} runs as "
                f"{record.identity!r} for somebody else, and this run asks for {self.spec.identity!r}. "
                "Wait until the other run has ended, or use another folder: AGENT_TASKS_STATE_DIR.",
                setting="AGENT_TASKS_STATE_DIR",
            )
        return record.url

    @override
    def running(self) -> str | None:
        if not self.run_dir.is_dir() or not self._is_guarded():
            return None
        record = self._current_record()
        return record.url if record is not None and record.status == "ready" else None

    @override
    def hand_over(self) -> None:
        if self._hold is not None:
            os.set_inheritable(self._hold, True)

    @override
    def close(self) -> None:
        if self._hold is None:
            return
        others = self._let_go()
        if others or not self._token:
            return
        limit = (self.spec.settle.limit if self.spec.settle else 0) + self.spec.stop_timeout + 10
        deadline = time.monotonic() + limit
        # The guardian takes the record away at once. Where it stays, somebody has joined in this very moment.
        shared_after = time.monotonic() + 1.0
        while time.monotonic() < deadline and self._is_guarded():
            if time.monotonic() > shared_after and self._current_record() is not None:
                return
            time.sleep(POLL_SECONDS)
        if self._guardian is not None:
            self._guardian.poll()

    # --- the protocol of the locks ---

    def _advance(self) -> Record | None:
        """One step towards a ready server; its record once there is one."""
        if not self._take_hold():
            return None
        descriptor = self._open(f"{self.spec.name}.guardian")
        try:
            if _lock(descriptor, fcntl.LOCK_EX):
                ended = self._current_record() if self._started else None
                if ended is not None and ended.status == "failed":
                    return ended  # our guardian has reported and gone between two looks
                self._start_guardian(descriptor)
                return None
        finally:
            os.close(descriptor)
        return self._current_record()

    def _take_hold(self) -> bool:
        """Holds the server; False: the one before is just stopping, so try again."""
        if self._hold is not None:
            return True
        name = f"{self.spec.name}.users"
        descriptor = self._open(name)
        if not _lock(descriptor, fcntl.LOCK_SH):
            os.close(descriptor)
            return False
        self._hold = descriptor
        other = self._open(name)
        try:
            if _lock(other, fcntl.LOCK_EX):
                raise ConfigurationError(
                    f"The file system of the state folder {self.run_dir.parent} does not lock files. Set "
                    "AGENT_TASKS_STATE_DIR to a folder on a local disk.",
                    setting="AGENT_TASKS_STATE_DIR",
                )
        finally:
            os.close(other)
        return True

    def _let_go(self) -> bool:
        """Ends the hold; True: others still use the server."""
        assert self._hold is not None  # noqa: S101 - the caller holds it
        # Asking for the lock alone gives the shared one back. It fails if others share it, and also if the
        # guardian was quicker; in that case it can't be shared either.
        others = not _lock(self._hold, fcntl.LOCK_EX) and _lock(self._hold, fcntl.LOCK_SH)
        os.close(self._hold)
        self._hold = None
        return others

    def _start_guardian(self, descriptor: int) -> None:
        if self._started == START_ATTEMPTS:
            raise self._error("did not start: its guardian ended without a word")
        self._started += 1
        self.record_path.unlink(missing_ok=True)
        self._token = secrets.token_hex(8)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, self._token.encode(), 0)
        spec = replace(self.spec, token=self._token, guardian_fd=descriptor)
        self._guardian = subprocess.Popen(
            [sys.executable, "-P", "-S", "-E", guardian.__file__, self.spec.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
            pass_fds=[descriptor],
            # Ctrl-C in the terminal reaches the run, which cleans up, and not its servers.
            start_new_session=True,
        )
        assert self._guardian.stdin is not None  # noqa: S101 - asked for above
        with self._guardian.stdin as pipe:
            pipe.write(json.dumps(asdict(spec)).encode())

    def _current_record(self) -> Record | None:
        """The record, if it is that of the guardian that holds the lock."""
        try:
            token = (self.run_dir / f"{self.spec.name}.guardian").read_text(encoding="ascii")
        except FileNotFoundError:
            return None
        record = read_record(self.record_path)
        if record is None or record.token != token:
            return None
        self._token = token
        return record

    def _is_guarded(self) -> bool:
        descriptor = self._open(f"{self.spec.name}.guardian")
        try:
            return not _lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        return os.open(self.run_dir / name, os.O_RDWR | os.O_CREAT, 0o600)

    def _error(self, what: str) -> EmbeddedServiceError:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
        except FileNotFoundError:
            lines = []
        tail = "\n".join(f"  {line}" for line in lines) or "  (empty)"
        return EmbeddedServiceError(
            f"The local {self.spec.name} {what}. The end of its log:\n{tail}", log_file=str(self.log)
        )


class _PrefectServer(EmbeddedServer):
    """The Prefect server; what this process still has to send to it is sent before it is let go."""

    def close(self) -> None:
        if self._hold is not None:
            _send_pending_events()
        super().close()


def _lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _send_pending_events() -> None:
    """Sends what Prefect's client holds back in this process: events (task runs among them) and logs."""
    workers = []
    # Looked up, not imported: a process that has not imported them has nothing to send.
    if events := sys.modules.get("prefect.events.worker"):
        workers.append(events.EventsWorker)
    if handlers := sys.modules.get("prefect.logging.handlers"):
        workers.append(handlers.APILogWorker)
    # In a thread of its own: under a running event loop these calls would give coroutines instead of waiting.
    threads = [
        threading.Thread(target=worker.drain_all, kwargs={"timeout": CLIENT_DRAIN_SECONDS}, daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def prepare_state_folder(state_dir: Path) -> None:
    """Makes the state folder: readable by its owner alone (it holds what documents say), ignored by git.

    Raises:
        ConfigurationError: it cannot be made, or not be written to.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if state_dir.stat().st_mode & 0o077:  # it was there before, open to others
            state_dir.chmod(0o700)
        ignore = state_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {state_dir} cannot be used ({error.strerror}). Set AGENT_TASKS_STATE_DIR to a "
            "folder on a local disk that you may write to.",
            setting="AGENT_TASKS_STATE_DIR",
        ) from error


def prefect_server(settings: Settings) -> Server:
    """The Prefect server to use; its address is that of the API (`http://127.0.0.1:PORT/api`).

    With `PREFECT_API_URL` set it is that one, and nothing is started. Otherwise it is a server of the state
    folder: database in `STATE/prefect`, log in `STATE/logs/prefect-server.log`, on the loopback interface, on
    a port that is the same every time unless it is taken. It answers those who have its auth string
    (`agent_tasks.local.server_access`), which `prefect_environment` holds, and pages of its own alone.
    """
    if settings.prefect_api_url:
        return GivenServer(settings.prefect_api_url)
    home = settings.state_dir / "prefect"
    prepare_state_folder(settings.state_dir)
    auth = auth_string(settings.state_dir)
    return _PrefectServer(
        Specification(
            name="prefect",
            run_dir=str(settings.state_dir / "run"),
            token="",
            guardian_fd=-1,
            command=[
                *(sys.executable, "-P", "-m", "prefect", "server", "start"),
                *("--host", "127.0.0.1", "--port", "{port}"),
            ],
            # Not the person's folder, whose prefect.toml or .env may hold settings for other servers.
            cwd=str(home),
            log=str(settings.state_dir / "logs" / "prefect-server.log"),
            environment={
                **_home_variables(settings),
                **BATCH_SETTINGS,
                "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home / 'prefect.db'}",
                "PREFECT_SERVER_API_AUTH_STRING": auth,
                "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins("{port}"),
                "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "agent_tasks.local.event_ordering",
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
                "PREFECT_SERVER_UI_API_URL": "http://127.0.0.1:{port}/api",
                "PREFECT_UI_STATIC_DIRECTORY": str(ui_folder(settings.state_dir)),
                "PYTHONUNBUFFERED": "1",
            },
            port=14_200 + zlib.crc32(str(settings.state_dir).encode()) % 5_000,
            url_path="/api",
            health="/health",
            start_timeout=settings.start_timeout,
            settle=Settle(
                requests=[
                    ("/task_runs/count", "{}"),
                    (
                        "/task_runs/count",
                        json.dumps({"task_runs": {"state": {"type": {"any_": TERMINAL_STATES}}}}),
                    ),
                ],
                quiet=SETTLED_SECONDS,
                limit=SETTLE_LIMIT_SECONDS,
            ),
            headers={"Authorization": basic(auth)},
            identity="prefect",
        ),
        child_environment.for_prefect_server(),
    )


def local_service(settings: Settings) -> EmbeddedServer:
    """The local Agents service of the state folder; its address is a project endpoint.

    Its data is in `STATE/service`, its log in `STATE/logs/agents-service.log`, its model is
    `settings.local_model`, its tools file `settings.local_tools_file`. It works inside a Prefect flow run as
    well, in the process of a worker.

    Raises:
        NotInstalledError: it, or the weights of its model, are not installed; nothing was started.
    """
    require_local_parts(settings)
    prepare_state_folder(settings.state_dir)
    data = settings.state_dir / "service"
    ready_file = settings.state_dir / "run" / "service.endpoint.json"
    model = settings.local_model.get_secret_value()
    kind, _, rules = model.partition(":")
    # The service runs in its own folder, so a path of the person's has to be made independent of theirs.
    if kind == "scripted":
        model = f"scripted:{Path(rules).expanduser().absolute()}"
    tools = ["--tools-file", str(settings.local_tools_file)] if settings.local_tools_file else []
    return EmbeddedServer(
        Specification(
            name="service",
            run_dir=str(settings.state_dir / "run"),
            token="",
            guardian_fd=-1,
            command=[
                *(sys.executable, "-P", "-m", "agents_emulator", "--host", "127.0.0.1", "--port", "0"),
                *("--data-dir", str(data), "--ready-file", str(ready_file)),
                *tools,
            ],
            cwd=str(data),
            log=str(settings.state_dir / "logs" / "agents-service.log"),
            environment={"PYTHONUNBUFFERED": "1"},
            ready_file=str(ready_file),
            start_timeout=settings.start_timeout,
            identity=" ".join([_told_apart(model), *tools]),
        ),
        child_environment.for_service(model, settings.local_tools_file),
    )


def _told_apart(model: str) -> str:
    """A model as it may be shown; two that differ in what is hidden differ in a few digits of a hash."""
    shown = redacted(model)
    return shown if shown == model else f"{shown} ({hashlib.sha256(model.encode()).hexdigest()[:8]})"


def _home_variables(settings: Settings) -> dict[str, str]:
    """Where Prefect keeps its things: the state folder, and not the person's own `~/.prefect`."""
    home = settings.state_dir / "prefect"
    return {"PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml")}


def prefect_environment(settings: Settings) -> dict[str, str]:
    """The variables that keep Prefect in this process to the state folder, and quiet; without the address.

    With a server of the person's own (`PREFECT_API_URL`), only the quietness is ours. What a flow logs goes
    to the server all the same; the terminal has the progress display, and the command tells errors.
    """
    quiet = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
    if settings.prefect_api_url:
        return quiet
    hosts = [host for host in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if host]
    no_proxy = ",".join(dict.fromkeys([*hosts, "127.0.0.1", "localhost"]))
    prepare_state_folder(settings.state_dir)
    return {
        **quiet,
        **_home_variables(settings),
        "PREFECT_API_AUTH_STRING": auth_string(settings.state_dir),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "DO_NOT_TRACK": "1",
        # A proxy of the environment must not come between this process and a server on the same machine.
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def use_prefect_environment(settings: Settings) -> None:
    """Sets `prefect_environment` in this process; to be called before Prefect is imported.

    Raises:
        RuntimeError: Prefect has been imported already, so it would not take notice.
    """
    if "prefect" in sys.modules:
        raise RuntimeError("Prefect's environment has to be set before Prefect is imported")
    if not settings.prefect_api_url:
        # The person's profile and keys belong to another server.
        for name in ("PREFECT_PROFILE", "PREFECT_API_KEY", "PREFECT_API_AUTH_STRING"):
            os.environ.pop(name, None)
    os.environ.update(prefect_environment(settings))


def use_prefect_api(api_url: str) -> None:
    """Makes Prefect in this process talk to the server at `api_url`, whether it has been imported or not.

    So the import, which takes seconds, can go on while the server starts.
    """
    os.environ["PREFECT_API_URL"] = api_url
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
