"""Function tools of the example pipeline: the register of suppliers, and the company's rules for papers.

An agent's tool is a typed Python function with a docstring; `pipeline.yaml` names it
`supplier_tools:FUNCTION`. What a parameter's description says "as written" of, the local model copies from
the text before it (see `agents_emulator.models.grammar`).
"""

from __future__ import annotations

import csv
import difflib
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

REGISTER = Path(__file__).parent / "suppliers.csv"
SIMILAR_ENOUGH = 0.6
"""Smallest likeness (0 to 1, by `difflib.SequenceMatcher`) of two names that counts as the same supplier."""

Name = Annotated[str, Field(max_length=120)]


@cache
def _register() -> dict[str, dict[str, str]]:
    """The rows of the register, by the form in which names are compared."""
    with REGISTER.open(encoding="utf-8", newline="") as table:
        return {row["name"].casefold(): row for row in csv.DictReader(table)}


def _find(name: str) -> dict[str, str] | None:
    """The supplier of that name: within a longer text, nearly written so, or only begun ("Hexley")."""
    wanted, register = name.casefold().strip(), _register()
    matches = [known for known in register if known in wanted]
    if not matches:
        matches = difflib.get_close_matches(wanted, register, n=1, cutoff=SIMILAR_ENOUGH)
    if not matches and wanted:
        matches = [known for known in register if known.startswith(wanted)]
    return register[matches[0]] if len(matches) == 1 else None


def lookup_supplier(name: Name) -> dict[str, str]:
    """Look up a supplier in the company's register of suppliers.

    Args:
        name: Company that wrote the document, as written.
    """
    supplier = _find(name)
    return {"found": "no", "searched": name} if supplier is None else {"found": "yes", **supplier}


def check_sender(sender: Name) -> dict[str, Any]:
    """Check a copied sender: papers of senders who are not in the register are looked at by a person.

    Args:
        sender: The copied sender, as written.
    """
    if _find(sender) is not None:
        return {"approved": True, "problems": []}
    return {"approved": False, "problems": [f"{sender} is not in the register of suppliers"]}
