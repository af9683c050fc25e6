"""A batch that an older version left half-done is finished by this one: nothing is sent or paid for twice.

`histories/batch` has its journal, with a finished run beside it; `history_batch.py` says what is in it.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from agent_tasks.backends.base import Mark
from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD, marked_name
from agent_tasks.batch import context
from agent_tasks.batch.context import batch_owner
from agent_tasks.batch.fork import find_run
from agent_tasks.batch.records import AnswerRow, DocumentRow
from agent_tasks.errors import JournalError, JournalVersionError
from agent_tasks.journal import Journal, LeaseKind, NewLease
from agent_tasks.journal.schema import SCHEMA_REVISION
from agent_tasks.journal.workers import WorkerPresence
from agent_tasks.operations import Workspace
from agent_tasks.operations.ownership import in_use
from tests.conftest import ServiceFactory
from tests.journal.history_batch import DOCUMENTS, FLOW_RUN, RULES, SCOPE, batch_key, run
from tests.journal.test_histories import load
from tests.support.service import RunningService

HISTORIES = Path(__file__).parent / "histories" / "batch"
OLD = sorted(path.stem for path in HISTORIES.glob("*.sql"))
OF_WORKERS = (LeaseKind.NAME, LeaseKind.DOCUMENT, LeaseKind.MEMBER)
PAID = ("agents.create", "files.upload", "vector_stores.create", "runs.create_thread_and_run", "runs.create")


def key_of(text: str, kind: str, described: str) -> str:
    """The key of the unfinished batch's operation of a kind, by what its fingerprint says."""
    found = re.search(rf"'history','([0-9a-f]{{40}})','{kind}','[^']*{described}[^']*papers:", text)
    assert found is not None
    return found[1]


def service_as_left(running: RunningService, text: str) -> dict[str, str]:
    """Bring the service to where the killed batch left it; returns the ids of what is there."""

    def mark(kind: str, described: str) -> dict[str, str]:
        return {KEY_FIELD: key_of(text, kind, described), ATTEMPT_FIELD: "1"}

    ids: dict[str, str] = {}
    with running.http() as http:
        for number, (name, content) in enumerate(DOCUMENTS.items()):
            marked = marked_name(name, Mark(key_of(text, "upload", name)))
            made = http.post(
                "/files", data={"purpose": "assistants"}, files={"file": (marked, content.encode())}
            )
            ids[f"file_{number}"] = _id(made)
        files = [ids["file_0"], ids["file_1"]]
        store = {"name": "papers", "file_ids": files, "metadata": mark("store", '"papers"')}
        ids["store"] = _id(http.post("/vector_stores", json=store))
        extractor = {"name": "papers-extractor", "model": "m", "metadata": mark("agent", "papers-extractor")}
        ids["extractor"] = _id(http.post("/assistants", json=extractor))
        analyst = {
            "name": "papers-analyst", "model": "m", "instructions": "Analyse.",
            "tools": [{"type": "file_search"}], "metadata": mark("agent", "papers-analyst"),
            "tool_resources": {"file_search": {"vector_store_ids": [ids["store"]]}},
        }  # fmt: skip
        ids["analyst"] = _id(http.post("/assistants", json=analyst))
        asked = mark("turn", "question-second")
        message = {"role": "user", "content": "How many are there?", "metadata": asked}
        begun = http.post(
            "/threads/runs",
            json={"assistant_id": ids["analyst"], "metadata": asked,
                  "thread": {"messages": [message], "metadata": asked}},
        )  # fmt: skip
        ids["run"], ids["thread"] = _id(begun), begun.json()["thread_id"]
    return ids


def _id(made: httpx.Response) -> str:
    assert made.status_code == 200, made.text
    return str(made.json()["id"])


def text_of(revision: str, folder: Path, ids: dict[str, str] | None = None) -> str:
    """A stored journal, with the ids of the service and the folder put in."""
    text = (HISTORIES / f"{revision}.sql").read_text(encoding="utf-8")
    for word, value in {**(ids or {}), "folder": str(folder)}.items():
        text = text.replace(f"{{{word}}}", value)
    return text


