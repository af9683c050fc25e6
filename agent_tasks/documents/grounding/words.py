"""Texts looked up as texts: letters and digits have to be the same, what stands between them has to agree."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

import regex

from agent_tasks.documents.grounding import boundaries, gaps, identifiers, letters, neighbours
from agent_tasks.documents.grounding.folding import Folded
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match
from agent_tasks.documents.grounding.skeleton import Skeleton, Wanted, wanted

MAX_NEAR_MISSES = 20_000
"""Places that have a value's letters and digits but are not it; after so many the search ends."""
MAX_COMPARED = 200_000
"""Letters and digits compared at such places; long values have fewer of them."""

# Runs within which nothing begins. Arabic and Hebrew words may have a particle before them.
_RUN = regex.compile(
    r"(?V1)\d+|[[\p{L}\p{M}]--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
    r"\p{Javanese}\p{Balinese}\p{Bopomofo}\p{Yi}\p{Arabic}\p{Hebrew}\p{Hangul}]]+|\p{Hangul}+"
)


Denial: TypeAlias = Callable[[str, int, int], bool]


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

    def find(self, value: str, is_denied: Denial | None = None) -> Match | None:
        """The first place that has the value, and how many there are.

        Args:
            value: The value in NFC form.
            is_denied: Tells places that do not count from the source text, start and end.
        """
        sought = wanted(value)
        if not sought.letters:
            return self._find_signs(value.strip())
        found = self._first(sought, is_denied)
        if found is None and sought.traits.is_phone:
            return identifiers.find_phone(value, self._text)
        if found is None and sought.traits.is_grouped:
            return identifiers.find_grouped(value, self._text)
        return found

    def _with_signs(self, sought: Wanted, start: int, end: int) -> tuple[int, int]:
        """A match with the signs that stand around the value, too: the point of "Ltd.", a plus."""
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

    def _first(self, sought: Wanted, is_denied: Denial | None) -> Match | None:
        skeleton, size = self._skeleton, len(sought.letters)
        found: Match | None = None
        count, misses, most = 0, 0, min(MAX_NEAR_MISSES, MAX_COMPARED // size + 1)
        at = skeleton.text.find(sought.letters)
        while at >= 0 and count < MAX_OCCURRENCES and misses < most:
            match = self._check(sought, at)
            if match is None or (is_denied and is_denied(self._text.source, match.start, match.end)):
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
        if edges is None or neighbours.is_part(self._text, start_here, end_here, sought):
            return None
        inner = gaps.agreement(sought, dict(self._skeleton.gaps(at, end)), edges)
        if inner is None:
            return None
        start, stop = self._text.span(*self._with_signs(sought, start_here, end_here))
        quote = self._text.source[start:stop]
        if not letters.agree(sought.value, self._text.quote(start_here, end_here)):
            return None
        how = max(
            inner,
            edges.how,
            How.EXACT if quote == sought.value.strip() else How.FORM,
            key=lambda how: how.rank,
        )
        return Match(start, stop, how)
