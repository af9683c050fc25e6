"""The way of a person and their programs to the Prefect server of the state folder, which wants a key."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from agent_tasks.cli.app import app
from agent_tasks.local.server_access import auth_path, auth_string
from tests.local.conftest import processes_of, until
from tests.support.caches import shared_cache
from tests.support.chromium import needs_chromium
from tests.support.processor import descendants

MAIN = [sys.executable, "-c", "from agent_tasks.cli import main; main()"]
WIDTH = 1440


@dataclass
class Dashboard:
    """`agent-tasks dashboard` while it runs."""

    address: str
    process: subprocess.Popen[str]
    environment: dict[str, str]
    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def way_in(self) -> Path:
        """The file that signs a browser in."""
        return self.state / "run" / "dashboard.html"

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Another command of the same person."""
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=100
        )


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("dashboard")
    clean = shared_cache() | {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    environment = clean | {"AGENT_TASKS_STATE_DIR": str(folder / "state"), "HOME": str(folder)}
    log = folder / "stderr.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*MAIN, "dashboard", "--no-browser"],
            env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    made = Dashboard(process.stdout.readline().strip(), process, environment, folder)
    assert until(lambda: "Ctrl-C ends it." in log.read_text()), log.read_text()
    try:
        yield made
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.wait(60)
    assert ended == 0
    assert not made.way_in.exists()
    assert processes_of(folder) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield opened
        opened.close()


@pytest.mark.slow
@needs_chromium
@pytest.mark.timeout(240)
def test_the_way_in_signs_a_browser_in_and_other_browsers_are_asked(
    dashboard: Dashboard, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.goto(dashboard.address)
    field = page.locator("input")
    field.wait_for(timeout=60_000)
    assert "/login" in page.url
    field.fill("agent-tasks:wrong")
    field.press("Enter")
    page.get_by_text("Invalid credentials").first.wait_for(timeout=30_000)
    field.fill(auth_path(dashboard.state).read_text().strip())
    field.press("Enter")
    page.get_by_text("Work Pools").first.wait_for(timeout=60_000)
    page.close()

    page = browser.new_page(viewport={"width": WIDTH, "height": 900})
    page.goto(dashboard.way_in.as_uri())
    page.get_by_text("Work Pools").first.wait_for(timeout=60_000)
    assert page.url.startswith(f"{dashboard.address}/v2/dashboard")
    assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
    page.goto(f"{dashboard.address}/v2/sign-in.html#wrong")  # a link from elsewhere signs nobody out
    page.get_by_text("Work Pools").first.wait_for(timeout=60_000)
    page.close()


@pytest.mark.attack
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_key_is_in_no_argument_list_and_printed_nowhere(dashboard: Dashboard) -> None:
    secret = auth_string(dashboard.state).partition(":")[2]
    pids = [dashboard.process.pid, *descendants(dashboard.process.pid)]
    assert not [pid for pid in pids if secret in Path(f"/proc/{pid}/cmdline").read_text()]
    shown = dashboard.run(*MAIN, "prefect-env")
    assert shown.returncode == 0, shown.stderr
    assert secret not in shown.stdout + shown.stderr + (dashboard.folder / "stderr.log").read_text()
    assert dashboard.way_in.stat().st_mode & 0o077 == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_other_programs_find_the_server(dashboard: Dashboard) -> None:
    lines = dashboard.run(*MAIN, "prefect-env").stdout
    listed = f"{sys.executable} -m prefect work-pool ls"
    refused = dashboard.run("env", f"PREFECT_API_URL={dashboard.address}/api", "bash", "-c", listed)
    assert "401" in refused.stdout + refused.stderr
    created = dashboard.run(*MAIN, "prefect", "work-pool", "create", "documents", "--type", "process")
    assert created.returncode == 0, created.stderr
    shown = dashboard.run("bash", "-c", f"{lines}\n{listed}")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"documents\s", shown.stdout)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_command_of_prefects_keeps_the_server_for_as_long_as_it_runs(tmp_path: Path) -> None:
    clean = shared_cache() | {
        name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")
    }
    environment = clean | {"AGENT_TASKS_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [*MAIN, "prefect", "work-pool", "create", "documents", "--type", "process"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "documents" in done.stdout
    assert until(lambda: processes_of(tmp_path) == [], seconds=30)


def test_without_a_server_the_environment_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(sys, "argv", ["agent-tasks"])
    shown = CliRunner().invoke(app, ["prefect-env"])
    assert shown.exit_code == 2
    assert "agent-tasks dashboard" in shown.output
    assert "export" not in shown.stdout
