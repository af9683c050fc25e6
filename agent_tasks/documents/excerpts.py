"""Parts of a document that fit into a prompt: ranges of its pages, and the passages that speak of something.

Where there are pages (slides, sheets), a part is made of whole ones; a page that is too large itself, and a
document without pages, is cut at the ends of lines. Passages are found by the words that they have in common
with what is looked for (BM25 in SQLite's full-text search, in memory; no model).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest

from agent_tasks.documents.content import DocumentContent, Place, Section

_BLOCK = 600  # characters of a passage, about
_HEADING = 12  # tokens of what stands between passages
_CANDIDATES, _TAKEN = 24, 5  # passages that are looked at and taken for one topic
_ALONE = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
"""Scripts without blanks between words: looked for character by character."""
_WORDS = re.compile(r"[^\W_]+")
_MOST_WORDS = 64  # of a topic


@dataclass(frozen=True)
class Excerpt:
    """A part of a document."""

    name: str
    """Such as ``pages-1-20``, ``part-2`` or ``passages``: letters, digits and dashes."""
    text: str
    pages: tuple[str, ...]
    """The text of each of its pages, slides or sheets."""
    is_whole: bool = False
    """Whether it is all of the document."""


@dataclass(frozen=True)
class Topic:
    """What passages are looked for."""

    words: str
    """Any text; passages with its rarer words come first."""
    fits: Callable[[str], bool] = lambda passage: True
    """Whether a passage may hold what is looked for; those that do not come last."""


# --- ranges ------------------------------------------------------------------------------------------------


def ranges(read: DocumentContent, most: int, tokens: Callable[[str], int]) -> list[Excerpt]:
    """Return the document in parts that follow each other, each as large as may be.

    Args:
        read: The document.
        most: Tokens of a part, at most.
        tokens: How many tokens a text has; at most as many as characters.
    """
    if tokens(read.text) <= most:
        return [Excerpt("whole", read.text, tuple(read.pages()), is_whole=True)]
    pages = read.page_spans()
    if pages[0].place == Place():
        pieces = _pieces(read.text, 0, len(read.text), most, tokens)
        return [_excerpt(read, f"part-{i}", [piece]) for i, piece in enumerate(pieces, 1)]
    parts: list[Excerpt] = []
    first, used = 0, 0  # the number of the first page of the part that grows, from 0, and its tokens
    for i, page in enumerate(pages):
        size = tokens(read.text[page.start : page.end]) + 1
        if i > first and used + size > most:
            parts.append(_range(read, pages, first, i))
            first, used = i, 0
        used += size
        if size > most:
            for number, piece in enumerate(_pieces(read.text, page.start, page.end, most, tokens), 1):
                parts.append(_excerpt(read, f"{_named(pages, i, i + 1)}-part-{number}", [piece]))
            first, used = i + 1, 0
    if first < len(pages):
        parts.append(_range(read, pages, first, len(pages)))
    return parts


def _range(read: DocumentContent, pages: Sequence[Section], first: int, end: int) -> Excerpt:
    return _excerpt(read, _named(pages, first, end), [(page.start, page.end) for page in pages[first:end]])


def _named(pages: Sequence[Section], first: int, end: int) -> str:
    place = pages[first].place
    kind = "page" if place.page is not None else "slide" if place.slide is not None else "sheet"
    return f"{kind}-{first + 1}" if end == first + 1 else f"{kind}s-{first + 1}-{end}"


def _excerpt(read: DocumentContent, name: str, spans: Sequence[tuple[int, int]]) -> Excerpt:
    text = read.text[spans[0][0] : spans[-1][1]]
    return Excerpt(name, text, tuple(read.text[start:end] for start, end in spans))


def _pieces(
    text: str, start: int, end: int, most: int, tokens: Callable[[str], int]
) -> Iterator[tuple[int, int]]:
    """Yield pieces of a stretch, cut at the ends of lines or, if need be, within them."""
    begin, used = start, 0
    for line_start, line_end in _lines(text, start, end, most):
        size = tokens(text[line_start:line_end]) + 1
        if line_start > begin and used + size > most:
            yield begin, line_start
            begin, used = line_start, 0
        used += size
    if begin < end:
        yield begin, end


def _lines(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    """Yield lines; what is longer than so many characters is cut, between words if there are any."""
    while start < end:
        stop = text.find("\n", start, min(start + longest, end)) + 1
        if stop <= 0 and end - start > longest:
            stop = text.rfind(" ", start + longest // 2, start + longest) + 1 or start + longest
        stop = stop if stop > 0 else end
        yield start, stop
        start = stop


# --- passages ----------------------------------------------------------------------------------------------


def passages(
    read: DocumentContent,
    topics: Sequence[Topic],
    most: int,
    tokens: Callable[[str], int],
    *,
    around: Sequence[tuple[int, int]] = (),
) -> Excerpt:
    """Return the passages that speak of some topics, in the order of the document, each under its page.

    The beginning of the document is always among them.

    Args:
        read: The document.
        topics: What is looked for. All get a passage before one of them gets its next.
        most: Tokens of all passages, at most.
        tokens: How many tokens a text has; at most as many as characters.
        around: Stretches of the text whose passages come before all others, as far as they fit.
    """
    if tokens(read.text) <= most:
        return Excerpt("whole", read.text, tuple(read.pages()), is_whole=True)
    blocks = list(_blocks(read))
    wanted = [0, *(i for start, end in around for i in _touched(blocks, start, end))]
    with closing(_index(read.text, blocks)) as index:
        ranked = [_ranked(index, read.text, blocks, topic) for topic in topics]
    for found in zip_longest(*ranked):
        wanted += (i for i in found if i is not None)
    for best in (ranking[0] for ranking in ranked if ranking):
        wanted += (i for i in (best + 1, best - 1) if 0 <= i < len(blocks))  # a label and its value
    taken: list[int] = []
    left = most
    for i in dict.fromkeys(wanted):
        price = tokens(read.text[blocks[i].start : blocks[i].end]) + _HEADING
        if price <= left:
            taken.append(i)
            left -= price
    return _shown(read, blocks, sorted(taken))


def _blocks(read: DocumentContent) -> Iterator[Section]:
    """Yield stretches of a few lines, none over the end of a page."""
    for page in read.page_spans():
        start = page.start
        while start < page.end:
            stop = _block_end(read.text, start, page.end)
            if read.text[start:stop].strip():
                yield Section(start, stop, page.place)
            start = stop


def _block_end(text: str, start: int, end: int) -> int:
    """Return where a block ends: behind a paragraph, a line or, if there is none, a word."""
    if end - start <= _BLOCK * 4 // 3:
        return end
    for sign in ("\n\n", "\n", " "):
        cut = text.rfind(sign, start + _BLOCK // 3, start + _BLOCK)
        if cut >= 0:
            return cut + len(sign)
    return start + _BLOCK


def _touched(blocks: Sequence[Section], start: int, end: int) -> list[int]:
    return [i for i, block in enumerate(blocks) if block.start < end and start < block.end]


def _index(text: str, blocks: Sequence[Section]) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:")
    index.execute("CREATE VIRTUAL TABLE blocks USING fts5(text, content='', "
                  "tokenize='porter unicode61 remove_diacritics 2')")  # fmt: skip
    rows = ((i, _spaced(text[block.start : block.end])) for i, block in enumerate(blocks))
    index.executemany("INSERT INTO blocks (rowid, text) VALUES (?, ?)", rows)
    return index


def _spaced(text: str) -> str:
    return _ALONE.sub(r" \1 ", text)


def _ranked(index: sqlite3.Connection, text: str, blocks: Sequence[Section], topic: Topic) -> list[int]:
    """Return the blocks that speak of a topic, best first; if none does, the first ones that fit."""
    words = dict.fromkeys(_WORDS.findall(topic.words.casefold()))
    # Only letters and digits get in, within quotes: no text is read as an expression.
    query = " OR ".join(f'"{_spaced(word).strip()}"' for word in list(words)[:_MOST_WORDS])
    found: list[int] = []
    if query:
        rows = index.execute(
            "SELECT rowid FROM blocks WHERE blocks MATCH ? ORDER BY bm25(blocks), rowid LIMIT ?",
            (query, _CANDIDATES),
        )
        found = [row[0] for row in rows]

    def is_fit(i: int) -> bool:
        return topic.fits(text[blocks[i].start : blocks[i].end])

    fitting = [i for i in found if is_fit(i)]
    if not fitting:
        fitting = [i for i in range(min(len(blocks), 1_000)) if is_fit(i)][:_TAKEN]
    return [*fitting, *(i for i in found if i not in fitting)][:_TAKEN]


def _shown(read: DocumentContent, blocks: Sequence[Section], taken: Sequence[int]) -> Excerpt:
    pieces: list[str] = []
    pages: list[str] = []
    before: int | None = None
    for i in taken:
        block = blocks[i]
        is_next = before is not None and before + 1 == i
        same_page = before is not None and blocks[before].place == block.place
        if not is_next and pieces:
            pieces.append("[...]\n")
        if not same_page and (said := _said(block.place)):
            pieces.append(f"[{said}]\n")
        if not same_page:
            pages.append("")
        text = read.text[block.start : block.end]
        pieces.append(text if text.endswith("\n") else f"{text}\n")
        pages[-1] += text
        before = i
    return Excerpt("passages", "".join(pieces).rstrip("\n"), tuple(pages))


def _said(place: Place) -> str:
    if place.page is not None:
        return f"page {place.page}"
    if place.slide is not None:
        return f"slide {place.slide}"
    return f"sheet {place.sheet}" if place.sheet is not None else ""
