"""A batch in the terminal."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from agent_tasks.batch.console import BatchConsole
from agent_tasks.batch.observer import observer
from agent_tasks.batch.records import (
    AnswerRow,
    BatchSummary,
    DocumentRow,
    DocumentStatus,
    Failure,
    RowInBrief,
)
from agent_tasks.batch.run_log import RunLog
from agent_tasks.operations import Usage

FIELDS = {"supplier": "Hexley", "total": 12.5, "tags": ["x", "y"]}
EVIL = "\x1b[31m[bold]evil\u202e\x07.txt"


def _row(name: str, status: DocumentStatus, **more: object) -> DocumentRow:
    return DocumentRow.model_validate({"document": name, "status": status, **more})


def _show(console: Console, folder: Path, *, quiet: bool = False) -> None:
    rows = [
        _row(
            "a.txt",
            DocumentStatus.DONE,
            fields={"supplier": "Hexley", "total": 12.5, "tags": ["x", "y"]},
            turns=2,
        ),
        _row(EVIL, DocumentStatus.NEEDS_REVIEW, reasons=["total 9 is not\nin the document"]),
        _row("c.txt", DocumentStatus.FAILED, reasons=["c.txt is empty"]),
    ]
    results = folder / "results.jsonl"
    results.write_text("".join(json.dumps(row.model_dump(mode="json")) + "\n" for row in rows))
    answers = [
        AnswerRow(id="q1", question="How much?", answer="12.5 [1]", sources=["a.txt"]),
        AnswerRow(id="q2", question="Why?", error=Failure(type="RunServerError", message="Sorry.")),
    ]
    summary = BatchSummary(
        pipeline="papers", documents="docs", total=3, done=1, needs_review=1, failed=1, reused=1,
        answers=answers,
        turns=2, turns_reused=2, usage=Usage(prompt_tokens=1000, completion_tokens=234, total_tokens=1234),
        seconds=61.2, results=str(results), report="out/report.md", warnings=["b.txt cannot be searched"],
    )  # fmt: skip
    with BatchConsole(console=console, quiet=quiet):
        watcher = observer()
        watcher.batch_started("papers", "docs", 3)
        watcher.phase_started("documents")
        for row in rows:
            watcher.document_started(row.document)
            watcher.step_started(row.document, "extract")
            watcher.turn_finished(Usage(total_tokens=617))
            watcher.document_finished(row, reused=row is rows[0])
        watcher.document_started("never finished")
        watcher.phase_started("questions")
        for answer in answers:
            watcher.answer_finished(answer, reused=False)
        watcher.batch_finished(summary)
    assert type(observer()).__name__ == "_Silent"


def test_lines_where_there_is_no_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    _show(Console(file=out, width=100), tmp_path)
    text = out.getvalue()
    lines = text.splitlines()
    assert lines[0] == "papers: 3 files in docs"
    assert lines[1] == "done         a.txt  supplier: Hexley, total: 12.5, tags: x, y  (unchanged)"
    assert "failed       c.txt  c.txt is empty" in lines
    assert "answered     How much?" in lines
    assert "1 done, 1 needs review, 1 failed (1 unchanged) in 1 min 1 s" in text
    assert "2 turns, 1,234 tokens (1,000 prompt, 234 completion); 2 turns reused" in text
    assert "agent-tasks dashboard" in text
    assert "[1] a.txt" in text


def test_names_and_values_cannot_write_into_the_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    _show(Console(file=out, width=100), tmp_path)
    assert not set("\x1b\x07\u202e") & set(out.getvalue())
    assert "[31m[bold]evil" in out.getvalue()


def test_a_batch_goes_on_where_nobody_reads_its_lines(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from agent_tasks.batch.console import BatchConsole\n"
        "console = BatchConsole().console\n"
        "for number in range(100_000):\n    console.print(number)\n"
        "Path(sys.argv[1]).write_text('went on')\n"
    )
    done = tmp_path / "done"
    command = subprocess.Popen([sys.executable, "-c", code, str(done)], stdout=subprocess.PIPE)
    assert command.stdout is not None
    with command.stdout as lines:
        assert lines.readline() == b"0\n"
    assert command.wait(60) == 0
    assert done.read_text() == "went on"


def test_one_is_not_several(tmp_path: Path) -> None:
    out = io.StringIO()
    shown = BatchConsole(console=Console(file=out, width=100))
    shown.batch_started("papers", "docs", 1)
    results = tmp_path / "results.jsonl"
    results.write_text("")
    usage = Usage(prompt_tokens=7, completion_tokens=2, total_tokens=9)
    shown.batch_finished(
        BatchSummary(
            pipeline="papers", documents="docs", total=1, done=1, turns=1, turns_reused=1, usage=usage,
            seconds=1, results=str(results), report="report.md",
        )
    )  # fmt: skip
    assert out.getvalue().startswith("papers: 1 file in docs")
    assert "1 turn, 9 tokens (7 prompt, 2 completion); 1 turn reused" in out.getvalue()


def test_live_display_on_a_terminal(tmp_path: Path) -> None:
    out = io.StringIO()
    _show(Console(file=out, width=100, force_terminal=True), tmp_path)
    assert "fields or reason" in out.getvalue()
    assert "papers: 3 files" not in out.getvalue()


def test_live_rendering_names_what_is_in_flight() -> None:
    out = io.StringIO()
    console = Console(file=out, width=60, force_terminal=False)
    display = BatchConsole(console=console)
    display.batch_started("papers", "docs", 20)
    display.document_started("invoice with a very long name that goes on and on and on.txt")
    display.step_started("b.txt", "review")
    console.print(display._render())
    text = out.getvalue()
    assert "0/20" in text
    assert "review" in text
    assert all(len(line) <= 60 for line in text.splitlines())


def test_quiet_leaves_the_last_lines(tmp_path: Path) -> None:
    out = io.StringIO()
    _show(Console(file=out, width=100), tmp_path, quiet=True)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("Documents")
    assert "fields or reason" not in out.getvalue()


def test_of_many_unchanged_documents_the_first_have_lines_and_the_others_are_counted() -> None:
    out = io.StringIO()
    with BatchConsole(console=Console(file=out, width=100)):
        watcher = observer()
        watcher.batch_started("papers", "docs", 1003)
        watcher.phase_started("documents")
        for number in range(1002):
            watcher.document_finished(_row(f"{number:04}.txt", DocumentStatus.DONE), reused=True)
        watcher.document_finished(_row("new.txt", DocumentStatus.DONE), reused=False)
        watcher.phase_started("results")
    lines = out.getvalue().splitlines()
    assert len([line for line in lines if "(unchanged)" in line]) == 20
    assert any(line.startswith("done         new.txt") for line in lines)
    assert lines[-2:] == ["and 982 more unchanged", "results ..."]


def test_rows_of_unchanged_documents_are_read_only_if_they_are_shown() -> None:
    out, read = io.StringIO(), []
    brief = RowInBrief(document="a.txt", status=DocumentStatus.DONE)

    def whole() -> DocumentRow:
        read.append(1)
        return _row("a.txt", DocumentStatus.DONE)

    observer().document_unchanged(brief, whole)  # nobody watches
    assert not read
    with BatchConsole(console=Console(file=out, width=100)):
        watcher = RunLog(logging.getLogger("tests"), observer())
        watcher.batch_started("papers", "docs", 1002)
        for _ in range(1002):
            watcher.document_unchanged(brief, whole)
        watcher.phase_started("results")
    assert len(read) == out.getvalue().count("(unchanged)") == 20
    assert "and 982 more unchanged" in out.getvalue()
    with BatchConsole(console=Console(file=out, width=100, force_terminal=True)) as console:
        observer().batch_started("papers", "docs", 1002)
        for _ in range(1002):
            observer().document_unchanged(brief, whole)
        assert len(console._finished) <= 10
