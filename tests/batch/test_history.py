"""What the last runs came to, as a picture."""

from __future__ import annotations

import os
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable

from agent_tasks.batch.context import Batch
from agent_tasks.batch.history import RunBar, draw, last_runs
from agent_tasks.batch.records import BatchSummary, DocumentStatus
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import Bench

MakeBench = Callable[..., Bench]
_SVG = "{http://www.w3.org/2000/svg}"


def _titles(svg: str) -> list[str]:
    return [title.text or "" for title in ET.fromstring(svg).iter(f"{_SVG}title")][1:]  # noqa: S314 - ours


async def test_each_run_adds_a_bar_and_an_evaluation_its_share(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    batch.write("empty.txt", "")
    await batch.run()
    svg = (batch.out / "history.svg").read_text()
    assert _titles(svg) == ["1 done", "1 failed"]
    assert "![What the last runs came to](history.svg)" in (batch.out / "report.md").read_text()

    folder = batch.out / "evaluation"
    folder.mkdir()
    (folder / "evaluation.json").write_text('{"done_wrong_share": 0.25}')
    os.utime(folder / "evaluation.json", (time.time() + 1, time.time() + 1))
    (batch.documents / "empty.txt").unlink()
    await batch.run()
    svg = (batch.out / "history.svg").read_text()
    assert _titles(svg) == ["1 done", "1 failed", "1 done"]
    assert svg.count("<circle") == 1
    assert "25%" in svg

    batch.write("2.txt", "Paper P-2 of 2026-03-02, total 20")
    os.utime(folder / "evaluation.json", (time.time() - 60, time.time() - 60))
    await batch.run()
    svg = (batch.out / "history.svg").read_text()
    assert _titles(svg) == ["1 done", "1 failed", "1 done", "2 done"]
    assert svg.count("<circle") == 1, "an evaluation belongs to the results that were there, once"


def test_its_words_are_inside_the_picture() -> None:
    picture = ET.fromstring(draw([RunBar({DocumentStatus.DONE: 3})]))  # noqa: S314 - ours
    texts = [
        (float(text.get("x", "0")), text.text or "")
        for text in picture.iter(f"{_SVG}text")
        if text.get("text-anchor") is None
    ]
    assert len(texts) == 7
    assert all(x + 6.5 * len(said) <= float(picture.get("width", "0")) for x, said in texts)


async def test_results_that_are_written_again_add_no_run(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    await batch.run()
    async with batch.workspace() as ws:
        of_desk = Batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
        bars = await last_runs(of_desk, BatchSummary(pipeline="papers", documents="d", rejected=1))
    assert [dict(bar.counts) for bar in bars] == [
        BatchSummary(pipeline="", documents="", rejected=1).counts()
    ]


def test_no_run_and_many_runs_are_drawn_too() -> None:
    assert _titles(draw([RunBar({})])) == []
    many = draw([RunBar({DocumentStatus.DONE: 1000, DocumentStatus.WAITING: number}) for number in range(20)])
    assert _titles(many).count("1000 done") == 20
    assert ET.fromstring(many).get("viewBox") == "0 0 720 304"  # noqa: S314 - ours
