"""Compare the results of a run over the example documents with what is right.

Run it as `python examples/score.py out/results.jsonl`. It prints the wrong values of each document and, in
the end, how many values are right and how many documents are wrong and yet `done`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXPECTED = Path(__file__).parent / "expected.json"


@dataclass
class Score:
    """How good a run was."""

    values: int = 0
    right: int = 0
    documents: int = 0
    """Readable documents."""
    unseen: list[str] = field(default_factory=list)
    """Documents with a wrong value and the state `done`."""
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """What is wrong, by document."""
    states: list[str] = field(default_factory=list)
    """Documents that should have failed and did not, or the other way round, or are missing."""


def score(rows: Mapping[str, Mapping[str, Any]], expected: Mapping[str, Mapping[str, Any]]) -> Score:
    """Compare rows of results.jsonl, by document, with `expected.json`.

    An extraction that was not valid, and so is not there, has no right value.
    """
    result = Score()
    for document, right in expected.items():
        row = rows.get(document)
        if right["state"] == "recognised" and row is not None and row["status"] == "failed":
            continue  # nothing recognises text there
        if row is None or (row["status"] == "failed") != (right["state"] == "failed"):
            result.states.append(document)
        if "fields" not in right:
            continue
        result.documents += 1
        found = (row or {}).get("fields") or {}
        wrong = [
            f"{name} is {found.get(name)!r}, not {value!r}"
            for name, value in right["fields"].items()
            if name not in found or not _same(found[name], value)
        ]
        result.values += len(right["fields"])
        result.right += len(right["fields"]) - len(wrong)
        if wrong:
            result.wrong[document] = wrong
            if row is not None and row["status"] == "done":
                result.unseen.append(document)
    return result


def _same(found: object, right: object) -> bool:
    if isinstance(found, str) and isinstance(right, str):
        return found.casefold().rstrip(".") == right.casefold().rstrip(".")
    return found == right


def main() -> None:
    """Print the score of the results file named on the command line."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python examples/score.py RESULTS.jsonl")
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    rows = {row["document"]: row for row in map(json.loads, lines)}
    result = score(rows, json.loads(EXPECTED.read_text(encoding="utf-8")))
    for document, wrong in result.wrong.items():
        print(f"{document} ({rows.get(document, {}).get('status', 'missing')})")
        for line in wrong:
            print(f"  {line}")
    for document in result.states:
        print(f"{document}: not in the state it should be in")
    print(f"right values: {result.right}/{result.values}")
    print(f"readable documents: {result.documents}, wrong and yet done: {len(result.unseen)}")


if __name__ == "__main__":
    main()
