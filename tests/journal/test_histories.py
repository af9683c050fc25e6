"""Journals that older versions wrote, half-done, are finished without doing anything twice.

So operation keys have to stay what they were: a key that comes out otherwise finds nothing and sends anew.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from agent_tasks.backends.base import Mark
from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD, marked_name
from agent_tasks.journal.schema import SCHEMA_REVISION
from agent_tasks.operations import Decision, Workspace, decide
from tests.conftest import ServiceFactory
from tests.journal.history_pipeline import ANSWER, RULES, SCOPE, asked, pipeline, tools
from tests.support.service import RunningService

HISTORIES = Path(__file__).with_name("histories")
OLD = sorted(path.stem for path in HISTORIES.glob("*.sql"))
CHANGING = ("agents.create", "files.upload", "runs.create_thread_and_run", "runs.create")


def key_of(text: str, kind: str) -> str:
    found = re.search(rf"'history','([0-9a-f]{{40}})','{kind}'", text)
    assert found is not None
    return found[1]


async def service_as_left(running: RunningService, text: str, folder: Path) -> str:
    """Bring the service to where the killed pipeline left it; returns the journal with the service's ids."""

    def mark(kind: str) -> dict[str, str]:
        return {KEY_FIELD: key_of(text, kind), ATTEMPT_FIELD: "1"}

    with running.http() as http:
        name = marked_name("prices.txt", Mark(key_of(text, "upload")))
        file = http.post(
            "/files", data={"purpose": "assistants"}, files={"file": (name, b"Oak costs 40 EUR.")}
        ).json()
        definitions = tools(folder).definitions
        agent = http.post(
            "/assistants",
            json={"name": "clerk", "model": "m", "instructions": "Work.", "tools": definitions,
                  "metadata": mark("agent")},
        ).json()  # fmt: skip
        message = {"role": "user", "content": "Book oak.", "metadata": mark("turn")}
        run: dict[str, Any] = http.post(
            "/threads/runs",
            json={"assistant_id": agent["id"], "metadata": mark("turn"),
                  "thread": {"messages": [message], "metadata": mark("turn")}},
        ).json()  # fmt: skip
        while run["status"] != "requires_action":
            await asyncio.sleep(0.1)
            run = http.get(f"/threads/{run['thread_id']}/runs/{run['id']}").json()
    ids = {"file": file["id"], "agent": agent["id"], "thread": run["thread_id"], "run": run["id"]}
    for number, call in enumerate(run["required_action"]["submit_tool_outputs"]["tool_calls"]):
        ids[f"call_{number}"] = call["id"]
    for word, remote_id in ids.items():
        text = text.replace(f"{{{word}}}", remote_id)
    return text


async def load(address: str, text: str) -> None:
    """Put the stored tables and rows into an empty database."""
    if address.startswith("sqlite"):
        path = Path(address.partition(":///")[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as database:
            database.executescript(text)
        return
    engine = create_async_engine(address)
    async with engine.begin() as connection:
        for statement in re.split(r";\n", text):
            if statement.strip() and statement.strip() not in ("BEGIN TRANSACTION", "COMMIT"):
                await connection.execute(sa.text(statement.replace(":", r"\:")))
    await engine.dispose()


@pytest.mark.parametrize("revision", OLD)
async def test_a_half_done_pipeline_of_an_older_version_is_finished(
    service: ServiceFactory, address: str, tmp_path: Path, revision: str
) -> None:
    running = service(rules=RULES)
    text = (HISTORIES / f"{revision}.sql").read_text(encoding="utf-8")
    await load(address, await service_as_left(running, text, tmp_path))
    before = {operation: len(running.requests(operation)) for operation in CHANGING}

    assert await pipeline(running.endpoint, str(tmp_path), address) == ANSWER

    assert {operation: len(running.requests(operation)) for operation in CHANGING} == before
    assert len(running.requests("runs.submit_tool_outputs")) == 1
    assert not (tmp_path / "ran.txt").exists(), "a function ran whose output the journal holds"


@pytest.mark.parametrize("revision", [revision for revision in OLD if revision >= "0004"])
async def test_what_people_were_asked_and_decided_in_an_older_version_counts(
    address: str, revision: str
) -> None:
    await load(address, (HISTORIES / f"{revision}.sql").read_text(encoding="utf-8"))
    async with Workspace.open("http://127.0.0.1:1/api/projects/p", None, address, scope=SCOPE) as ws:
        first, waits = await asked(ws, "first"), await asked(ws, "second")
        assert isinstance(first, Decision)
        assert isinstance(waits, str)
        assert (first.approved, first.by, first.note) == (True, "Ann", "Fine.")
        assert waits == "088da4b8f4acd7ede37c447bfc91a11bf4e39d52"
        await decide(ws, waits, approved=False, by="Bob")


def test_every_schema_has_a_stored_history() -> None:
    versions = Path(__file__).resolve().parents[2] / "agent_tasks" / "journal" / "migrations" / "versions"
    revisions = sorted(path.name.split("_")[0] for path in versions.glob("[0-9]*.py"))
    assert revisions[-1] == SCHEMA_REVISION
    assert revisions == OLD
