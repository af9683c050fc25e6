"""Documents that are asked about in parts, or shown as images, killed in the middle."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent_tasks.testing import ServiceLog, kill_at, run_coroutine
from tests.batch.test_parts import PIPELINE as SHORT_FORM
from tests.batch.test_parts import RULES, document
from tests.batch.test_parts_of_steps import PIPELINE as WITH_STEPS
from tests.batch.test_vision import PIPELINE as SEEING
from tests.batch.test_vision import RULES as SEEN
from tests.batch.test_vision import scans
from tests.conftest import ServiceFactory
from tests.durability.counts import counted
from tests.durability.steps_batch import run
from tests.journal.conftest import BACKENDS, new_journal

ALL = bool(os.environ.get("AGENT_TASKS_ALL_CRASH_POINTS"))
POINTS = (
    "turn.committed:1",  # between the first range and the second
    "turn.started:2",  # in the middle of the second
    "turn.committed:2",
    "turn.committed:3",  # all ranges are asked about, nobody has reviewed
)
FORMS = {"short": SHORT_FORM, "steps": WITH_STEPS}
CHOSEN = [
    pytest.param(form, point, backend, id=f"{form}-{point}-{backend}")
    for form in FORMS
    for point in POINTS
    for backend in BACKENDS
    if ALL or (form, point, backend) == ("steps", "turn.started:2", "sqlite")
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("form", "point", "backend"), CHOSEN)
async def test_a_document_killed_between_its_ranges_is_resumed_without_a_second_turn(
    form: str,
    point: str,
    backend: str,
    service: ServiceFactory,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
) -> None:
    running = service(rules=RULES)
    (tmp_path / "documents").mkdir()
    (tmp_path / "pipeline.yaml").write_text(FORMS[form].replace("HOW", "pages"))
    (tmp_path / "documents" / "a.pdf").write_bytes(document(page_1="Number P-7", page_5="Total 950.00"))
    args = (run, running.endpoint, await new_journal(backend, tmp_path, request), str(tmp_path))
    kill_at(point, *args)
    row = run_coroutine(*args).result

    verdict = ServiceLog(running.endpoint).verdict()
    counted(pytestconfig).add(
        points={point.partition(":")[0]},
        kills=1,
        duplicates=verdict["duplicate_effects"]["count"],
        leaks=verdict["left_over"]["count"] + verdict["active_runs"]["count"],
    )
    assert (row["status"], row["fields"]["number"], row["fields"]["total"]) == ("done", "P-7", 950.0)
    assert list(row["ids"]) == ["extract-pages-1-2", "extract-pages-3-4", "extract-pages-5-6", "review"]
    assert verdict["ok"], verdict
    assert len(running.generations()) == 4


SEEN_AT = ("upload.committed:1", "upload.committed:2", "turn.started", "turn.committed")


@pytest.mark.skipif(not ALL, reason="AGENT_TASKS_ALL_CRASH_POINTS is not set")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("point", SEEN_AT)
async def test_a_scan_killed_while_it_is_shown_leaves_no_image_and_no_second_turn(
    point: str,
    service: ServiceFactory,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    pytestconfig: pytest.Config,
) -> None:
    running = service(rules=SEEN)
    (tmp_path / "documents").mkdir()
    (tmp_path / "pipeline.yaml").write_text(SEEING.replace("VISION", "{}"))
    (tmp_path / "documents" / "a.pdf").write_bytes(scans(2))
    args = (run, running.endpoint, await new_journal("sqlite", tmp_path, request), str(tmp_path))
    kill_at(point, *args)
    row = run_coroutine(*args).result

    verdict = ServiceLog(running.endpoint).verdict()
    counted(pytestconfig).add(
        points={point.partition(":")[0]},
        kills=1,
        duplicates=verdict["duplicate_effects"]["count"],
        leaks=verdict["left_over"]["count"] + verdict["active_runs"]["count"],
    )
    assert (row["status"], row["fields"]["number"]) == ("needs_review", "P-2")
    assert verdict["ok"], verdict
    assert len(running.generations()) == 1
    assert len(running.requests("files.upload")) == 2
