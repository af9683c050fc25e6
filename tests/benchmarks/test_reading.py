"""What reading a document takes, against a program in C that does nothing else."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from reportlab.lib.pagesizes import A4

from agent_tasks.documents.reading_pool import ReadingPool
from tests.benchmarks.batches import used_by_children
from tests.benchmarks.figures import Figures, Goal
from tests.support.pdf_files import Draw, drawn

PAGES, LINES, TRIES = 10, 45, 15
_NEXT_TO_NOTHING = "é".encode()
"""A text for which a process is started all the same: of pure ASCII none is."""
_LINE = "the contract of 3 March 2026 says that 1,250.00 EUR are paid in"


def _page(number: int) -> Draw:
    def draw(canvas: object) -> None:
        for line in range(LINES):
            canvas.setFont("Helvetica", 10)  # type: ignore[attr-defined]
            canvas.drawString(50, A4[1] - 50 - 14 * line, f"{number}.{line} {_LINE}")  # type: ignore[attr-defined]

    return draw


def test_ten_pages_against_pdftotext(
    tmp_path: Path, figures: Figures, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the start of the process that reads; pages are full of text, with a box for each word here."""
    # As in an installed package, modules are compiled once.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path / "compiled"))
    if (program := shutil.which("pdftotext")) is None:
        pytest.skip("there is no pdftotext (Debian: poppler-utils)")
    content = drawn(*(_page(number) for number in range(PAGES)))
    file = tmp_path / "a.pdf"
    file.write_bytes(content)
    pool = ReadingPool(1)
    pool.read(content, "a.pdf")
    pool.read(_NEXT_TO_NOTHING, "a.txt")
    taken: dict[str, list[float]] = {}
    used: dict[str, list[float]] = {}
    for _ in range(TRIES):
        for name, work in {
            "pdftotext": lambda: subprocess.run([program, file, tmp_path / "a.txt"], check=True),
            "start": lambda: _in_a_new_process(_NEXT_TO_NOTHING, "a.txt"),
            "first": lambda: _in_a_new_process(content, "a.pdf"),
            "next": lambda: pool.read(content, "a.pdf"),
        }.items():
            before = used_by_children()
            taken.setdefault(name, []).append(_seconds(work))
            used.setdefault(name, []).append(used_by_children() - before)
    pool.close()
    middle = {name: statistics.median(times) for name, times in taken.items()}
    figures.add("10 pages of a PDF, s", middle["next"], against=middle["pdftotext"], what="pdftotext")
    for what, by, goal in (("by the clock", taken, None), ("of processor time", used, Goal(1.2))):
        # Each round by itself, so that what else the machine does weighs on both sides.
        rounds = zip(by["first"], by["pdftotext"], by["start"], strict=True)
        ratio = statistics.median(first / (other + start) for first, other, start in rounds)
        figures.add(f"10 pages in a new process, x pdftotext + start, {what}", ratio, goal)


def _in_a_new_process(content: bytes, name: str) -> None:
    pool = ReadingPool(1)
    pool.read(content, name)
    pool.close()


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
