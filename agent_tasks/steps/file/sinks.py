"""Where the rows of a batch go besides `results.jsonl` and `report.md`: the sinks of a pipeline file.

A package adds a kind of sink by an entry point in the group `agent_tasks.sinks`, whose name is the keyword in
the file and whose object is a `SinkKind`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Generic, Protocol, TypeVar

from agent_tasks.display import one_line
from agent_tasks.errors import ConfigurationError
from agent_tasks.steps.file.sections import FileSection

__all__ = ["BUILT_IN_SINKS", "Results", "Sink", "SinkKind"]

SectionT = TypeVar("SectionT", bound=FileSection)


@dataclass(frozen=True)
class Results:
    """What a sink is given."""

    rows: Callable[[], Iterator[Mapping[str, Any]]]
    """Goes through the rows as `results.jsonl` has them, sorted by document, one at a time."""
    summary: Mapping[str, Any]
    """The summary of the batch, as JSON."""
    columns: Sequence[str]
    """Names of the fields of a row."""
    out: Path
    """The folder for results."""


class Sink(Protocol):
    """Takes the results of a batch."""

    def write(self, results: Results) -> None:
        """Take all rows.

        It is called in a thread at the end of each run, with what holds now, also where an earlier run gave
        the same: it replaces what it wrote before, or finds it again by the row's `document`. What it raises
        is a warning of the batch; the results are written already.
        """
        ...


@dataclass(frozen=True)
class SinkKind(Generic[SectionT]):
    """A kind of sink: its key in the file, what may stand beside it, and the sink that it becomes."""

    keyword: str
    section: type[SectionT]
    make: Callable[[SectionT], Sink]
    """Makes the sink. Raises ConfigurationError for what cannot be."""


class CsvSection(FileSection):
    """A table of the documents and their fields, for spreadsheets."""

    csv: str
    """Name of the file in the folder for results."""
    delimiter: str = ","
    """What stands between two cells."""


@dataclass(frozen=True)
class CsvSink:
    """Writes a table."""

    name: str
    delimiter: str

    def write(self, results: Results) -> None:
        """Write the table anew; it is put in place when it is whole."""
        partial = results.out / f".{self.name}.part"
        with partial.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, delimiter=self.delimiter)
            writer.writerow(["document", "status", *results.columns, "reasons"])
            writer.writerows(_cells(row, results.columns) for row in results.rows())
        partial.replace(results.out / self.name)


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    fields = row["fields"] or {}
    values = [row["document"], row["status"], *(fields.get(name) for name in columns), row["reasons"]]
    return [_cell(value) for value in values]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = "; ".join(value)
    text = one_line(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # A spreadsheet would take it for a formula; numbers below zero are none.
    is_formula = isinstance(value, str) and text.startswith(("=", "+", "-", "@", "\t"))
    return f"'{text}" if is_formula else text


def _csv(section: CsvSection) -> Sink:
    name = section.csv
    if PurePath(name).name != name or name.startswith(".") or name in ("results.jsonl", "report.md"):
        raise ConfigurationError(f"{name!r} is no name for a file in the folder for results")
    if len(section.delimiter) != 1:
        raise ConfigurationError("the delimiter is one character")
    return CsvSink(name, section.delimiter)


BUILT_IN_SINKS: tuple[SinkKind[Any], ...] = (SinkKind("csv", CsvSection, _csv),)
