"""A mail killed between the rows of its attachments and its own: no turn is paid for twice."""

from __future__ import annotations

import asyncio
import json
import os
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.conftest import ServiceFactory
from tests.durability.batch_worker import QUESTIONS, TURNS_A_DOCUMENT, lay_out, rules, work
from tests.durability.counts import counted
from tests.journal.conftest import BACKENDS, new_journal

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
PARENTS = {"m.eml": None, "m.eml/b.eml": "m.eml", "m.eml/b.eml/c.txt": "m.eml/b.eml", "m.eml/d.txt": "m.eml"}
POINTS = (
    "turn.committed:2",  # the mail is extracted and reviewed, nothing of its attachments is begun
    "turn.committed:5",  # of the innermost the extraction alone is done
    "batch.document:1",  # the innermost has its row, none of those around it has
    "batch.document:2",  # the attached mail has its row, the other attachment is not begun
    "batch.document:3",  # all attachments have their rows, their mail has none
    "batch.document:4",  # all have their rows, no question is asked
)
CHOSEN = POINTS if ALL else POINTS[1::3]


def paper(number: int) -> str:
    return f"Paper P-00{number}, total {number}.5"


def mail() -> EmailMessage:
    """A mail with a mail and a text attached; the inner mail has a text attached, too."""
    inner = EmailMessage()
    inner["Subject"] = "inner"
    inner.set_content(paper(2))
    inner.add_attachment(paper(3), filename="c.txt")
    outer = EmailMessage()
    outer["Subject"] = "outer"
    outer.set_content(paper(1))
    outer.add_attachment(inner.as_bytes(), maintype="application", subtype="octet-stream", filename="b.eml")
    outer.add_attachment(paper(4), filename="d.txt")
    return outer


@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_mail_killed_between_its_rows_is_resumed_without_a_second_turn(
    backend: str,
    service: ServiceFactory,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
) -> None:
    running = service(rules=rules(0.0))

    async def story(point: str) -> list[dict[str, Any]]:
        folder = tmp_path / point.replace(":", "-")
        lay_out(folder, 0)
        (folder / "documents" / "m.eml").write_bytes(mail().as_bytes())
        args = (work, running.endpoint, await new_journal(backend, folder, request), str(folder), "out")
        await asyncio.to_thread(kill_at, point, *args)
        ended = await asyncio.to_thread(run_coroutine, *args)
        assert (ended.result["total"], ended.result["done"]) == (4, 4), point
        return [json.loads(row) for row in (folder / "out" / "results.jsonl").read_text().splitlines()]

    stories = await asyncio.gather(*map(story, CHOSEN))
    for rows in stories:
        assert {row["document"]: row["parent"] for row in rows} == PARENTS
        assert [row["fields"]["number"] for row in rows] == ["P-001", "P-002", "P-003", "P-004"]
        assert [row["attachments"] for row in rows] == [
            ["m.eml/b.eml", "m.eml/d.txt"], ["m.eml/b.eml/c.txt"], [], [],
        ]  # fmt: skip
        assert {row["turns"] for row in rows} == {TURNS_A_DOCUMENT}

    verdict = ServiceLog(running.endpoint).verdict()
    counted(pytestconfig).add(
        points={point.partition(":")[0] for point in CHOSEN},
        kills=len(CHOSEN),
        duplicates=verdict["duplicate_effects"]["count"],
        leaks=verdict["left_over"]["count"] + verdict["active_runs"]["count"],
    )
    assert verdict["ok"], verdict
    assert len(running.generations()) == len(CHOSEN) * (TURNS_A_DOCUMENT * len(PARENTS) + QUESTIONS)
