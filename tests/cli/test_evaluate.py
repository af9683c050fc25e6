"""`agent-tasks evaluate`, as a person or CI calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.confidence import Confidence
from tests.evaluation.support import made_run

runner = CliRunner()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder of results; the right values lie beside it."""
    rows, truth = made_run(400, seed=5)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "results.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows.values()))
    lines = (right.model_dump_json(include={"document", "fields"}) + "\n" for right in truth.values())
    (tmp_path / "truth.jsonl").write_text("".join(lines))
    return folder


def evaluated(run: Path, *more: str) -> tuple[int, str]:
    truth = run.parent / "truth.jsonl"
    result = runner.invoke(app, ["evaluate", str(run), "--truth", str(truth), *more])
    return result.exit_code, result.output


def test_it_writes_a_report_figures_pictures_and_the_confidence(run: Path) -> None:
    code, printed = evaluated(run, "--rate", "0.1")
    assert code == 0, printed
    assert "done and wrong: " in printed
    folder = run / "evaluation"
    names = {"evaluation.md", "evaluation.json", "evaluation.svg", "reliability.svg", "confidence.json"}
    assert {path.name for path in folder.iterdir()} == names
    figures = json.loads((folder / "evaluation.json").read_text())
    assert figures["documents"] == 400
    assert (
        figures["confidence"]["proposal"]["threshold"]
        == Confidence.read(folder / "confidence.json").threshold
    )
    report = (folder / "evaluation.md").read_text()
    assert "| field | precision |" in report
    assert "Threshold 0." in report
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    evaluated(run, "--rate", "0.1")
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}


def test_requirements_decide_the_exit_code(run: Path) -> None:
    assert evaluated(run, "--require", "f1>=50%", "--require", "done_wrong<=0.5")[0] == 0
    code, printed = evaluated(run, "--require", "f1>=0.999")
    assert code == 1
    assert "Not kept: f1>=0.999" in printed
    assert evaluated(run, "--require", "f1")[0] == 2
    assert evaluated(run, "--require", "beauty>=1")[0] == 2
    assert evaluated(run, "--rate", "1")[0] == 2
    assert evaluated(run, "--compare", "total")[0] == 2


def test_two_runs_are_compared(run: Path) -> None:
    rows, truth = made_run(400, seed=5)
    other = run.parent / "other"
    other.mkdir()
    better = (row.model_copy(update={"fields": truth[name].fields}) for name, row in rows.items())
    (other / "results.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in better))
    code, printed = evaluated(run, "--against", str(other))
    assert code == 0
    assert "The second run is right for" in printed
    assert "more than chance" in printed


def test_hostile_names_and_values_are_no_markup(run: Path) -> None:
    results = run / "results.jsonl"
    results.write_text(
        results.read_text().replace("Firm 1 Ltd", "<img src=x onerror=alert(1)> | [a](http://x)")
    )
    evaluated(run)
    report = (run / "evaluation" / "evaluation.md").read_text()
    assert "<img" not in report.replace("\\<", "")
    assert "](http://x)" not in report


def test_results_that_are_not_there_or_damaged_are_told(run: Path) -> None:
    (run / "results.jsonl").write_text('{"document": "a"}\n')
    code, printed = evaluated(run)
    assert code == 2
    assert "results.jsonl:1" in printed.replace("\n", "")
    (run / "results.jsonl").unlink()
    assert evaluated(run)[0] == 2
