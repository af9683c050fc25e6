"""What an operator asks, each answered by what the dashboard shows of a run."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from agent_tasks.batch.context import Batch, Tally, batch_key
from agent_tasks.batch.records import DocumentStatus
from agent_tasks.client import Resent
from agent_tasks.operations import NO_PRICES, Usage
from agent_tasks.prefect.artifacts import _described
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from agent_tasks.review.items import item_key
from tests.batch.support import Bench

DESK = "https://desk.example/review"

PRICES = 'currency = "USD"\nas_of = 2026-11-29\n[models.test-model]\ninput = 1000\noutput = 2000\n'

_SPENT = r"[\d,]+ \|"

ANSWERS: dict[str, tuple[str, str]] = {
    "Which documents failed, and why?": ("open", r"## 1 failed\n\n- \*\*empty\.txt\*\*\n  - .*is empty"),
    "Which documents wait for a person, and why?": (
        "open",
        r"## 1 for a person to look at\n\n- \*\*unclear\.txt\*\*.*\n  - total 999\.0 is not in the document",
    ),
    "Where do I look at one?": ("open", rf"unclear\.txt\*\* \(\[look at it\]\({DESK}/items/[0-9a-f]{{40}}\)"),
    "How far is it?": ("progress", r"5 of 5 documents \(3 done, 1 needs review, 1 failed\)"),
    "What became of each document?": (
        "results",
        r'"document": "1\.txt", "status": "done", .*"result": "number: ',
    ),
    "What became of a document with a long name?": (
        "results",
        r'"document": "a{10}\.\.\.a{6}\.txt", "status": "done"',
    ),
    "What did each document cost?": (
        "results",
        r'"time": "[\d.]+ s", "tokens": "[\d,]+", "money": "[\d.]+ USD"',
    ),
    "What did each step cost?": (
        "spending",
        rf"\| extract \| 4 \| 0 \| 0 \| [\d.]+ s \| {_SPENT} [\d.]+ USD \|",
    ),
    "What did each agent cost?": ("spending", rf"\| papers-reviewer \| 4 \| 0 \| 0 \| [\d.]+ s \| {_SPENT}"),
    "What did each model cost?": (
        "spending",
        rf"\| test-model \| {_SPENT} 0 \| {_SPENT} {_SPENT} [\d.]+ USD",
    ),
    "Was anything throttled?": ("spending", r"\| step \| turns \| tried again \| throttled \|"),
    "Which documents took longest?": ("spending", r"## Documents that took longest\n\n(.*\n)+\| \d\.txt \|"),
    "What do the prices rest on?": ("spending", r"Prices as of 2026-11-29\."),
    "What was said in a turn about it?": (
        "open",
        r"`agent-tasks transcripts list --owner papers:[0-9a-f]{12}/DOCUMENT`",
    ),
    "How did the last runs go?": ("history", r"^data:image/svg\+xml;base64,.*\nWhat the last runs came to"),
    "What do the questions come to?": ("report", r"### What is the sum\?"),
}
"""For each question the artifact that answers it, and what stands there."""


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_each_question_of_an_operator_has_its_answer(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    for name, number in (("1", 1), ("2", 2), ("a" * 100, 3)):
        batch.write(f"{name}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    batch.write("unclear.txt", "Paper P-4, unclear")
    batch.write("empty.txt", "")
    batch.pipeline_file.write_text(batch.pipeline)
    (batch.folder / "prices.toml").write_text(PRICES)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    monkeypatch.setenv("AGENT_TASKS_PRICES", str(batch.folder / "prices.toml"))
    monkeypatch.setenv("AGENT_TASKS_DESK_URL", DESK)
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    state: Any = await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )
    async with get_client() as client:
        run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[state.state_details.flow_run_id]))
        artifacts = await client.read_artifacts(artifact_filter=run)
    said: dict[str, str] = {}
    for artifact in artifacts:
        data = artifact.data if isinstance(artifact.data, str) else json.dumps(artifact.data)
        said[(artifact.key or "").removeprefix("papers-")] = f"{data}\n{artifact.description}"
    for question, (where, what) in ANSWERS.items():
        assert re.search(what, said[where]), f"{question}\n{said[where]}"
    assert item_key(batch_key("papers", batch.documents), "unclear.txt") in said["open"]


def _batch(tally: Tally) -> Batch:
    workspace = SimpleNamespace(prices=NO_PRICES)
    return cast("Batch", SimpleNamespace(tally=tally, ws=workspace, budget=None))


def test_a_run_says_what_it_works_on_how_fast_and_how_long_still() -> None:
    tally = Tally(total=100, finished=40, turns=80, repeated=3, throttled=2, usage=Usage(total_tokens=12_000))
    tally.resent = Resent(requests=4, throttled=1, seconds=75)
    tally.by_status[DocumentStatus.DONE] = 40
    now = time.monotonic()
    tally.ends.extend(now - 60 + 3 * number for number in range(21))  # one each three seconds
    for number in range(7):
        tally.in_flight[f"{number}.txt"] = "extract", now - 20 + number
    text = _described(_batch(tally))
    assert "40 of 100 documents (40 done); 80 turns, 12,000 tokens" in text
    assert "tried again 7 times, 3 of them throttled, 1 min 15 s waited for that" in text
    assert re.search(r"(19\.\d|20(\.\d)?) documents a minute, about 3 min \d+ s left", text), text
    assert re.search(r"Running now: 0\.txt \(extract, 2\d s\), .*4\.txt \(.*, and 2 more$", text), text


def test_a_run_that_stands_still_says_so_by_its_rate() -> None:
    tally = Tally(total=100, finished=40)
    tally.ends.extend([0.0, 1.0, 2.0])
    assert tally.rate(2.0) == 60
    assert tally.rate(122.0) == pytest.approx(60 * 2 / 122)
    assert tally.seconds_left(2.0) == 60
    assert Tally(total=3, finished=1).seconds_left(5.0) is None


def test_a_name_from_outside_is_no_link_and_no_second_line_in_the_progress() -> None:
    tally = Tally(total=2)
    tally.in_flight["http://evil.example/\n[x](y).txt"] = "reading", time.monotonic()
    text = _described(_batch(tally))
    assert "://" not in text
    assert "\n" not in text
