"""A browser to look at the dashboards of a Prefect server, and a port that hears what pages load."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from playwright.sync_api import Page, sync_playwright

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
