"""The real Prefect server of a state folder, and the environment that goes with it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import respx

from agent_tasks.local.servers import GivenServer, local_service, prefect_environment, prefect_server
from agent_tasks.settings import Settings

from .conftest import processes_of

FLOW = """
import asyncio, sys
from agent_tasks.local.servers import prefect_server, use_prefect_api, use_prefect_environment
from agent_tasks.settings import Settings

settings = Settings()
use_prefect_environment(settings)
server = prefect_server(settings).launch()

from prefect import flow, task
from prefect.settings import get_current_settings

@task
async def double(number):
    return 2 * number

@flow(log_prints=True)
async def many():
    print("a line of the flow's log")
    return sum(await asyncio.gather(*[double(n) for n in range(30)]))

use_prefect_api(server.wait())
assert get_current_settings().api.url == server.wait()
assert asyncio.run(many()) == 870
server.close()
"""


def test_flow_is_recorded_whole_and_the_persons_own_prefect_stays_untouched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".prefect").mkdir(parents=True)
    profiles = 'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "http://192.0.2.1/api"\n'
    (home / ".prefect" / "profiles.toml").write_text(profiles)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "XDG_"))
    }
    environment = inherited | {
        "HOME": str(home),
        "AGENT_TASKS_STATE_DIR": str(tmp_path / "state"),
        "PREFECT_API_KEY": "pnu_of_another_server",
        "PREFECT_PROFILE": "mine",
        "PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///nowhere/else.db",
    }
    done = subprocess.run(
        [sys.executable, "-c", FLOW],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""
    assert (home / ".prefect" / "profiles.toml").read_text() == profiles
    assert [path.name for path in (home / ".prefect").iterdir()] == ["profiles.toml"]
    with sqlite3.connect(tmp_path / "state" / "prefect" / "prefect.db") as database:
        rows = database.execute("select state_name, count(*) from task_run group by 1").fetchall()
        assert rows == [("Completed", 30)]
        assert database.execute("select state_name from flow_run").fetchall() == [("Completed",)]
        logs = database.execute("select message from log").fetchall()
        assert ("a line of the flow's log",) in logs
    (template,) = (home / ".cache" / "agent-tasks").iterdir()
    with sqlite3.connect(template) as kept:
        (tables,) = kept.execute("select count(*) from sqlite_master where type = 'table'").fetchone()
        assert tables > 30
        assert kept.execute("select count(*) from flow_run").fetchone() == (0,)
    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
    assert processes_of(tmp_path) == []


@respx.mock
def test_server_of_the_person_is_used_as_it_is(tmp_path: Path) -> None:
    health = respx.get("http://127.0.0.1:4200/api/health").respond(text="true")
    settings = Settings(prefect_api_url="http://127.0.0.1:4200/api", state_dir=tmp_path / "state")
    server = prefect_server(settings)
    assert isinstance(server, GivenServer)
    with server as url:
        assert url == "http://127.0.0.1:4200/api"
    assert health.call_count == 1
    assert not (tmp_path / "state").exists()
    assert set(prefect_environment(settings)) == {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}


def test_own_server_keeps_to_the_state_folder_past_any_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    environment = prefect_environment(Settings(prefect_api_url=None, state_dir=tmp_path))
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] == "false"
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_environment_after_the_import_of_prefect_is_refused() -> None:
    code = (
        "import sys; sys.modules['prefect'] = sys;"
        "from agent_tasks.local.servers import use_prefect_environment;"
        "from agent_tasks.settings import Settings; use_prefect_environment(Settings())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "before Prefect is imported" in done.stderr


def test_rules_of_a_scripted_model_are_found_from_the_persons_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    server = local_service(Settings(local_model="scripted:rules.yaml", state_dir=tmp_path / "state"))
    assert server.spec.identity.startswith(f"scripted:{tmp_path / 'rules.yaml'} ")
