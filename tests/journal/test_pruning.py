"""The journal forgets what has ended long ago, and nothing that somebody may come back to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import (
    BatchRecord,
    DocumentRecord,
    Journal,
    LeaseKind,
    NewLease,
    NewResource,
    NewTranscript,
    Question,
)
from agent_tasks.journal.schema import metadata
from agent_tasks.operations.pruning import prune_journal
from tests.journal.conftest import Clock

SCOPE = "s"
DAY = 86_400.0


async def batch(journal: Journal, name: str, *, status: str = "done") -> None:
    """A batch that has ended, with a document, its turn and its call."""
    lead = NewLease(f"lead-{name}", LeaseKind.NAME, name)
    joined = await journal.runs.join(SCOPE, lead, resume_within=0.0)
    await journal.batches.note(SCOPE, BatchRecord(f"key-{name}", name, name, "d", "p", "o", "f"))
    await turn(journal, f"turn-{name}", f"{name}/a.txt")
    await journal.documents.put(SCOPE, f"key-{name}", DocumentRecord("a.txt", "h", "f", status, {"known": 1}))
    await journal.runs.end(SCOPE, lead, joined.run, {"batch": f"key-{name}"}, in_short={"counts": {}})


async def turn(journal: Journal, key: str, owner: str) -> None:
    """A turn that has ended, with a tool call and a transcript."""
    await journal.operations.claim(SCOPE, key, "turn", {"owner": owner})
    await journal.calls.begin(SCOPE, key, f"run-{key}", "call", "book", "h")
    await journal.calls.finish(SCOPE, f"run-{key}", "call", "done")
    await journal.operations.finish(SCOPE, key, {"text": "x"})
    await journal.transcripts.put(SCOPE, NewTranscript(key, owner, "ask", "clerk", {}))


async def left(journal: Journal) -> dict[str, int]:
    """Rows of each table that has any."""

    def count(connection: sa.Connection) -> dict[str, int]:
        found = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
        return {name: number for name, number in found.items() if number}

    return await journal._database.read(count)


async def test_what_ended_long_ago_is_forgotten_with_all_that_belongs_to_it(
    journal: Journal, clock: Clock
) -> None:
    await batch(journal, "old:1")
    await turn(journal, "script", "a-script")
    await journal.flow_runs.note("flow", "old:1")
    clock.now += 100 * DAY
    await batch(journal, "new:1")
    new = await left(journal)

    looked = await journal.pruning.prune(clock.now - 90 * DAY, dry_run=True)
    assert (looked.batches, looked.documents, looked.operations, looked.transcripts) == (1, 1, 2, 2)
    assert await left(journal) == new

    done = await journal.pruning.prune(clock.now - 90 * DAY, dry_run=False)
    assert done == looked
    rest = await left(journal)
    assert rest == {
        "batches": 1,
        "documents": 1,
        "operations": 1,
        "past_runs": 1,
        "runs": 1,
        "tool_calls": 1,
        "transcripts": 1,
    }
    assert await journal.runs.get(SCOPE, "new:1") is not None
    assert (await journal.pruning.prune(clock.now - 90 * DAY, dry_run=False)).operations == 0
    # It is as if it had never been: a run of it begins, with number 1.
    joined = await journal.runs.join(SCOPE, NewLease("l", LeaseKind.NAME, "old:1"), resume_within=0.0)
    assert joined.run.number == 1


async def _with_a_lease(journal: Journal) -> None:
    await journal.leases.take(SCOPE, [NewLease("m", LeaseKind.MEMBER, "old:1")])


async def _with_something_on_the_service(journal: Journal) -> None:
    await journal.operations.claim(SCOPE, "up", "upload", {"owner": "old:1/a.txt"})
    made = NewResource("file", "file_1", "old:1/a.txt", "a.txt", 1.0)
    await journal.operations.finish(SCOPE, "up", {}, [made])


async def _with_a_question(journal: Journal) -> None:
    question = Question("q", owner="old:1/a.txt", step="ask", question="?", shown="x", shown_hash="h")
    await journal.decisions.ask(SCOPE, question, keep=1.0)


async def _with_a_run_under_way(journal: Journal) -> None:
    await journal.runs.join(SCOPE, NewLease("lead-old:1", LeaseKind.NAME, "old:1"), resume_within=0.0)


@pytest.mark.parametrize(
    "why", [_with_a_lease, _with_something_on_the_service, _with_a_question, _with_a_run_under_way]
)
async def test_a_batch_that_is_not_over_stays_whole(
    journal: Journal, clock: Clock, why: Callable[..., object]
) -> None:
    await batch(journal, "old:1")
    await why(journal)  # type: ignore[misc]
    before = await left(journal)
    clock.now += 100 * DAY
    done = await journal.pruning.prune(clock.now - 90 * DAY, dry_run=False)
    assert (done.batches, done.operations) == (0, 0)
    after = await left(journal)
    for table in ("documents", "operations", "tool_calls", "runs", "batches"):
        assert after[table] == before[table], table


@pytest.mark.parametrize("status", ["waiting", "needs_review"])
async def test_a_batch_with_documents_that_wait_for_people_stays(
    journal: Journal, clock: Clock, status: str
) -> None:
    await batch(journal, "old:1", status=status)
    clock.now += 100 * DAY
    done = await journal.pruning.prune(clock.now - 90 * DAY, dry_run=False)
    assert (done.batches, done.kept_for_people) == (0, 1)
    assert (await left(journal))["operations"] == 1


async def test_an_operation_that_did_not_end_stays_with_its_owners_others(
    journal: Journal, clock: Clock
) -> None:
    await turn(journal, "done", "a-script")
    await journal.operations.claim(SCOPE, "open", "turn", {"owner": "a-script"})
    await turn(journal, "other", "another")
    clock.now += 100 * DAY
    done = await journal.pruning.prune(clock.now - 90 * DAY, dry_run=False)
    assert done.operations == 1
    assert await journal.operations.get(SCOPE, "done") is not None
    assert await journal.operations.get(SCOPE, "other") is None


async def test_what_may_resume_any_moment_is_no_subject_of_pruning(journal: Journal) -> None:
    for days in (0.5, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="too few"):
            await prune_journal(journal, days)
