"""Programs with the same outcome on both services, and those that only one of them can run."""

from __future__ import annotations

from tests.parity import flows, guide
from tests.parity.pipelines import pipelines
from tests.parity.place import Program
from tests.parity.turns import patterns, turns

__all__ = ["programs", "without"]


def programs() -> list[Program]:
    """All of them, in the order of the table."""
    return [*pipelines(), *flows.flows(), *patterns(), *turns(), *guide.guide()]


def without() -> dict[str, str]:
    """Names of programs that are not run on both, with the reason."""
    return {**flows.WITHOUT, **{f"guide: {name}": why for name, why in guide.WITHOUT.items()}}
