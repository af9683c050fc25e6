"""One extraction out of those of a document's parts, field by field.

A value that code finds in the text of its part counts before one that it does not find; of those the first
one is taken, and another one is said: a person has to decide between them. Lists follow each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent_tasks.documents.excerpts import Excerpt
from agent_tasks.documents.grounding import GroundingStatus, SourceText
from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema


@dataclass(frozen=True)
class PartAnswer:
    """What was extracted from a part of a document."""

    part: str
    """In words, such as ``pages 1-20``."""
    values: Mapping[str, Any]
    missing: frozenset[str] = frozenset()
    """Paths of values that are not in the text of the part."""

    @classmethod
    def of(cls, excerpt: Excerpt, values: dict[str, Any], output: OutputSchema) -> PartAnswer:
        """Look the values of a part up in its text."""
        entries = SourceText(excerpt.text).ground(output.leaves(values))
        missing = (entry.path for entry in entries if entry.status is GroundingStatus.NOT_FOUND)
        return cls(in_words(excerpt.name), values, frozenset(missing))


def in_words(name: str) -> str:
    """Return the name of a part as a person says it: ``pages 1-20``."""
    return name.replace("-part-", ", part ").replace("-", " ", 1)


def merged(
    fields: Mapping[str, FieldSpec], answers: Sequence[PartAnswer]
) -> tuple[dict[str, Any], list[str]]:
    """Return one extraction, and the fields for which parts say different things, one sentence each.

    Args:
        fields: What is extracted.
        answers: What was extracted from the parts, in the order of the document.
    """
    conflicts: list[str] = []
    values = _merged(fields, [(answer, answer.values) for answer in answers], "", conflicts)
    return values, conflicts


_Said = tuple[PartAnswer, Mapping[str, Any]]


def _merged(
    fields: Mapping[str, FieldSpec], said: Sequence[_Said], prefix: str, conflicts: list[str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in fields.items():
        path = f"{prefix}{name}"
        given = [(answer, of[name]) for answer, of in said if of.get(name) is not None]
        if not given:
            continue
        if field.list:
            values[name] = _listed(field, [items for _, items in given])
        elif field.fields:
            values[name] = _merged(field.fields, given, f"{path}.", conflicts)
        else:
            values[name] = _chosen(path, given, conflicts)
    return values


def _listed(field: FieldSpec, lists: Sequence[Sequence[Any]]) -> list[Any]:
    """Join lists; a plain value that an earlier part has is the same one, an object is another one."""
    items: list[Any] = []
    for more in lists:
        known = [] if field.fields else [_plain(item) for item in items]
        items += (item for item in more if _plain(item) not in known)
    return items


def _chosen(path: str, given: Sequence[tuple[PartAnswer, Any]], conflicts: list[str]) -> Any:
    found = [(answer, value) for answer, value in given if path not in answer.missing] or list(given[:1])
    distinct: dict[str, tuple[PartAnswer, Any]] = {}
    for answer, value in found:
        distinct.setdefault(_plain(value), (answer, value))
    if len(distinct) > 1:
        said = " and ".join(f"{value!r} ({answer.part})" for answer, value in distinct.values())
        conflicts.append(f"{path}: parts of the document say different things: {said}")
    return found[0][1]


def _plain(value: Any) -> str:
    """Return what two spellings of one value have in common."""
    return " ".join(str(value).split()).casefold()
