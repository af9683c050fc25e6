"""CSV and TSV: rows of cells in a text file, whatever separates them."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.plain import decode
from agent_tasks.documents.readers.sheets.cells import RowWriter
from agent_tasks.documents.readers.text_builder import TextBuilder

_SEPARATORS = ",;\t|"
_LOOKED_AT = 200  # rows


def read_csv(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a table in a text file; the separator is the one that gives rows of one length."""
    with reading(filename, "a CSV file", "save it again as CSV, in UTF-8"):
        decoded = decode(content, filename)
        text = decoded.text.removeprefix("\ufeff")
        separator = None
        if text[:4].lower() == "sep=" and text[4:5]:  # as Excel writes it
            separator, text = text[4], text.partition("\n")[2]
        csv.field_size_limit(max(csv.field_size_limit(), limits.max_characters))
        builder = TextBuilder(filename, limits)
        rows = RowWriter(builder)
        separator = separator or _separator(text, tabs_first=filename.lower().endswith((".tsv", ".tab")))
        for number, cells in enumerate(_rows(text, separator), 1):
            if any(cells):
                rows.write(None, number, dict(enumerate(cells, 1)))
        return builder.content(notes=decoded.notes)


def _separator(text: str, *, tabs_first: bool) -> str:
    """Return the separator by which most rows are of the same length, of more than one cell."""
    sample = text[:100_000]
    best, best_score = "\t" if tabs_first else ",", 0.0
    for separator in "\t,;|" if tabs_first else _SEPARATORS:
        lengths = [len(row) for row in itertools.islice(_rows(sample, separator), _LOOKED_AT) if any(row)]
        if not lengths:
            continue
        usual = max(set(lengths), key=lambda length: (lengths.count(length), length))
        share = lengths.count(usual) / len(lengths)
        score = share * (1 + min(usual, 50) / 100) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = separator, score
    return best


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    return csv.reader(_lines(text), delimiter=separator, skipinitialspace=separator != "\t")


def _lines(text: str) -> Iterator[str]:
    start = 0
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
