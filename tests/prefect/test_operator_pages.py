"""An operator's questions, read from the page that the dashboard shows, at the width of a usual screen."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from agent_tasks.batch.context import Batch, Tally
from agent_tasks.batch.records import DocumentStatus
from agent_tasks.client import Resent
from agent_tasks.operations import NO_PRICES, Usage
from agent_tasks.prefect.artifacts import ProgressArtifact
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from tests.batch.support import PIPELINE, RULES, Bench
from tests.support.chromium import needs_chromium
from tests.support.prefect_pages import browsing, look_at
from tests.support.service import start_in_thread, write_rules

DESK = "https://desk.example/review"
PRICES = 'currency = "USD"\nas_of = 2026-11-29\n[models.test-model]\ninput = 1000\noutput = 2000\n'
BUDGET = "budget: {money: 500.00 USD}\n"

UNTIL = {
    "open": "for a person to look at",
    "running-progress": "Running now",
    "results": "needs review",
    "spending": "Prices as of",
    "report": "What is the sum?",
}
"""The artifacts that are looked at, and a text of each."""

ANSWERS: dict[str, tuple[str, str]] = {
    "Which documents failed, and why?": ("open", r"1 failed\n+empty\.txt\n+.*is empty"),
    "Which wait for a person, and why?": (
        "open",
        r"2 for a person to look at\n+(.*\n+)*unclear\.txt \(look at it\)\n+total 999\.0 is not in the doc",
    ),
    "What was said about one?": (
        "open",
        r"agent-tasks transcripts list --owner papers:[0-9a-f]{12}/DOCUMENT",
    ),
    "What is running now?": (
        "running-progress",
        r"Running now: scans/0\.pdf \(extract, \d+ s\), .*, and 2 more",
    ),
    "How fast, how long still?": ("running-progress", r"documents a minute, about 3 min \d+ s left"),
    "Was anything throttled?": ("running-progress", r"tried again 7 times, 3 of them throttled, 1 min 15 s"),
    "What became of each document?": (
        "results",
        r"unclear\.txt\s+needs review\s[\s\S]{1,60}total 999\.0 is not in",
    ),
    "What did each document cost?": ("results", r"1\.txt\s+done\s+[\d.]+ s\s+\d+\s+0\.\d+ USD"),
    "What did each step cost?": ("spending", r"extract\s+\d+\s+0\s+0\s+[\d.]+ s\s+[\d,]+\s+[\d.]+ USD"),
    "What did each agent cost?": ("spending", r"papers-reviewer\s+\d+\s+0\s+0\s+[\d.]+ s\s+[\d,]+"),
    "What did each model cost?": ("spending", r"test-model\s+[\d,]+\s+0\s+[\d,]+\s+[\d,]+\s+[\d.]+ USD"),
    "How much of the budget is spent?": ("report", r"Budget: [\d.]+ of 500\.00 USD\."),
    "What do the questions come to?": ("report", r"What is the sum\?\n+.*a total of 10\.5"),
}

CUT = """() => [...document.querySelectorAll("body *")].filter(one => {
    const how = getComputedStyle(one).overflowX, right = one.getBoundingClientRect().right;
    if (one.tagName === "TABLE" && right > one.parentElement.getBoundingClientRect().right + 1) return true;
    return how !== "visible" && one.clientWidth > 0 && one.innerText && one.scrollWidth > one.clientWidth + 1;
}).map(one => `${one.tagName} ${one.className}: ${one.innerText.slice(0, 80)}`)"""
"""Elements whose text is wider than they are, and is cut or has to be scrolled; tables that overlap."""


@dataclass
class Shown:
    """What an operator sees."""

    pages: dict[str, str]
    cut: dict[str, list[str]]
    links: list[str]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Shown:
    folder = tmp_path_factory.mktemp("operator")
    seen = Shown({}, {}, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AGENT_TASKS_STATE_DIR", str(folder / "state"))
        patch.setenv("AGENT_TASKS_PRICES", str(folder / "prices.toml"))
        patch.setenv("AGENT_TASKS_DESK_URL", DESK)
        batch = _batch(folder)
        try:
            artifacts = asyncio.run(_processed(batch))
        finally:
            batch.service.stop()
        with browsing() as page:
            page.set_viewport_size({"width": 1440, "height": 1200})
            for name, until in UNTIL.items():
                at = f"{prefect_server}/v2/artifacts/artifact/{artifacts[name]}"
                seen.pages[name] = look_at(page, at, until=until).text
                seen.cut[name] = page.evaluate(CUT)
                page.screenshot(path=folder / f"{name}.png", full_page=True)
                links = page.eval_on_selector_all("a[href]", "found => found.map(one => one.href)")
                seen.links += [link for link in links if link.startswith(DESK)]
    return seen


@needs_chromium
@pytest.mark.timeout(300)  # the dashboards start in the first of these tests
@pytest.mark.parametrize("question", ANSWERS)
def test_the_page_answers(shown: Shown, question: str) -> None:
    where, what = ANSWERS[question]
    assert re.search(what, shown.pages[where]), shown.pages[where]


@needs_chromium
@pytest.mark.timeout(300)
def test_a_document_that_waits_leads_to_the_desk(shown: Shown) -> None:
    assert len(shown.links) == 2
    assert all(re.fullmatch(rf"{DESK}/items/[0-9a-f]{{40}}", link) for link in shown.links)


@needs_chromium
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", UNTIL)
def test_nothing_is_cut(shown: Shown, name: str) -> None:
    # The report is a file too, and has names whole: a long one makes its table wider.
    tables = ("TABLE",) if name == "report" else ()
    assert [one for one in shown.cut[name] if not one.startswith(tables)] == []


def _batch(folder: Path) -> Bench:
    (folder / "prices.toml").write_text(PRICES)
    service = start_in_thread(folder / "data", write_rules(folder, RULES), None)
    batch = Bench(service, folder, pipeline=PIPELINE + BUDGET)
    for name, number in (("1", 1), ("2", 2), ("a" * 100, 3)):
        batch.write(f"{name}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    batch.write("unclear.txt", "Paper P-4, unclear")
    batch.write(f"of-a-firm-with-a-long-name/{'invoice-' * 9}4711.txt", "Paper P-4, unclear")
    batch.write("empty.txt", "")
    batch.pipeline_file.write_text(batch.pipeline)
    return batch


async def _processed(batch: Bench) -> dict[str, str]:
    """The artifacts of a run, and of one that is under way, by their names."""
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )
    progress = ProgressArtifact()
    progress.watch(_under_way())
    async with progress.shown():
        await asyncio.sleep(2)
    async with get_client() as client:
        keys = [f"papers-{name}" for name in UNTIL]
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=keys)))
    newest = sorted(found, key=lambda one: str(one.created))  # others' runs have some of these names
    return {str(one.key).removeprefix("papers-"): str(one.id) for one in newest}


def _under_way() -> Batch:
    """A batch in the middle of its documents."""
    tally = Tally(total=100, finished=40, turns=80, repeated=3, throttled=2, usage=Usage(total_tokens=12_000))
    tally.resent = Resent(requests=4, throttled=1, seconds=75)
    tally.by_status[DocumentStatus.DONE] = 40
    now = time.monotonic()
    tally.ends.extend(now - 60 + 3 * number for number in range(21))  # one each three seconds
    for number in range(7):
        tally.in_flight[f"scans/{number}.pdf"] = "extract", now - 20 + number
    pipeline: Any = SimpleNamespace(name="papers-running")
    given = {"tally": tally, "ws": SimpleNamespace(prices=NO_PRICES), "budget": None, "pipeline": pipeline}
    return cast("Batch", SimpleNamespace(**given))
