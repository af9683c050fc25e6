"""A Prefect server with its dashboards, for tests whose flows it records."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agent_tasks.local.servers import _send_pending_events

START_SECONDS = 120.0


@contextmanager
def serving_prefect(home: Path) -> Iterator[str]:
    """A Prefect server for the block; gives its origin.

    It is the program of a state folder's server, which takes less while it idles than `prefect_test_harness`.
    """
    home.mkdir(parents=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(home),
        "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{home}/prefect.db",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_API_URL": f"{origin}/api",
        "PREFECT_UI_STATIC_DIRECTORY": str(home / "ui"),
    }
    command = [sys.executable, "-m", "agent_tasks.local.prefect_program", "--port", str(port)]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _await_health(f"{origin}/api/health", process)
            yield origin
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def recorded_at(origin: str) -> Iterator[None]:
    """Have a server record the flows of this process for the block, to what it was told last."""
    from prefect.context import refresh_global_settings_context

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", f"{origin}/api")
        refresh_global_settings_context()
        try:
            yield
        finally:
            _send_pending_events()
    refresh_global_settings_context()


def _await_health(address: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(address, timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise RuntimeError(f"the Prefect server did not start within {START_SECONDS:g} s")
