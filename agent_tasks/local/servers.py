"""The local servers of a state folder: the Prefect server and the local Agents service.

Both are shared by all processes that use the folder (`agent_tasks.local.embedded_server`); how they are used
says `agent_tasks.local.server`. Nothing here imports Prefect.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import zlib
from pathlib import Path

from typing_extensions import override

from agent_tasks.local import child_environment
from agent_tasks.local.embedded_server import UrlServer
from agent_tasks.local.parts import require_local_parts
from agent_tasks.local.reachability import require_prefect_api
from agent_tasks.local.server import Server
from agent_tasks.local.server_access import auth_string, basic, origins, ui_folder
from agent_tasks.local.state_folder import prepare_state_folder
from agent_tasks.local.supervisor import Settle, Specification
from agent_tasks.local.surroundings import content_digest, digest
from agent_tasks.redaction import redacted
from agent_tasks.settings import Settings

__all__ = [
    "GivenServer",
    "local_service",
    "prefect_environment",
    "prefect_server",
    "use_prefect_api",
    "use_prefect_environment",
]

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

# How often Prefect's server looks for what is due, in seconds: a look costs the same with and without work,
# and less where another one was just before. So they come together: what is due half a second before a look
# of `idling.LOOK_SECONDS` is found by that look, and what is due with it perhaps by the next one. (The look
# for recent deployments finds those of its own interval and one second more: it must not come later.)
IDLE_SETTINGS = {
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "9.5",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS": "9.5",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_LOOP_SECONDS": "14.5",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_LOOP_SECONDS": "29.5",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_LOOP_SECONDS": "29.5",
    "PREFECT_SERVER_SERVICES_FOREMAN_LOOP_SECONDS": "29.5",
    "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "29.5",
    "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT9.5S",
}
TERMINAL_STATES = ["COMPLETED", "FAILED", "CANCELLED", "CRASHED"]


class GivenServer(Server[str]):
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


class _PrefectServer(UrlServer):
    """The Prefect server; what this process still has to send to it is sent before it is let go."""

    @override
    def close(self) -> None:
        if self._hold is not None:
            _send_pending_events()
        super().close()


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


def prefect_server(settings: Settings) -> Server[str]:
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
            command=[
                *(sys.executable, "-P", "-m", "agent_tasks.local.prefect_program"),
                *("--host", "127.0.0.1", "--port", "{port}"),
            ],
            # Not the person's folder, whose prefect.toml or .env may hold settings for other servers.
            cwd=str(home),
            log=str(settings.state_dir / "logs" / "prefect-server.log"),
            environment={
                **_home_variables(settings),
                **BATCH_SETTINGS,
                **IDLE_SETTINGS,
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
            ports=[14_200 + zlib.crc32(str(settings.state_dir).encode()) % 5_000],
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
            data=[str(home / "prefect.db")],
        ),
        child_environment.for_prefect_server(),
    )


def local_service(settings: Settings) -> UrlServer:
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
    contents: list[Path] = []
    if kind == "scripted":
        contents.append(Path(rules).expanduser().absolute())
        model = f"scripted:{contents[0]}"
    if settings.local_tools_file:
        contents.append(settings.local_tools_file)
    tools = ["--tools-file", str(settings.local_tools_file)] if settings.local_tools_file else []
    return UrlServer(
        Specification(
            name="service",
            run_dir=str(settings.state_dir / "run"),
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
            # One that has read other rules, or another tools file, is another service.
            identity=" ".join([_told_apart(model), *tools, *map(content_digest, contents)]),
            data=[str(data / "service.db")],
        ),
        child_environment.for_service(model, settings.local_tools_file),
    )


def _told_apart(model: str) -> str:
    """A model as it may be shown; two that differ in what is hidden differ in a few digits of a hash."""
    shown = redacted(model)
    return shown if shown == model else f"{shown} ({digest(model.encode())[:8]})"


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
