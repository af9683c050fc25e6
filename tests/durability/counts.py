"""What the suites of a session have counted together, for its last line; apart from pipelines, whose children
need no pytest.

    counted(pytestconfig).add(points={"turn.started"}, kills=1, duplicates=len(found), leaks=0)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest


@dataclass
class Counts:
    """Counts of all suites of a session."""

    points: set[str] = field(default_factory=set)
    """Names of crash points at which a process was killed."""
    kills: int = 0
    """Processes killed, at crash points or at random, and databases stopped."""
    pauses: int = 0
    """Workers that stood still past their lease, or whose journal did."""
    duplicates: int = 0
    """Effects that the service was asked for more than once, functions that ran twice for a call of a
    document, and requests of workers that another one had succeeded."""
    leaks: int = 0
    """Resources and active runs left on the service."""

    def add(
        self,
        *,
        points: Iterable[str] = (),
        kills: int = 0,
        pauses: int = 0,
        duplicates: int = 0,
        leaks: int = 0,
    ) -> None:
        """Add what a suite has counted."""
        self.points |= set(points)
        self.kills += kills
        self.pauses += pauses
        self.duplicates += duplicates
        self.leaks += leaks

    def __str__(self) -> str:
        return (
            f"crash points: {len(self.points)}, kills: {self.kills}, freezes and partitions: {self.pauses}, "
            f"duplicates: {self.duplicates}, leaks: {self.leaks}"
        )


COUNTS = pytest.StashKey[Counts]()


def counted(config: pytest.Config) -> Counts:
    """The counts of a session."""
    return config.stash.setdefault(COUNTS, Counts())
