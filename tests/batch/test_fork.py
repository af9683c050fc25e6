"""A run that is forked: what comes before the step costs nothing, and the original stays as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent_tasks.batch.fork import Comparison, find_run, fork
from agent_tasks.batch.records import DocumentStatus
from agent_tasks.cli.fork import render
from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.pipeline.overrides import Change
from tests.batch.support import RULES, Bench

MakeBench = Callable[..., Bench]

STRICT: dict[str, Any] = {
    "name": "a stricter model",
    "when": {"schema": "review", "model": "strict-model", "message": "P-2"},
    "reply": {"json": {"approved": False, "problems": ["The total is | too round."]}},
}
BRIEF: dict[str, Any] = {
    "name": "another analyst",
    "when": {"model": "brief-model"},
    "reply": {"text": "It is 60."},
}
CHEAP: dict[str, Any] = {
    "name": "another extractor",
    "when": {"schema": "paper", "model": "cheap-model", "message": "(?P<number>P-[0-9]+) of"},
    "reply": {"json": {"number": "{{ groups.number }}", "total": 10.5, "issued": None}},
}


@pytest.fixture
async def batch(bench: MakeBench) -> Bench:
    """A batch that has been run: three documents done, one of them with a tool; one that can't be read."""
    made = bench(rules={**RULES, "rules": [STRICT, BRIEF, CHEAP, *RULES["rules"]]})
    made.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5, look up")
    made.write("2.txt", "Paper P-2 of 2026-03-02, total 20")
    made.write("3.txt", "Paper P-3 of 2026-03-03, total 30")
    made.write("empty.txt", "")
    await made.run()
    return made


async def forked(batch: Bench, step: str, *changes: str, **options: Any) -> Comparison:
    async with batch.workspace() as ws:
        record = await find_run(ws, str(batch.out))
        return await fork(ws, record, step, batch.folder / "fork", changes=changes, **options)


async def test_a_fork_from_the_review_pays_for_reviews_alone(batch: Bench) -> None:
    before = {path.name: path.read_bytes() for path in batch.out.iterdir()}
    turns = batch.turns()

    found = await forked(batch, "review", "agents.reviewer.model=strict-model")

    assert batch.turns() - turns == 3 + 1  # reviews, and the question about all documents
    assert (found.summary.turns, found.summary.turns_reused) == (4, 3)
    assert (found.original.turns, found.fork.turns) == (4, 4)
    assert found.original.statuses[DocumentStatus.DONE] == 3
    assert found.fork.statuses[DocumentStatus.NEEDS_REVIEW] == 1
    assert found.fork.usage.total_tokens == found.summary.usage.total_tokens
    assert [(one.document, one.what) for one in found.differences] == [
        ("2.txt", "status"),
        ("2.txt", "reasons"),
    ]
    assert {path.name: path.read_bytes() for path in batch.out.iterdir()} == before
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    text = (batch.folder / "fork" / "fork.md").read_text()
    assert "| 2.txt | status | done | needs\\_review |" in text
    assert "1 of 4 differ" in text
    assert "too round" in text
    assert "is | too" not in text
    assert "agents.reviewer.model=strict-model" in text

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render(found))
    assert "1 of 4 documents differ" in console.export_text()


async def test_a_fork_that_is_run_again_costs_nothing(batch: Bench) -> None:
    first = await forked(batch, "review", "agents.reviewer.model=strict-model")
    turns = batch.turns()
    again = await forked(batch, "review", "agents.reviewer.model=strict-model")
    assert batch.turns() == turns
    assert again.summary.turns == 0
    assert again.differences == first.differences
    rerun = await batch.run()  # and the original does not know of it
    assert (rerun.turns, rerun.done) == (0, 3)


