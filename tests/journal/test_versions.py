"""What a newer version wrote is refused in words: which row of which journal, who wrote it, the remedy."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import create_async_engine

from agent_tasks.batch.records import AnswerRow, DocumentRow, RunRecord
from agent_tasks.errors import JournalVersionError
from agent_tasks.journal import AnswerRecord, DocumentRecord, Journal, LeaseKind, NewLease, bodies
from agent_tasks.journal.bodies import FORMAT, this_version
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from tests.batch.conftest import bench
from tests.batch.support import Bench
from tests.conftest import ServiceFactory

__all__ = ["bench"]

SCOPE = "s"
LEAD = NewLease("lead", LeaseKind.NAME, "papers:0123456789ab")


class Body(BaseModel):
    """What this version knows of a body."""

    model_config = ConfigDict(extra="forbid")

    known: int


async def fill(journal: Journal) -> None:
    """A row of each kind that has a body."""
    await journal.operations.claim(SCOPE, "k", "turn", {})
    await journal.operations.finish(SCOPE, "k", {"known": 1})
    await journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done", {"known": 1}))
    await journal.answers.put(SCOPE, "b", AnswerRecord("sum", "c", "f", "answered", {"known": 1}))
    joined = await journal.runs.join(SCOPE, LEAD, resume_within=0.0)
    await journal.runs.end(SCOPE, LEAD, joined.run, {"known": 1})


async def _operation(journal: Journal) -> Body:
    found = await journal.operations.get(SCOPE, "k")
    assert found is not None
    return found.written.read(Body, found.result)


async def _document(journal: Journal) -> Body:
    found = await journal.documents.get(SCOPE, "b", "a.txt")
    assert found is not None
    return found.read(Body)


async def _answer(journal: Journal) -> Body:
    found = await journal.answers.get(SCOPE, "b", "sum")
    assert found is not None
    return found.read(Body)


async def _run(journal: Journal) -> Body:
    (found,) = await journal.runs.ended(SCOPE)
    return found.read(Body)


ROWS: dict[str, tuple[str, str, Callable[[Journal], Awaitable[Body]]]] = {
    "operations": ("result", "the turn k", _operation),
    "documents": ("body", "document a.txt", _document),
    "answers": ("body", "the answer to sum", _answer),
    "runs": ("body", "the run of papers:0123456789ab", _run),
}


async def change(address: str, table: str, **values: Any) -> None:
    """Change all rows of a table, as another version would have written them."""
    url = sa.make_url(address)
    engine = create_async_engine(url)
    named = ", ".join(f"{name} = :{name}" for name in values)
    async with engine.begin() as connection:
        await connection.execute(sa.text(f"UPDATE {table} SET {named}"), values)  # noqa: S608
    await engine.dispose()


@pytest.mark.parametrize("table", ROWS)
async def test_a_row_in_an_unknown_format_is_refused(address: str, table: str) -> None:
    _, row, read = ROWS[table]
    async with Journal(address) as journal:
        await fill(journal)
        assert (await read(journal)).known == 1
        await change(address, table, format=FORMAT + 1, version="7.8.9")
        with pytest.raises(JournalVersionError) as caught:
            await read(journal)
    said = str(caught.value)
    assert f"The row of {row} in the journal" in said
    assert address.partition("://")[2].partition("?")[0].rpartition("/")[2] in said
    assert f"was written by prefect-azure-agents 7.8.9 in format {FORMAT + 1}" in said
    assert "Upgrade prefect-azure-agents to 7.8.9, or take another journal" in said


@pytest.mark.parametrize("table", ROWS)
async def test_a_row_with_one_more_key_is_refused(address: str, table: str) -> None:
    column, row, read = ROWS[table]
    body = json.dumps({"known": 1, "mood": "secret"})
    body = body if address.startswith("sqlite") else json.loads(body)
    async with Journal(address) as journal:
        await fill(journal)
        if isinstance(body, dict):
            await change(address, table, version="7.8.9")
            await _set_json(address, table, column, body)
        else:
            await change(address, table, version="7.8.9", **{column: body})
        with pytest.raises(JournalVersionError) as caught:
            await read(journal)
    said = str(caught.value)
    assert f"The row of {row} in the journal" in said
    assert "mood: Extra inputs are not permitted" in said
    assert "secret" not in said
    assert "It was written by 7.8.9. Upgrade prefect-azure-agents to that version" in said


async def _set_json(address: str, table: str, column: str, body: dict[str, Any]) -> None:
    engine = create_async_engine(address)
    changed = sa.table(table, sa.column(column, sa.JSON)).update().values({column: body})
    async with engine.begin() as connection:
        await connection.execute(changed)
    await engine.dispose()


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "before schema 0003 wrote it. Use that one"),
        (this_version(), "changed by hand. Restore a copy"),
    ],
)
async def test_a_row_that_no_newer_version_wrote_has_another_remedy(
    sqlite_address: str, version: str | None, said: str
) -> None:
    async with Journal(sqlite_address) as journal:
        await fill(journal)
        await change(sqlite_address, "documents", version=version, body="{}")
        with pytest.raises(JournalVersionError, match=said):
            await _document(journal)


def test_what_batches_and_turns_keep_takes_no_unknown_names() -> None:
    """So that what is added needs no new format to be refused by an older version."""
    for model in (DocumentRow, AnswerRow, RunRecord):
        assert model.model_config.get("extra") == "forbid", model


async def test_a_batch_stops_at_a_row_of_a_newer_version(bench: Callable[..., Bench]) -> None:
    """Before anything is sent, and with the same words as everywhere."""
    batch = bench()
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    await batch.run()
    turns = batch.turns()
    with closing(sqlite3.connect(batch.folder / "journal.db")) as database, database:
        database.execute("UPDATE documents SET body = json_set(body, '$.mood', 'good'), version = '7.8.9'")
    with pytest.raises(JournalVersionError, match=r"document a\.txt .*journal\.db.*mood.*7\.8\.9"):
        await batch.run()
    assert batch.turns() == turns


async def test_a_batch_whose_row_was_changed_by_hand_says_so(bench: Callable[..., Bench]) -> None:
    """A row of this version is read as a whole when results are written."""
    batch = bench()
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    await batch.run()
    results = (batch.out / "results.jsonl").read_bytes()
    with closing(sqlite3.connect(batch.folder / "journal.db")) as database, database:
        database.execute("UPDATE documents SET body = json_set(body, '$.mood', 'good')")
    with pytest.raises(JournalVersionError, match=r"document a\.txt .*journal\.db.*mood.*changed by hand"):
        await batch.run()
    assert (batch.out / "results.jsonl").read_bytes() == results


@pytest.mark.parametrize(
    "value",
    [
        0.1, 1e-7, 1e22, 1.7976931348623157e308, -0.0, 5e-324, 123456789.123456789, 2**70, -(2**63), True,
        None, "", "\ud800", "a\u2028b\x85", "☃ \U0001f600", "NUL \0", {"b": [1, {"a": []}], "a": {}},
    ],
)  # fmt: skip
async def test_what_is_stored_is_read_as_it_was_written(sqlite_address: str, value: Any) -> None:
    """Many rows are read by another parser of JSON than one: values and their kinds stay the same."""
    body = {"document": "a.txt", "status": "done", "fields": {"value": value}}
    async with Journal(sqlite_address) as journal:
        await journal.documents.put(SCOPE, "b", DocumentRecord("a.txt", "h", "f", "done", body))
        (stored,) = [found async for found in journal.documents.of(SCOPE, "b")]
        whole = await journal.documents.get(SCOPE, "b", "a.txt")
    assert whole is not None
    read, expected = stored.read(DocumentRow), whole.read(DocumentRow)
    assert read == expected
    assert repr(read.fields) == repr(expected.fields) == repr({"value": value})


async def test_a_turn_of_a_newer_version_is_not_paid_for_again(
    service: ServiceFactory, tmp_path: Path
) -> None:
    running = service()
    address = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    async with Workspace.open(running.endpoint, None, address, scope=SCOPE) as ws:
        spec = AgentSpec(name="clerk", model="m", instructions="Work.")
        turn = TurnSpec(step="ask", agent=await ensure_agent(ws, spec, owner="o"), prompt="?", owner="o")
        await run_turn(ws, turn)
        sent = len(running.requests("runs.create_thread_and_run"))
        with closing(sqlite3.connect(tmp_path / "journal.db")) as database, database:
            database.execute(
                "UPDATE operations SET result = json_set(result, '$.mood', 'good'), version = '7.8.9' "
                "WHERE kind = 'turn'"
            )
        with pytest.raises(JournalVersionError, match=r"the turn [0-9a-f]{40} .*mood"):
            await run_turn(ws, turn)
    assert len(running.requests("runs.create_thread_and_run")) == sent == 1


async def test_a_clone_that_is_not_installed_writes_too(
    sqlite_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(bodies, "version", missing)
    this_version.cache_clear()
    try:
        async with Journal(sqlite_address) as journal:
            await fill(journal)
            await change(sqlite_address, "documents", body="{}")
            with pytest.raises(JournalVersionError, match=r"prefect-azure-agents a clone: known: Field req"):
                await _document(journal)
    finally:
        this_version.cache_clear()


async def test_a_newer_schema_says_which_version_wrote_it(sqlite_address: str, tmp_path: Path) -> None:
    async with Journal(sqlite_address) as journal:
        await fill(journal)
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")
        database.execute("UPDATE operations SET version = '7.8.9'")
    with pytest.raises(JournalVersionError) as caught:
        async with Journal(sqlite_address):
            pass
    said = str(caught.value)
    assert "has schema 0099: a newer prefect-azure-agents wrote it, 7.8.9" in said
    assert f"This is {this_version()}" in said
    assert "Upgrade prefect-azure-agents to 7.8.9, or take another journal" in said
