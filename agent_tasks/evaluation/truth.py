"""A file of right values: what each document should give."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent_tasks.batch.records import DocumentRow
from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import ReviewKind

MAX_BYTES = 256 * 1024 * 1024
"""Of a file of right values."""

_JUDGED = (ReviewKind.APPROVE, ReviewKind.CORRECT)
_DOCUMENT = "document"  # the column, or key, with the document's name


class RightDocument(BaseModel):
    """What is right for one document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    document: str = Field(min_length=1)
    """Its name, as in results.jsonl."""
    fields: dict[str, Any] | None = None
    """The right values; null for what the document does not say. Fields that are not named are not judged."""
    fails: bool = False
    """Whether it should end as failed: it is damaged, or there is nothing in it."""
    may_fail: bool = False
    """Whether it may fail where a part is not installed (text recognition); it is left out then."""
    checked: bool = True
    """Whether a person has looked at it; what nobody has looked at is not judged by."""
    note: str = ""
    """What makes it hard; for people."""


def read_truth(path: Path) -> dict[str, RightDocument]:
    """Read right values.

    Args:
        path: A file of JSON lines (``{"document": NAME, "fields": {...}}``), or of CSV with a column
            ``document`` and one for each field (an empty cell is null; ``supplier.name`` is a field of an
            object). Or the ``results.jsonl`` of another run: what people have approved or corrected there.

    Returns:
        By the document's name.

    Raises:
        ConfigurationError: The file can't be read, or a line of it does not say what it should; the message
            names the line.
    """
    if path.suffix.lower() not in (".jsonl", ".csv"):
        raise _error(path, None, "is neither .jsonl nor .csv. Write the right values as one of these")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _error(path, None, f"has more than {MAX_BYTES:,} bytes. Split it")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _error(path, None, f"can't be read: {error.strerror}. Name another file") from error
    except UnicodeDecodeError as error:
        raise _error(path, None, "is not UTF-8. Save it as UTF-8") from error
    found: dict[str, RightDocument] = {}
    unchecked: set[str] = set()
    for line, one in _from_csv(path, text) if path.suffix.lower() == ".csv" else _from_lines(path, text):
        if one.document in found or one.document in unchecked:
            raise _error(path, line, f"names {one.document} a second time. Leave one of the two out")
        if one.checked:
            found[one.document] = one
        else:
            unchecked.add(one.document)
    if not found and unchecked:
        what = f"has {len(unchecked)} lines, and nobody has looked at one"
        raise _error(path, None, f"{what}. Correct what is wrong in them, and set `checked` to true")
    if not found:
        raise _error(path, None, "names no document. Add a line for each document whose values are known")
    return found


def _from_lines(path: Path, text: str) -> Iterable[tuple[int, RightDocument]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if isinstance(entry, dict) and "status" in entry:
                if (decided := _decided(entry)) is not None:
                    yield number, decided
                continue
            yield number, RightDocument.model_validate(entry)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise _error(path, number, f"{where}: {first['msg']}. A line has document and fields") from error
        except (ValueError, RecursionError) as error:
            raise _error(path, number, "is no JSON object. Write one document a line") from error


def _decided(entry: dict[str, Any]) -> RightDocument | None:
    """What a person has approved or corrected in a row of results; None if nobody has."""
    row = DocumentRow.model_validate(entry)
    if row.decision is None or row.decision.kind not in _JUDGED or row.fields is None:
        return None
    return RightDocument(document=row.document, fields=row.fields, note=f"decided by {row.decision.by}")


def _from_csv(path: Path, text: str) -> Iterable[tuple[int, RightDocument]]:
    rows = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        heads = [head.strip() for head in next(rows, [])]
        if _DOCUMENT not in heads:
            raise _error(path, 1, f"has no column {_DOCUMENT!r}. Its first line names the columns")
        if len(set(heads)) != len(heads) or "" in heads:
            raise _error(path, 1, "has a column without a name, or two of one name. Name each once")
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != len(heads):
                raise _error(path, rows.line_num, f"has {len(row)} cells, not {len(heads)}. Quote commas")
            cells = dict(zip(heads, (cell.strip() for cell in row), strict=True))
            name = cells.pop(_DOCUMENT)
            if not name:
                raise _error(path, rows.line_num, "names no document. Fill the column")
            yield rows.line_num, RightDocument(document=name, fields=_nested(path, rows.line_num, cells))
    except csv.Error as error:
        raise _error(path, rows.line_num, f"is no CSV: {error}. Quote cells with commas or quotes") from error


def _nested(path: Path, line: int, cells: dict[str, str]) -> dict[str, Any]:
    """Columns such as `supplier.name` as objects in objects."""
    fields: dict[str, Any] = {}
    for head, cell in cells.items():
        *above, last = head.split(".")
        place = fields
        for part in above:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise _error(path, line, f"{head}: {part} is a value already. Name one column or the other")
        if last in place:
            raise _error(path, line, f"{head} is an object already. Name one column or the other")
        place[last] = cell or None
    return fields


def _error(path: Path, line: int | None, what: str) -> ConfigurationError:
    where = f"{path}:{line}" if line is not None else str(path)
    return ConfigurationError(f"The right values in {where}: {what}.", setting="--truth")