async def test_a_fork_from_the_questions_keeps_all_documents(
    batch: Bench, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = batch.turns()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = await forked(batch, "questions", "agents.analyst.model=brief-model")
    assert batch.turns() - turns == 1
    assert found.changed == 0
    assert [one.after for one in found.answers] == ["It is 60."]
    rows = (batch.folder / "fork" / "results.jsonl").read_bytes()
    assert rows == (batch.out / "results.jsonl").read_bytes()


async def test_a_fork_from_the_extraction_does_all_again(batch: Bench) -> None:
    turns = batch.turns()
    found = await forked(batch, "extract", "agents.extractor.model=cheap-model")
    assert batch.turns() - turns == found.fork.turns == 2 * 3 + 1
    changed = {(one.document, one.what): (one.before, one.after) for one in found.differences}
    assert changed["2.txt", "total"] == ("20.0", "10.5")
    assert changed["2.txt", "issued"] == ("2026-03-02", "(none)")
    assert found.summary.turns_reused == 0


async def test_another_file_and_a_fork_of_a_fork(batch: Bench) -> None:
    other = batch.folder / "other.yaml"
    other.write_text(batch.pipeline.replace("instructions: Analyse.", "instructions: Analyse well."))
    found = await forked(batch, "questions", pipeline_file=other)
    assert found.changes == [f"pipeline {other}"]
    async with batch.workspace() as ws:
        record = await find_run(ws, str(batch.folder / "fork"))
        again = await fork(ws, record, "review", batch.folder / "again", pipeline_file=other)
    assert (again.original_out, again.changed) == (str(batch.folder / "fork"), 0)


async def test_what_changed_since_the_run_is_left_out(batch: Bench) -> None:
    batch.write("2.txt", "Paper P-2 of 2026-03-02, total 99")
    batch.write("new.txt", "Paper P-7 of 2026-03-02, total 70")
    found = await forked(batch, "review", "agents.reviewer.model=strict-model")
    assert found.summary.total == 3
    left_out = [text for text in found.summary.warnings if "left out" in text]
    assert [text.split()[0] for text in left_out] == ["2.txt", "new.txt"]


@pytest.mark.parametrize(
    ("step", "change", "said"),
    [
        ("review", "agents.extractor.model=x", "step 'extract' is told something else"),
        ("questions", "agents.reviewer.model=x", "step 'review' is told something else"),
        ("review", "limits.repair_turns=3", "step 'extract' is told something else"),
        ("report", "model=x", "no step 'report'"),
        ("review", "agents.reviewer", "no change of a pipeline file"),
    ],
)
async def test_what_can_not_be_forked_is_told_before_anything_is_sent(
    batch: Bench, step: str, change: str, said: str
) -> None:
    requests = len(batch.service.requests())
    with pytest.raises(ConfigurationError, match=said):
        await forked(batch, step, change)
    assert len(batch.service.requests()) == requests


async def test_mistakes_in_changes_name_the_place(batch: Bench) -> None:
    with pytest.raises(PipelineError, match="Did you mean 'model'"):
        await forked(batch, "review", "agents.reviewer.modell=x")
    with pytest.raises(PipelineError, match=r"agents.extractor.tools\[3\]"):
        await forked(batch, "extract", "agents.extractor.tools[3].name=x")


async def test_the_run_is_named_by_folder_or_pipeline(batch: Bench, tmp_path: Path) -> None:
    async with batch.workspace() as ws:
        by_folder = await find_run(ws, str(batch.out))
        assert await find_run(ws, "papers") == by_folder
        with pytest.raises(ConfigurationError, match="no finished run"):
            await find_run(ws, str(tmp_path / "elsewhere"))
        with pytest.raises(ConfigurationError, match="Give another folder"):
            await fork(ws, by_folder, "review", batch.out)


@pytest.mark.parametrize(
    ("text", "location", "value"),
    [
        ("model=gpt-4o", ("model",), "gpt-4o"),
        ("a.b[0].c=4", ("a", "b", 0, "c"), 4),
        ("a.prompt=x=y", ("a", "prompt"), "x=y"),
        ("a={b: [1, true]}", ("a",), {"b": [1, True]}),
    ],
)
def test_changes_are_read(text: str, location: tuple[str | int, ...], value: Any) -> None:
    assert Change.parse(text) == Change(location, value)
