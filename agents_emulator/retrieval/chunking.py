"""Cutting a text into overlapping chunks at line and sentence ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agents_emulator.retrieval.embeddings import count_tokens
from agents_emulator.retrieval.words import sentence_ends

_WORDS_OF_A_PIECE = 60  # a unit without any sentence end is cut into pieces of so many words


@dataclass(frozen=True)
class _Unit:
    """A sentence, line or piece of one: the smallest thing a chunk is made of."""

    start: int
    end: int
    tokens: int


def split_into_chunks(text: str, *, max_tokens: int, overlap_tokens: int) -> list[str]:
    """Chunks of at most ``max_tokens``, each beginning with about ``overlap_tokens`` of the one before.

    Tokens are WordLlama's. A chunk exceeds ``max_tokens`` only where a single word does. Raises ValueError if
    the overlap is not below the size.
    """
    if not 0 <= overlap_tokens < max_tokens:
        raise ValueError(f"overlap_tokens ({overlap_tokens}) has to be below max_tokens ({max_tokens})")
    units = _units(text, max_tokens)
    chunks: list[str] = []
    first = 0
    while first < len(units):
        last, size = first, units[first].tokens
        while last + 1 < len(units) and size + units[last + 1].tokens <= max_tokens:
            last += 1
            size += units[last].tokens
        chunks.append(text[units[first].start : units[last].end].strip())
        if last + 1 == len(units):
            break
        # Go back for the overlap, but always forward by at least one unit.
        following, kept = last + 1, 0
        while following - 1 > first and kept + units[following - 1].tokens <= overlap_tokens:
            following -= 1
            kept += units[following].tokens
        first = following
    return chunks


def _units(text: str, max_tokens: int) -> list[_Unit]:
    spans: list[tuple[int, int]] = []
    start = 0
    for end in (*sentence_ends(text), len(text)):
        if text[start:end].strip():
            spans.append((start, end))
        start = end
    units: list[_Unit] = []
    for (start, end), tokens in zip(spans, count_tokens([text[a:b] for a, b in spans]), strict=True):
        units.extend(
            [_Unit(start, end, tokens)] if tokens <= max_tokens else _pieces(text, start, end, max_tokens)
        )
    return units


def _pieces(text: str, start: int, end: int, max_tokens: int) -> list[_Unit]:
    """A unit that is too long, cut at blanks.

    It is cut into pieces of some words, and into single words where those are long.
    """
    found = [(match.start(), match.end()) for match in re.finditer(r"\S+\s*", text[start:end])]
    size = min(_WORDS_OF_A_PIECE, max(1, max_tokens // 8))
    spans = [
        (start + group[0][0], start + group[-1][1])
        for group in (found[i : i + size] for i in range(0, len(found), size))
    ]
    pieces: list[_Unit] = []
    for (a, b), tokens in zip(spans, count_tokens([text[a:b] for a, b in spans]), strict=True):
        if tokens <= max_tokens or size == 1:
            pieces.append(_Unit(a, b, tokens))
        else:
            each = [(a + m.start(), a + m.end()) for m in re.finditer(r"\S+\s*", text[a:b])]
            counts = count_tokens([text[x:y] for x, y in each])
            pieces.extend(_Unit(x, y, count) for (x, y), count in zip(each, counts, strict=True))
    return pieces
