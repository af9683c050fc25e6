"""Cutting hits down to what a small model's prompt can take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from agents_emulator.retrieval.embeddings import count_tokens, embed
from agents_emulator.retrieval.index import SearchHit
from agents_emulator.retrieval.words import content_words, sentences

MAX_HITS = 4
_WORD_WEIGHT = 0.6
_HIT_WEIGHT = 0.3


def select_passages(hits: Sequence[SearchHit], query: str, *, max_tokens: int) -> list[SearchHit]:
    """The hits, best first, that fit into a budget of tokens, each reduced to its relevant lines if need be.

    Chunks of the service's default size (800 tokens) would fill a small model's prompt with one hit. Hits
    that fit are taken whole; otherwise lines of the best few hits are chosen by the words and the meaning
    that they share with the query, in their original order, with the first line of a hit kept as its
    heading. Returns hits with shortened ``text``; never more than the budget, in WordLlama's tokens.
    """
    sizes = count_tokens([hit.text for hit in hits])
    if sum(sizes[:MAX_HITS]) <= max_tokens:
        taken, left = [], max_tokens
        for hit, size in zip(hits, sizes, strict=True):
            if size > left:
                break
            taken.append(hit)
            left -= size
        return taken

    lines = [
        (number, position, line)
        for number, hit in enumerate(hits[:MAX_HITS])
        for position, line in enumerate(sentences(hit.text))
    ]
    texts = [line for _, _, line in lines]
    costs = [tokens + 1 for tokens in count_tokens(texts)]  # one for the line end
    relevances = _relevances(texts, query)
    best_score = max(hit.score for hit in hits)
    values = [
        relevance + _HIT_WEIGHT * hits[number].score / best_score
        for relevance, (number, _, _) in zip(relevances, lines, strict=True)
    ]
    heading = {number: index for index, (number, position, _) in enumerate(lines) if position == 0}
    chosen: set[int] = set()
    left = max_tokens
    for index in sorted(range(len(lines)), key=lambda i: (-values[i], i)):
        wanted = {index, heading[lines[index][0]]} - chosen
        price = sum(costs[item] for item in wanted)
        if price <= left:
            chosen |= wanted
            left -= price
    shortened = []
    for number, hit in enumerate(hits[:MAX_HITS]):
        kept = [texts[index] for index in sorted(chosen) if lines[index][0] == number]
        if kept:
            shortened.append(replace(hit, text="\n".join(kept)))
    return shortened


def _relevances(texts: Sequence[str], query: str) -> list[float]:
    """For each text 0..1: the share of the query's rare words in it, and its likeness in meaning."""
    bags = [set(content_words(text)) for text in texts]
    terms = set(content_words(query))
    weights = {
        term: math.log(1 + len(bags) / (1 + sum(term in bag for bag in bags))) for term in sorted(terms)
    }
    total = sum(weights.values()) or 1.0
    vectors = embed([query, *texts])
    likeness = vectors[1:] @ vectors[0]
    return [
        _WORD_WEIGHT * sum(weights[term] for term in terms & bag) / total
        + (1 - _WORD_WEIGHT) * max(0.0, float(near))
        for bag, near in zip(bags, likeness, strict=True)
    ]
