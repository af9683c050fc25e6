"""The registers of suppliers and customers: two tables, `suppliers.csv` and `customers.csv`.

Their rows are invented; replace them by the company's own.
"""

from __future__ import annotations

import csv
import difflib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field
from queue_tool import queue_tool

FOLDER = Path(__file__).parent
SIMILAR_ENOUGH = 0.6
"""Smallest likeness (0 to 1, by `difflib.SequenceMatcher`) of two names that counts as the same."""


@cache
def _register(file: str) -> dict[str, dict[str, str]]:
    """The rows of a table, by the key that names are compared by."""
    with (FOLDER / file).open(encoding="utf-8", newline="") as table:
        return {row["name"].casefold(): row for row in csv.DictReader(table)}


def _look_up(file: str, name: str) -> dict[str, str]:
    register = _register(file)
    closest = difflib.get_close_matches(name.casefold().strip(), register, n=1, cutoff=SIMILAR_ENOUGH)
    if not closest:
        return {"found": "no", "searched": name}
    return {"found": "yes", **register[closest[0]]}


@queue_tool()
def lookup_supplier(
    name: Annotated[
        str, Field(description="Company that wrote the document, as written", min_length=2, max_length=200)
    ],
) -> dict[str, str]:
    """Look up a supplier in the company's register: id, registered name, VAT id and country."""
    return _look_up("suppliers.csv", name)


@queue_tool()
def lookup_customer(
    name: Annotated[str, Field(description="Name of the customer, as written", min_length=2, max_length=200)],
) -> dict[str, str]:
    """Look up a customer in the company's register: id, registered name, city and country."""
    return _look_up("customers.csv", name)
