"""Texts looked up as texts: letters and digits have to be the same, what stands between them has to agree."""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import regex

from agent_tasks.documents.grounding import boundaries, gaps, identifiers, letters
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match

MAX_NEAR_MISSES = 20_000
"""Places that have a value's letters and digits but are not it; after so many the search ends, found or not."""
MAX_COMPARED = 2_000_000
"""Letters and digits compared at such places; long values have fewer of them."""

# Runs within which nothing begins. Arabic and Hebrew words may have a particle before them.
_RUN = regex.compile(
    r"(?V1)\d+|[[\p{L}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
    r"\p{Javanese}\p{Balinese}\p{Bopomofo}\p{Yi}\p{Arabic}\p{Hebrew}\p{Hangul}]]+|\p{Hangul}+"
)
_GAP = regex.compile(r"[^\p{L}\p{M}\p{N}]+")


class Skeleton:
    """A folded text without what stands between its letters and digits.

    Args:
        folded: The folded text.
    """

    def __init__(self, folded: str) -> None:
        self.folded = folded
        parts: list[str] = []
        # For each gap: where it is in the skeleton, and what all gaps up to it take in the folded text.
        self._at: list[int] = []
        self._taken: list[int] = []
        kept = taken = 0
        for match in _GAP.finditer(folded):
            start, end = match.span()
            parts.append(folded[kept + taken : start])
            kept = start - taken
            taken += end - start
            self._at.append(kept)
            self._taken.append(taken)
        parts.append(folded[kept + taken :])
        self.text = "".join(parts)

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


class Words:
    """A folded text, prepared for looking texts up in it.

    Args:
        text: The folded text.
    """

    def __init__(self, text: Folded) -> None:
        self._text = text

    @functools.cached_property
    def _skeleton(self) -> Skeleton:
        return Skeleton(self._text.text)

    def find(self, value: str) -> Match | None:
        """The first place that has the value, and how many there are.

        Args:
            value: The value in NFC form.
        """
        sought = wanted(value)
        if not sought.letters:
            return self._find_signs(value.strip())
        found = self._first(sought)
        if found is None and sought.traits.is_phone:
            return identifiers.find_phone(value, self._text)
        return found

    def _with_signs(self, sought: Wanted, start: int, end: int) -> tuple[int, int]:
        """A match with the signs that stand around the value, too: the point of "Ltd.", the plus of a number."""
        folded = self._text.text
        for sign in reversed(sought.lead):
            if start == 0 or folded[start - 1] != sign:
                break
            start -= 1
        for sign in sought.tail:
            if folded[end : end + 1] != sign:
                break
            end += 1
        return start, end

    def _find_signs(self, value: str) -> Match | None:
        at = self._text.source.find(value) if value else -1
        if at < 0:
            return None
        count = min(self._text.source.count(value), MAX_OCCURRENCES)
        return Match(at, at + len(value), How.EXACT, count)

    def _first(self, sought: Wanted) -> Match | None:
        skeleton, size = self._skeleton, len(sought.letters)
        found: Match | None = None
        count, misses, most = 0, 0, min(MAX_NEAR_MISSES, MAX_COMPARED // size + 1)
        at = skeleton.text.find(sought.letters)
        while at >= 0 and count < MAX_OCCURRENCES and misses < most:
            match = self._check(sought, at)
            if match is None:
                misses += 1
                at = skeleton.text.find(sought.letters, self._next_start(at))
                continue
            found = found or match
            count += 1
            at = skeleton.text.find(sought.letters, at + size)
        return found._replace(occurrences=count) if found else None

    def _next_start(self, at: int) -> int:
        """Where the value may begin next: not within the same run, which may be a megabyte long."""
        start = self._skeleton.folded_at(at)
        run = _RUN.match(self._text.text, start)
        return at + (run.end() - start if run else 1)

    def _check(self, sought: Wanted, at: int) -> Match | None:
        """Whether the value stands where its letters and digits do."""
        end = at + len(sought.letters)
        start_here, end_here = self._skeleton.folded_at(at), self._skeleton.folded_at(end - 1) + 1
        edges = boundaries.edges(self._text, start_here, end_here, sought)
        if edges is None:
            return None
        inner = gaps.agreement(sought, dict(self._skeleton.gaps(at, end)), edges)
        if inner is None:
            return None
        start, stop = self._text.span(*self._with_signs(sought, start_here, end_here))
        quote = self._text.source[start:stop]
        if not letters.agree(sought.value, self._text.quote(start_here, end_here)):
            return None
        how = max(inner, edges.how, How.EXACT if quote == sought.value.strip() else How.FORM, key=lambda how: how.rank)
        return Match(start, stop, how)


