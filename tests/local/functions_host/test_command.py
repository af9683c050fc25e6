"""`agent-tasks functions`: the app, its host and Azurite, started and ended together."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueClient

from agent_tasks.local.azurite import Azurite
from agent_tasks.queues import decode, encode
from tests.local.conftest import processes_of, until
from tests.support.azurite import STATE_DIR
from tests.support.function_app import SOURCE

PROGRAM = [sys.executable, "-c", "from agent_tasks.cli import main; main()", "functions"]
ASK = """
import os, sys, json, time
from azure.storage.queue import QueueClient
calls, answers = (QueueClient.from_connection_string(os.environ["STORAGE"], f"validate-iban-{way}put")
    for way in ("in", "out"))
calls.send_message(json.dumps({"iban": "DE89370400440532013000", "CorrelationId": "c1"}))
for _ in range(400):
    for message in answers.receive_messages():
        print(message.content)
        sys.exit(7)
    time.sleep(0.05)
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working directory whose state folder has Azurite installed already."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "azurite").symlink_to(STATE_DIR / "azurite")
    return tmp_path


@pytest.fixture(autouse=True)
def _installed(azurite: object) -> None:
    """The installation is there: the session's Azurite has used it."""


def start(home: Path, arguments: Sequence[str | Path], **options: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_TASKS_")}
    environment.pop("STORAGE", None)
    environment |= {"AGENT_TASKS_STATE_DIR": str(home / "state"), "PYTHONPATH": str(SOURCE.parent)}
    command = [*PROGRAM, *map(str, arguments)]
    return subprocess.Popen(command, cwd=home, env=environment, text=True, **options)


def ready(process: subprocess.Popen[str], file: Path) -> dict[str, Any]:
    assert until(lambda: file.exists() or process.poll() is not None, seconds=60)
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def app_in(home: Path, code: str) -> Path:
    folder = home / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text(code)
    (folder / "host.json").write_text('{"extensions": {"queues": {"maxPollingInterval": "00:00:01"}}}')
    (folder / "local.settings.json").write_text('{"Values": {"STORAGE": "UseDevelopmentStorage=true"}}')
    return folder


SLOW = """
import time
import azure.functions as func
app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="slow-input", connection="STORAGE")
@app.queue_output(arg_name="$return", queue_name="slow-output", connection="STORAGE")
def slow(message: func.QueueMessage) -> str:
    if message.dequeue_count == 1:
        time.sleep(60)
    return str(message.dequeue_count)
"""


def test_a_command_runs_while_the_app_does(home: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start(home, [SOURCE, "--", sys.executable, "-c", ASK], **pipes)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 7, err
    value = json.loads(decode(out))
    assert value["CorrelationId"] == "c1"
    assert json.loads(value["Value"])["valid"] is True
    assert "A development host, not Microsoft's" in err
    assert "validate_iban: validate-iban-input -> validate-iban-output" in err
    assert "purge_answers: does not run here (timerTrigger)" in err
    assert "Queues created" in err
    assert "AccountKey" not in out + err
    assert until(lambda: not processes_of(home))


def test_a_signal_ends_all_of_it(home: Path) -> None:
    process = start(home, [app_in(home, SLOW), "--data", home / "data", "--ready-file", home / "ready.json"])
    found = ready(process, home / "ready.json")
    assert found["pid"] == process.pid
    assert len(processes_of(home)) >= 3
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert until(lambda: not processes_of(home))


def test_killed_host_leaves_nothing_behind_and_its_message_to_the_next(home: Path) -> None:
    process = start(home, [app_in(home, SLOW), "--data", home / "data", "--ready-file", home / "ready.json"])
    account = ready(process, home / "ready.json")["connection_string"]
    calls = QueueClient.from_connection_string(account, "slow-input")
    calls.send_message(encode("x"))
    assert until(lambda: not calls.peek_messages())
    process.kill()
    process.wait(10)
    assert until(lambda: not processes_of(home))
    with Azurite(home / "data", state_dir=STATE_DIR) as storage:
        # Hidden for up to ten minutes, as in Azure: a kill cannot say that nobody works on it any more.
        account = storage.connection_string.get_secret_value()
        calls = QueueClient.from_connection_string(account, "slow-input")
        assert calls.get_queue_properties().approximate_message_count == 1
        assert calls.peek_messages() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "has no function_app.py"),
        ([SOURCE, "--", "no-such-program"], "There is no program no-such-program"),
    ],
)
def test_mistakes_are_told_in_one_message(home: Path, arguments: list[str | Path], message: str) -> None:
    process = start(home, arguments, stderr=subprocess.PIPE)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert message in err
    assert "Traceback" not in err
