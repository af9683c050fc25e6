"""The desk as it is served, for a real browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.review.web.serving import Where, serve
from agent_tasks.settings import Settings
from tests.batch.support import Bench

TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def desk_open(bench: Bench, monkeypatch: pytest.MonkeyPatch, people: Path | None = None) -> Iterator[str]:
    """The page over a bench's journal, in a thread; gives the one-time link."""
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(bench.folder / "state"))
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", bench.journal_url)
    monkeypatch.setattr("agent_tasks.prefect.blocks.local_scope", lambda settings: "test")
    links: list[str] = []
    is_ready = threading.Event()

    def ready(link: str) -> None:
        links.append(link)
        is_ready.set()

    loop = asyncio.new_event_loop()
    where = Where(person="Ann", people=people, is_behind_proxy=people is not None)
    task = loop.create_task(serve(Settings(), where, ready=ready))

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert is_ready.wait(60)
    try:
        yield links[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(30)


@contextmanager
def chromium(driver: Any) -> Iterator[Any]:
    """A browser of Playwright's driver."""
    browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    try:
        yield browser
    finally:
        browser.close()


def press(page: Any, key: str) -> None:
    """Press a key once the page's script listens: what is looked for stands there before it has run."""
    page.wait_for_load_state("load")
    page.keyboard.press(key)
