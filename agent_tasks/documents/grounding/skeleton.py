"""Letters and digits alone, of a text and of a value: what has to be the same in both."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from agent_tasks.documents.grounding import identifiers
from agent_tasks.documents.grounding.folding import Folded

_GAP = regex.compile(r"([^\p{L}\p{M}\p{N}]+)")


class Skeleton:
    """A folded text without what stands between its letters and digits.

    Args:
        folded: The folded text.
    """

    def __init__(self, folded: str) -> None:
        self.folded = folded
        pieces = _GAP.split(folded)
        # For each gap: where it is in the skeleton, and what all gaps up to it take in the folded text.
        self._at = list(itertools.accumulate(map(len, pieces[:-1:2])))
        self._taken = list(itertools.accumulate(map(len, pieces[1::2])))
        self.text = "".join(pieces[::2])

    def folded_at(self, at: int) -> int:
        """Where a character of the skeleton stands in the folded text."""
        gap = bisect.bisect_right(self._at, at) - 1
        return at + (self._taken[gap] if gap >= 0 else 0)

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """What stands between the characters of a stretch: after how many of them, and the text."""
        first = bisect.bisect_right(self._at, start)
        for gap in range(first, bisect.bisect_left(self._at, end, lo=first)):
            at = self._at[gap]
            before = self._taken[gap - 1] if gap else 0
            yield at - start, self.folded[at + before : at + self._taken[gap]]


@dataclass(frozen=True)
class Wanted:
    """A value to look for."""

    value: str
    letters: str
    """Its folded letters and digits."""
    gaps: dict[int, str]
    """What stands between them, after how many."""
    lead: str
    tail: str
    """What stands before the first and after the last."""
    traits: identifiers.Traits


def wanted(value: str) -> Wanted:
    """Take a value apart."""
    folded = Folded(value).text.strip()
    skeleton = Skeleton(folded)
    size = len(skeleton.text)
    first = skeleton.folded_at(0) if size else 0
    last = skeleton.folded_at(size - 1) + 1 if size else 0
    return Wanted(
        value=value,
        letters=skeleton.text,
        gaps=dict(skeleton.gaps(0, size)),
        lead=folded[:first],
        tail=folded[last:],
        traits=identifiers.traits(value, folded[first:last]),
    )
