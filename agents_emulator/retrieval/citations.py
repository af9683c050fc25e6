"""Citations after the fact: which hit supports a sentence of an answer.

The real service's models write their citation marks themselves. A small local model cannot, so the local
service compares each finished sentence with the hits that the model was given.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from agents_emulator.retrieval.embeddings import embed
from agents_emulator.retrieval.index import SearchHit
from agents_emulator.retrieval.words import content_words, is_number, sentence_ends, sentences

SUPPORT_THRESHOLD = 0.55
"""Support (0..1) below which a sentence gets no citation."""
NUMBER_WEIGHT = 2.0
"""How much more a number counts than a word."""
WORD_SHARE = 0.75
"""Share of shared words in the support; the rest is likeness in meaning to the hit's nearest sentence."""
_LIST_MARK = re.compile(r"^\s*\d{1,2}[.)]\s", re.MULTILINE)


@dataclass(frozen=True)
class MarkedText:
    """A piece of the answer; ``hit_index`` says which hit supports the sentence that ends with it, if any."""

    text: str
    hit_index: int | None = None


class CitationMarker:
    """Cuts a streamed answer into sentences and finds the hit that supports each.

    Support is the share of the sentence's words (rare ones count more) that the hit has, and likeness in
    meaning. A hit that lacks a number of the sentence (an amount, a date) does not support it.
    The texts of all pieces, joined, are the answer unchanged: blanks between sentences begin the next
    piece, so that a citation mark stands directly behind its sentence.
    """

    def __init__(self, hits: Sequence[SearchHit]) -> None:
        self._pending = ""
        self._bags = [set(content_words(_LIST_MARK.sub("", hit.text))) for hit in hits]
        parts = [(number, text) for number, hit in enumerate(hits) for text in sentences(hit.text)]
        self._owners = [number for number, _ in parts]
        self._vectors = embed([text for _, text in parts])
        self._spread = Counter(word for bag in self._bags for word in bag)

    def feed(self, text: str) -> list[MarkedText]:
        """Take the next part of the answer; returns the sentences that are now complete."""
        self._pending += text
        marked: list[MarkedText] = []
        start = 0
        for end in sentence_ends(self._pending):
            marked.append(self._mark(self._pending[start:end]))
            start = end
        self._pending = self._pending[start:]
        return marked

    def finish(self) -> list[MarkedText]:
        """The rest of the answer."""
        rest, self._pending = self._pending, ""
        if not rest:
            return []
        body = rest.rstrip()
        marked = [self._mark(body)] if body else []
        return [*marked, MarkedText(rest[len(body) :])] if len(body) < len(rest) else marked

    def _mark(self, sentence: str) -> MarkedText:
        return MarkedText(sentence, self._supporting_hit(sentence))

    def _supporting_hit(self, sentence: str) -> int | None:
        terms = set(content_words(_LIST_MARK.sub("", sentence)))
        if not terms or not self._bags:
            return None
        weights = {term: self._weight(term) for term in sorted(terms)}
        total = sum(weights.values())
        near = [0.0] * len(self._bags)
        for owner, value in zip(self._owners, self._vectors @ embed([sentence])[0], strict=True):
            near[owner] = max(near[owner], float(value))
        supports = [
            WORD_SHARE * sum(weights[term] for term in terms & bag) / total + (1 - WORD_SHARE) * near[number]
            if not any(is_number(term) for term in terms - bag)
            else 0.0
            for number, bag in enumerate(self._bags)
        ]
        best = max(range(len(supports)), key=lambda number: (supports[number], -number))
        return best if supports[best] >= SUPPORT_THRESHOLD else None

    def _weight(self, term: str) -> float:
        """Words in few of the hits say more about which one it was; words in none of them count fully."""
        rarity = 1.0 + math.log(len(self._bags) / max(1, self._spread[term]))
        return rarity * (NUMBER_WEIGHT if is_number(term) else 1.0)
