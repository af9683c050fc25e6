"""Runs with known right values, made by chance that is always the same."""

from __future__ import annotations

import random
from typing import Any

from agent_tasks.batch.records import DocumentRow, DocumentStatus
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus, How
from agent_tasks.evaluation import RightDocument
from agent_tasks.operations import Usage
from agent_tasks.steps.file.records import Review

FIELDS = ("sender", "number", "date", "total", "currency")


def row(document: str, status: str = "done", **given: Any) -> DocumentRow:
    """A row of results."""
    return DocumentRow(document=document, status=DocumentStatus(status), **given)


def made_run(
    documents: int, *, seed: int, wrong: float = 0.12
) -> tuple[dict[str, DocumentRow], dict[str, RightDocument]]:
    """A run in which wrong values have the signs that wrong values tend to have, and the right values."""
    chance = random.Random(seed)
    rows, truth = {}, {}
    for number in range(documents):
        name = f"{seed}-{number:04}.txt"
        right = {
            "sender": f"Firm {chance.randrange(50)} Ltd",
            "number": f"INV-{number}",
            "date": f"2026-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
            "total": round(chance.uniform(1, 5000), 2) if chance.random() < 0.9 else None,
            "currency": chance.choice(["EUR", "GBP"]) if chance.random() < 0.9 else None,
        }
        rows[name] = _row(chance, name, right, wrong)
        truth[name] = RightDocument(document=name, fields=right)
    return rows, truth


def _row(chance: random.Random, name: str, right: dict[str, Any], wrong: float) -> DocumentRow:
    fields, grounding, problems = dict(right), [], []
    is_hard = chance.random() < 0.2
    for field in FIELDS:
        is_wrong = chance.random() < (wrong * 2.5 if is_hard else wrong / 8)
        if is_wrong:
            fields[field] = _another(chance, right[field])
        if fields[field] is None:
            continue
        grounding.append(_looked_up(chance, field, fields[field], is_wrong=is_wrong))
        if is_wrong and chance.random() < 0.5:
            problems.append(f"the {field} is not what the document says")
    not_found = any(one.status is GroundingStatus.NOT_FOUND for one in grounding)
    return row(
        name,
        "needs_review" if problems or not_found else "done",
        fields=fields,
        grounding=grounding,
        review=Review(approved=not problems, problems=problems),
        ids={"extract": "t1", "extract-repair-1": "t2"}
        if is_hard and chance.random() < 0.7
        else {"extract": "t1"},
        usage=Usage(prompt_tokens=100, completion_tokens=10, total_tokens=110),
        turns=1,
    )


def _another(chance: random.Random, value: Any) -> Any:
    if chance.random() < 0.3:
        return None if value is not None else "invented"
    return "another value" if not isinstance(value, float) else round(value + 1, 2)


def _looked_up(chance: random.Random, field: str, value: Any, *, is_wrong: bool) -> FieldGrounding:
    if chance.random() < (0.4 if is_wrong else 0.01):
        return FieldGrounding(path=field, kind="exact", status=GroundingStatus.NOT_FOUND, value=value)
    ambiguous = chance.random() < (0.5 if is_wrong else 0.03)
    return FieldGrounding(
        path=field,
        kind="exact",
        status=GroundingStatus.FOUND,
        value=value,
        how=How.AMBIGUOUS if ambiguous else How.EXACT,
        occurrences=1 if chance.random() < (0.3 if is_wrong else 0.9) else 3,
    )
