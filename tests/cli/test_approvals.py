"""`agent-tasks approvals`: what people see and what becomes of decisions; the doctor on old questions."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks.cli import approvals
from agent_tasks.cli.app import app
from agent_tasks.doctor.local import check_approvals
from agent_tasks.errors import WaitingForPersonError
from agent_tasks.journal import DecisionState, Journal
from agent_tasks.operations import Decision, Workspace, ask_person
from agent_tasks.prefect.blocks import local_scope
from agent_tasks.settings import Settings
from tests.journal.conftest import Clock
from tests.support.fake_backend import FakeBackend

SHOWN = "Dear \x1b[31mSir,\nState:      approved"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder, and no service anywhere: people need none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", f"sqlite+aiosqlite:///{tmp_path}/journal.db")
    monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
    return tmp_path


async def asked(*, clock: Clock | None = None, **more: Any) -> Decision | str:
    """Ask, or take the decision; an id is that of a question that waits."""
    settings = Settings()
    url = settings.journal_url.get_secret_value()
    async with Journal(url, **({"clock": clock} if clock else {})) as journal:
        ws = Workspace(FakeBackend(lambda *_: pytest.fail("no agent")), journal, scope=local_scope(settings))
        wanted = {"owner": "letters:1/a.txt", "step": "release", "question": "Send [it]?", "shown": SHOWN}
        try:
            return await ask_person(ws, **{**wanted, **more})
        except WaitingForPersonError as error:
            return str(error.key)


async def test_a_person_looks_and_decides(capsys: pytest.CaptureFixture[str]) -> None:
    assert await approvals._list(everything=False, as_json=False) == 0
    assert (
        "No question waits for a person. Documents that need review: agent-tasks review list."
        in capsys.readouterr().err
    )
    key = await asked(time_limit=timedelta(days=2), at_limit="reject")
    assert isinstance(key, str)

    assert await approvals._list(everything=False, as_json=False) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["ID", "STATE", "QUESTION", "STEP", "OWNER", "AGE", "TIME", "LEFT"]
    assert line.split()[:4] == [key[:8], "waiting", "Send", "[it]?"]
    assert "1 d 23 h" in line

    assert await approvals._show(key[:5], as_json=False) == 0
    told = capsys.readouterr().out
    assert "Question:   Send [it]?" in told
    assert "UTC, then: reject" in told
    assert "  Dear \\x1b[31mSir,\n  State:      approved\n" in told  # spelt out, and with a margin

    assert await approvals._decide([key[:8]], "Ann Lee", "Checked.", approved=True) == 0
    said = capsys.readouterr().err
    assert f"{key[:8]} is approved by Ann Lee: Send [it]?" in said
    assert "Start the run again" in said
    decision = await asked()
    assert isinstance(decision, Decision)
    assert (decision.approved, decision.by, decision.note) == (True, "Ann Lee", "Checked.")

    assert await approvals._decide([key[:8], "ffffffffff"], "Bob", "", approved=False) == 1
    said = capsys.readouterr().err
    assert "was approved by Ann Lee at" in said
    assert "No question to a person has the id 'ffffffffff'" in said
    assert "Start the run" not in said


async def test_programs_read_json(capsys: pytest.CaptureFixture[str]) -> None:
    key = await asked()
    await approvals._list(everything=False, as_json=True)
    [found] = json.loads(capsys.readouterr().out)
    assert (found["id"], found["state"], found["expires_at"]) == (key, "waiting", None)
    assert found["shown"] == SHOWN
    await approvals._decide([found["id"]], None, "", approved=False)
    capsys.readouterr()
    await approvals._list(everything=False, as_json=True)
    assert json.loads(capsys.readouterr().out) == []
    await approvals._show(found["id"], as_json=True)
    assert json.loads(capsys.readouterr().out)["state"] == "rejected"
    await approvals._list(everything=True, as_json=False)
    assert "rejected" in capsys.readouterr().out


def test_the_commands_exit_with_what_became_of_it(folder: Path) -> None:
    runner = CliRunner()
    told = runner.invoke(app, ["approvals", "show", "abc"])
    assert (told.exit_code, "No question to a person" in told.stderr) == (1, True)
    assert runner.invoke(app, ["approvals", "list", "--json"]).stdout.strip() == "[]"
    assert runner.invoke(app, ["approvals", "approve"]).exit_code == 2


async def test_the_doctor_tells_of_what_waits_too_long(folder: Path) -> None:
    assert (await check_approvals(Settings())).detail == "Nobody is asked."
    clock = Clock()
    key = await asked()
    found = await check_approvals(Settings())
    assert (found.status, "1 question waits for people" in found.detail) == ("ok", True)
    await asked(clock=clock, question="Long ago?")  # in 1970
    found = await check_approvals(Settings())
    assert (found.status, found.remedy) == (
        "warning",
        "Look at them (agent-tasks approvals list); approve or reject them.",
    )
    assert "1 of 2 questions to people have waited for more than 7 days" in found.detail
    assert "letters:1/a.txt" in found.detail
    assert key is not None


async def test_the_doctor_tells_of_decisions_that_nothing_resumed_with(folder: Path) -> None:
    key = await asked()
    url = Settings().journal_url.get_secret_value()
    async with Journal(url, clock=Clock()) as journal:
        await journal.decisions.decide(local_scope(Settings()), str(key), DecisionState.APPROVED, by="Ann")
    found = await check_approvals(Settings())
    assert (found.status, "1 decision of people was made" in found.detail) == ("warning", True)
    await asked()
    assert (await check_approvals(Settings())).status == "ok"
