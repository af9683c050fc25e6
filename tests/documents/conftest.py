"""Lines of figures after pytest's own summary: `make documents` prints them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

DOCUMENT_LINES = "AGENT_TASKS_DOCUMENT_LINES"
"""Set by `make documents`: the lines are printed."""

LINES = pytest.StashKey[set[tuple[int, str]]]()

FORMATS, CONSTRUCTS, GROUNDING = 10, 20, 90
"""Where a line stands among the others: lower numbers come first."""


@pytest.fixture(autouse=True)
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that an earlier test or a user recognised is known."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


class Tell(Protocol):
    """Adds a line to those that are printed."""

    def __call__(self, line: str, *, order: int) -> None: ...


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Print a line of figures at the end, in its place (also from another process of pytest-xdist)."""

    def add(line: str, *, order: int) -> None:
        record_property("document line", f"{order:03} {line}")

    return add


_WORDS = re.compile(r"\w+")
_NUMBERS = re.compile(r"\d(?:[\d.,/:-]*\d)?")

Recall = Callable[[str, str, str], None]


@pytest.fixture
def recall(record_property: Callable[[str, object], None]) -> Recall:
    """Count how many of the wanted words and numbers a reader gave, and want all of them.

    Called with a label (a format such as ``html``, or with a construct such as ``docx footnotes``), the text
    that the file shows, and the text that was read.
    """

    def count(label: str, wanted: str, read: str) -> None:
        found = {}
        for kind, pattern in (("word", _WORDS), ("number", _NUMBERS)):
            expected = Counter(pattern.findall(wanted))
            found[kind] = (sum((expected & Counter(pattern.findall(read))).values()), expected.total())
        record_property("document recall", [label, *found["word"], *found["number"]])
        missing = Counter(_WORDS.findall(wanted)) - Counter(_WORDS.findall(read))
        assert not missing, f"{label}: not read: {', '.join(missing)}"
        assert found["number"][0] == found["number"][1], f"{label}: {wanted!r} was read as {read!r}"

    return count


class _Collector:
    """Takes the lines and counts from the reports of tests, here or in other processes."""

    def __init__(self, lines: set[tuple[int, str]]) -> None:
        self._lines = lines
        self._counts: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if name == "document line" and isinstance(value, str):
                self._lines.add((int(value[:3]), value[4:]))
            elif name == "document recall" and report.when == "call":
                self._add(*value)

    def _add(self, label: str, words: int, of_words: int, numbers: int, of_numbers: int) -> None:
        counts = self._counts.setdefault(label, Counter())
        counts.update(files=1, words=words, of_words=of_words, numbers=numbers, of_numbers=of_numbers)

    def pytest_sessionfinish(self) -> None:
        """Write a line for each format, and for each construct of one."""
        for label, counts in self._counts.items():
            words = f"{counts['words'] / max(counts['of_words'], 1):.2f}"
            if " " in label:
                self._lines.add((CONSTRUCTS, f"{label}: recall {words}"))
                continue
            numbers = f"{counts['numbers'] / counts['of_numbers']:.2f}" if counts["of_numbers"] else "1.00"
            line = f"{label}: {counts['files']} files, word recall {words}, number recall {numbers}"
            self._lines.add((FORMATS, line))


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect."""
    config.stash[LINES] = set()
    config.pluginmanager.register(_Collector(config.stash[LINES]))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the lines, where they were asked for."""
    lines = config.stash.get(LINES, None)
    if lines and os.environ.get(DOCUMENT_LINES) and not hasattr(config, "workerinput"):
        print(*(line for _, line in sorted(lines)), sep="\n")
