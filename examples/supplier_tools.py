"""Function tools of the example pipeline: the register of suppliers, and a sum check.

An agent's tool is a typed Python function with a docstring; `pipeline.yaml` names it
`supplier_tools:FUNCTION`.
"""

from __future__ import annotations

import csv
import difflib
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

REGISTER = Path(__file__).parent / "suppliers.csv"
SIMILAR_ENOUGH = 0.6
"""Smallest likeness (0 to 1, by `difflib.SequenceMatcher`) of two names that counts as the same supplier."""


@cache
def _suppliers() -> tuple[dict[str, str], ...]:
    with REGISTER.open(encoding="utf-8", newline="") as table:
        return tuple(csv.DictReader(table))


def lookup_supplier(name: Annotated[str, Field(max_length=40)]) -> dict[str, str]:
    """Look up a supplier in the company's register of suppliers.

    Args:
        name: Name of the company that wrote the document.
    """
    wanted = name.casefold().strip()
    by_name = {row["name"].casefold(): row for row in _suppliers()}
    matches = difflib.get_close_matches(wanted, by_name, n=1, cutoff=SIMILAR_ENOUGH)
    if not matches and wanted:
        # A short form ("Hexley") is unlike the whole name, and yet clear if only one supplier begins with it.
        starting = [known for known in by_name if known.startswith(wanted)]
        matches = starting if len(starting) == 1 else []
    return {"found": "yes", **by_name[matches[0]]} if matches else {"found": "no", "searched": name}


def check_total(amounts: list[Decimal], total: Decimal) -> dict[str, str]:
    """Check whether the amounts of a document's lines add up to its total.

    Args:
        amounts: Amount of each line.
        total: The total that the document states.
    """
    added = sum(amounts, Decimal(0))
    return {"adds_up": "yes" if added == total else "no", "sum": str(added), "total": str(total)}
