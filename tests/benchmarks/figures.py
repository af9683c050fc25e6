"""The table of figures that `make bench` prints: name, figure, goal, ratio."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What a figure should be: at most `limit`, or at least."""

    limit: float
    at_least: bool = False

    def is_met(self, figure: float) -> bool:
        """Whether a figure is as it should be."""
        return figure >= self.limit if self.at_least else figure <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"


class Figures:
    """What has been measured so far.

    Args:
        database: what kind of journal the figures are of; empty: it does not matter.
        lines: the table that they go to.
    """

    def __init__(self, lines: list[str], database: str = "") -> None:
        self._lines = lines
        self._database = database

    def add(
        self, name: str, value: float, goal: Goal | None = None, *, against: float = 0.0, what: str = ""
    ) -> None:
        """Add a line.

        Args:
            name: what was measured, with its unit.
            value: the figure.
            goal: what it should be.
            against: what it is compared with, measured in the same run; 0: nothing.
            what: what that is.
        """
        named = f"{name} ({self._database})" if self._database else name
        verdict = "" if goal is None else "met" if goal.is_met(value) else "missed"
        ratio = f"{value / against:.2f} x {what}" if against else ""
        load = f"load {os.getloadavg()[0]:.1f}"
        goal_text = str(goal or "")
        self._lines.append(f"{named:<62} {value:>9.3f}  {goal_text:<9} {verdict:<7} {ratio:<24} {load}")