@pytest.fixture(autouse=True)
def key_without_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give batches the keys that they have in the stored journals."""
    monkeypatch.setattr(context, "batch_key", batch_key)


@pytest.mark.parametrize("revision", OLD)
async def test_a_half_done_batch_of_an_older_version_is_finished(
    service: ServiceFactory, address: str, tmp_path: Path, revision: str
) -> None:
    running = service(rules=RULES)
    stored = text_of(revision, tmp_path)
    await load(address, text_of(revision, tmp_path, service_as_left(running, stored)))
    before = {operation: len(running.requests(operation)) for operation in PAID}

    async with Workspace.open(running.endpoint, None, address, scope=SCOPE) as ws:
        summary = await run(ws, tmp_path, "papers")
        again = await run(ws, tmp_path, "papers")
        assert await ws.journal.leases.of(SCOPE) == []
        assert await ws.journal.operations.unsettled(SCOPE) == []
        assert await ws.journal.resources.live(SCOPE) == []

    assert {operation: len(running.requests(operation)) for operation in PAID} == before
    assert (summary.done, summary.reused, summary.failed, summary.warnings) == (2, 2, 0, [])
    answers = [(answer.id, answer.answer.partition(" [")[0]) for answer in summary.answers]
    assert answers == [("first", "P-1 and P-2."), ("second", "Two.")]
    assert (again.reused, again.turns, again.answers) == (2, 0, summary.answers)


@pytest.mark.parametrize("revision", OLD)
async def test_all_that_an_older_version_knew_is_in_the_tables_of_today(
    address: str, tmp_path: Path, revision: str
) -> None:
    await load(address, text_of(revision, tmp_path))
    owner = batch_owner("papers", tmp_path / "papers")
    keys = {name: batch_key(name, tmp_path / name) for name in ("finished", "papers")}
    async with Journal(address) as journal:
        for name, answered in (("finished", ["first", "second"]), ("papers", ["first"])):
            documents = [record async for record in journal.documents.of(SCOPE, keys[name])]
            assert [record.read(DocumentRow).document for record in documents] == list(DOCUMENTS)
            answers = await journal.answers.of(SCOPE, keys[name])
            assert [record.read(AnswerRow).id for record in answers] == answered
            assert answers[0].corpus
        leases = {lease.kind: lease for lease in await journal.leases.of(SCOPE)}
        assert {kind: lease.owner for kind, lease in leases.items()} == dict.fromkeys(OF_WORKERS, owner)
        assert leases[LeaseKind.DOCUMENT].document == "b.txt"
        open_run = await journal.runs.get(SCOPE, owner)
        assert open_run is not None
        assert (open_run.ended_at, open_run.body) == (None, None)
        assert open_run.started_at == leases[LeaseKind.NAME].taken_at
        assert [one.kind for one in await journal.operations.unsettled(SCOPE)] == ["turn"]
        assert await journal.flow_runs.owner(FLOW_RUN) == owner
    with_service = Workspace.__new__(Workspace)
    async with Journal(address) as with_service.journal:
        with_service.scope = SCOPE
        found = await find_run(with_service, str(tmp_path / "finished-out"))
        assert (found.batch, found.summary.done) == (keys["finished"], 2)
        assert await find_run(with_service, "finished") == found


def held_for_an_hour(text: str) -> tuple[str, set[str]]:
    """A stored journal whose leases are not over, and the workers that have them."""
    pattern = r"('(worker\.[^']*)'),[0-9.e+]+"
    workers = {found[1] for found in re.findall(pattern, text)}
    return re.sub(pattern, rf"\1,{time.time() + 3600!r}", text), workers


@pytest.mark.parametrize("revision", [one for one in OLD if one != SCHEMA_REVISION])
async def test_a_journal_is_not_migrated_under_a_worker_of_the_older_version(
    address: str, tmp_path: Path, revision: str
) -> None:
    """It would write what is read no more. Beside SQLite it is known by its lock, elsewhere by its lease."""
    text, workers = held_for_an_hour(text_of(revision, tmp_path))
    assert workers
    await load(address, text)
    path = address.partition(":///")[2] if address.startswith("sqlite") else None
    alive = [WorkerPresence(Path(f"{path}.workers"), one) for one in sorted(workers)] if path else []
    for presence in alive:
        presence.announce()
    for _ in range(2):  # the first look has changed nothing
        with pytest.raises(
            JournalVersionError, match=f"schema {revision}, and a worker .* End it"
        ) as refused:
            async with Journal(address):
                pass
        assert any(one in str(refused.value) for one in workers)
    for presence in alive:
        presence.leave()
    later = time.time() + (0 if path else 7200)
    async with Journal(address, clock=lambda: later) as journal:
        assert len(await journal.leases.of(SCOPE)) == 3


async def test_a_lease_that_may_be_of_another_machine_is_respected(
    postgresql_address: str, tmp_path: Path
) -> None:
    text, _ = held_for_an_hour(text_of(SCHEMA_REVISION, tmp_path))
    await load(postgresql_address, text)
    owner = batch_owner("papers", tmp_path / "papers")
    async with Journal(postgresql_address) as journal:
        there = await journal.leases.of(SCOPE)
        wanted = [NewLease(one.key, one.kind, one.owner, one.document) for one in there]
        assert len(wanted) == 3
        assert await journal.leases.take(SCOPE, wanted) == set()
        ws = Workspace.__new__(Workspace)
        ws.journal, ws.scope = journal, SCOPE
        assert await in_use(ws, owner)
        assert not await in_use(ws, batch_owner("finished", tmp_path / "finished"))


async def test_a_migration_that_fails_leaves_the_journal_as_it_was(address: str, tmp_path: Path) -> None:
    """It fails in its middle: one of the tables that it changes is not there."""
    await load(address, text_of("0002", tmp_path))
    engine = create_async_engine(address)

    async def told(statement: str) -> list[Any]:
        async with engine.begin() as connection:
            found = await connection.execute(sa.text(statement))
            return [tuple(row) for row in found] if found.returns_rows else []

    await told("ALTER TABLE documents RENAME TO elsewhere")
    rows = await told("SELECT * FROM operations ORDER BY key")
    with pytest.raises(JournalError, match="documents"):
        async with Journal(address):
            pass
    assert await told("SELECT version_num FROM alembic_version") == [("0002",)]
    assert str(await told("SELECT * FROM operations ORDER BY key")) == str(rows)
    await told("ALTER TABLE elsewhere RENAME TO documents")
    await engine.dispose()
    async with Journal(address) as journal:
        assert len(await journal.runs.ended(SCOPE)) == 1


def test_every_schema_has_a_stored_batch() -> None:
    assert OLD[-1] == SCHEMA_REVISION
