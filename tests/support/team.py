"""The example team, and what its scripted model says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PYTHON = Path(__file__).parents[2] / "examples" / "python"


def example(name: str) -> ModuleType:
    """A program of `examples/python`, loaded anew."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", PYTHON / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _rule(reply: Any, **when: Any) -> dict[str, Any]:
    kind = reply if isinstance(reply, dict) else {"text": reply}
    return {"when": when, "reply": kind}


TEAM: dict[str, Any] = {
    "rules": [
        _rule({"json": {"law": "May we sell oak?", "price": "What is oak?"}}, instructions="Split it"),
        _rule("Oak is free to sell.", instructions="from the files"),
        _rule("A board is 12.5.", instructions="by prices", tool_results=True),
        _rule({"tool_calls": [{"name": "price_of", "arguments": {"wood": "oak"}}]}, instructions="by prices"),
        _rule("In short: 250 EUR.", message="Sum it up"),
        _rule("Second draft.", instructions="Write the offer", message="Mend"),
        _rule("First draft.", instructions="Write the offer"),
        _rule({"json": {"approved": False, "problems": ["no total"]}}, message="First draft"),
        _rule({"json": {"approved": True, "problems": []}}, message="Second draft"),
    ]
}
TURNS = 8
"""Planner, lawyer, buyer, author, reviewer, author, reviewer, author."""
TASK = "Offer 20 boards of oak to a customer in France."
