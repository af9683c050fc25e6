"""A Prefect server with its dashboards, a browser to look at them, and a port that hears what pages load."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from playwright.sync_api import Page, sync_playwright

START_SECONDS = 120.0
SETTLE_MS = 1_500
"""How long a page may still load after its text is there."""

ACTIVE = (
    "a[href], area[href], img, image, picture, iframe, object, embed, script, link, base, form, video, audio"
)
"""What loads or leads somewhere."""


@dataclass
class Listener:
    """A port of this machine that notes what is asked of it."""

    origin: str
    paths: list[str] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.paths.append(self.path)
            self.send_response(204)
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    heard = Listener(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def serving_dashboards(home: Path) -> Iterator[str]:
    """A Prefect server with both dashboards for the block; gives its origin."""
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


@dataclass
class Seen:
    """A page as the browser showed it."""

    text: str
    active: list[str]
    """Elements that load or lead somewhere, as HTML."""


@contextmanager
def browsing() -> Iterator[Page]:
    """A page of a headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        try:
            yield browser.new_page(viewport={"width": 1440, "height": 2400})
        finally:
            browser.close()


def look_at(page: Page, address: str, *, until: str) -> Seen:
    """Open an address, and wait until a text is shown and all that it loads could be asked for."""
    page.goto(address)
    page.get_by_text(until).first.wait_for(timeout=30_000)
    page.wait_for_timeout(SETTLE_MS)
    active = page.eval_on_selector_all(ACTIVE, "found => found.map(element => element.outerHTML)")
    return Seen(page.inner_text("body"), active)
