"""The register of suppliers: a table in `suppliers.csv`, to be replaced by the company's own."""

from __future__ import annotations

import csv
import difflib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field
from queue_tool import queue_tool

REGISTER = Path(__file__).parent / "suppliers.csv"
SIMILAR_ENOUGH = 0.6
"""Smallest likeness (0 to 1, by `difflib.SequenceMatcher`) of two names that counts as the same supplier."""


@cache
def _register() -> dict[str, dict[str, str]]:
    """The rows of the table, by the key that names are compared by."""
    with REGISTER.open(encoding="utf-8", newline="") as table:
        return {row["name"].casefold(): row for row in csv.DictReader(table)}


@queue_tool()
def lookup_supplier(
    name: Annotated[str, Field(description="Name of the supplier, as printed on the document", min_length=2)],
) -> dict[str, str]:
    """Look up a supplier in the company's register: id, registered name, VAT id and country."""
    register = _register()
    closest = difflib.get_close_matches(name.casefold().strip(), register, n=1, cutoff=SIMILAR_ENOUGH)
    if not closest:
        return {"found": "no", "searched": name}
    return {"found": "yes", **register[closest[0]]}
