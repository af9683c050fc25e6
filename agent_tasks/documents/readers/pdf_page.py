"""The words of a page of a PDF, each with its box as the page is shown."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from agent_tasks.documents.content import Edges
from agent_tasks.documents.layout import APART, OVERLAP, Run, Word
from agent_tasks.documents.readers.pdfium import raw as pdfium

_WORD = re.compile("[^\x00\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
"""Blanks are between words; what Python takes for blanks beside these (1C to 1F) are letters of old fonts."""
_HYPHENS = re.compile("[\ufffe\x02]")
"""What PDFium writes for a hyphen at the end of a line."""
_BULLETS = str.maketrans("\uf0b7\uf0a7\uf0d8\uf0fc\uf0fe\uf0a8", "•▪➢✓☒☐")
"""Signs of the fonts Symbol and Wingdings, which have no Unicode of their own in a PDF."""
_OLD_TEX = str.maketrans(
    {"\x15": "–", "\x16": "—", "\x1b": "ff", "\x1c": "fi", "\x1d": "fl", "\x1e": "ffi", "\x1f": "ffl"}
)
"""What fonts of TeX hold in place of control characters, if they say nothing of Unicode."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_HALVES = re.compile("[\ud800-\udfff]")
"""What PDFium has for a character beyond 16 bits: two, with one box."""
_NO_BLANK = "\ufdd0"
"""In place of a blank that PDFium has put within a word."""
_BETWEEN_LETTERS = re.compile(r"(?<=[!-~\w])[ \r\n]+(?=[!-~\w])")
TILTED = 4
"""Where the numbers of directions begin that are no quarters of a turn: one for each degree."""
_QUARTER, _LEAST_TILT = math.pi / 2, 0.06  # of a quarter: scans that were recognised are a little askew
_SAMPLED = 40  # blanks of a page that are looked at
_TORN, _WITHIN = 0.5, 0.27  # letters alone, as a share of all; a gap within a word, in heights of its line
_GAP, _WIDER = 0.095, 4.0  # of a word: heights of its line, and times its usual one
_BEFORE_A_GAP = frozenset(".,;:)]}!?%\u2019\u201d")
_AFTER_A_GAP = frozenset("([{\u2018\u201c$€£§")
_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})


class Frame(NamedTuple):
    """How the plane of a page is shown: what part of it, turned by how many right angles."""

    left: float
    bottom: float
    width: float
    height: float
    turns: int
    """Quarters of a turn, clockwise."""

    @classmethod
    def of(cls, page: Any) -> Frame:
        """Return the frame of a page: its crop box, as far as it is on the sheet."""
        left, bottom, right, top = page.get_bbox()
        width, height = max(right - left, 1.0), max(top - bottom, 1.0)
        return cls(left, bottom, width, height, page.get_rotation() // 90 % 4)

    @property
    def shown_size(self) -> tuple[float, float]:
        """Width and height of the page as it is shown, in points."""
        return (self.height, self.width) if self.turns % 2 else (self.width, self.height)

    def shown(self, left: float, bottom: float, right: float, top: float) -> Edges:
        """Return a rectangle in points from the top left corner of the page as it is shown."""
        left, right = left - self.left, right - self.left
        bottom, top = bottom - self.bottom, top - self.bottom
        if self.turns == 0:
            return left, self.height - top, right, self.height - bottom
        if self.turns == 1:
            return bottom, left, top, right
        if self.turns == 2:
            return self.width - right, bottom, self.width - left, top
        return self.height - top, self.width - right, self.height - bottom, self.width - left

    def share(self, left: float, top: float, right: float, bottom: float) -> Edges:
        """Return a rectangle of the page as it is shown as shares of its size."""
        width, height = self.shown_size
        return left / width, top / height, right / width, bottom / height


@functools.cache
def _alone() -> re.Pattern[str]:
    """Return what finds characters of scripts without blanks between words: each gets a box of its own."""
    return re.compile("[\u2e80-\u2fdf\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]")


@functools.cache
def _odd() -> re.Pattern[str]:
    """Return what finds that which `_written` changes."""
    return re.compile("[\ufdd0\ud800-\udfff\x01-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufb00-\ufb06\ufffe]")


def _bare(function: Any, result: Any) -> Any:
    """Return a function of PDFium that takes its arguments as they are: it is called for each word."""
    return ctypes.PYFUNCTYPE(result)(ctypes.cast(function, ctypes.c_void_p).value or 0)


_box_of = _bare(pdfium.FPDFText_GetLooseCharBox, ctypes.c_int)
_angle_of = _bare(pdfium.FPDFText_GetCharAngle, ctypes.c_float)
_RECTANGLE = struct.Struct("4f")
"""Of PDFium: left, top, right and bottom."""
_AT_ONCE = 512  # words whose boxes are asked for
_rectangles = ctypes.create_string_buffer(2 * _AT_ONCE * _RECTANGLE.size)
_slots = [ctypes.byref(_rectangles, start) for start in range(0, len(_rectangles), _RECTANGLE.size)]


def _boxes(handle: Any, indices: Sequence[int]) -> list[Edges]:
    """Return the boxes of so many characters at once; one that has none is without height."""
    ctypes.memset(_rectangles, 0, len(_rectangles))
    list(map(_box_of, itertools.repeat(handle), indices, _slots))
    return list(_RECTANGLE.iter_unpack(_rectangles))[: len(indices)]


class PageText:
    """The text of a page.

    Args:
        page: The page, as pypdfium2 has it.
        frame: How it is shown.
    """

    def __init__(self, page: Any, frame: Frame) -> None:
        self._frame = frame
        self._page = page.get_textpage()  # kept: the handle lives as long as it
        self._handle = self._page.raw
        self._bare_handle = ctypes.cast(self._handle, ctypes.c_void_p)
        self._rectangle = ctypes.create_string_buffer(_RECTANGLE.size)
        self.text = _characters(self._handle)
        """A character for each that PDFium counts."""
        self._lacks_blanks = _are_guessed(self._handle, self.text)
        self._size = frame.shown_size
        self._left, self._top = frame.left, frame.bottom + frame.height
        if not frame.turns and _is_torn(self.text):
            self.text, self._lacks_blanks = self._mended(), False
        # Those patterns are made for a page that needs them: that takes as long as a page.
        is_plain = self.text.isascii() and self.text.replace("\r\n", "").isprintable()
        self._has_alone = not is_plain and _alone().search(self.text) is not None
        self._has_odd = not is_plain and _odd().search(self.text) is not None

    @property
    def whole_text(self) -> str:
        """The text, a character for each that the page shows."""
        return _joined(self.text.replace(_NO_BLANK, ""))

    def _mended(self) -> str:
        """Return the text without blanks that PDFium puts within words of a font whose size it mistakes."""
        characters = list(self.text)
        for gap in _BETWEEN_LETTERS.finditer(self.text):
            start, end = gap.span()
            if pdfium.FPDFText_IsGenerated(self._handle, start) == 1:
                before, after = self._shown(start - 1), self._shown(end)
                height = before[3] - before[1]
                is_level = before[1] < after[3] and after[1] < before[3]
                if is_level and -_WITHIN * height < after[0] - before[2] < _WITHIN * height:
                    characters[start:end] = _NO_BLANK * (end - start)
        return "".join(characters)

    def on_page(self, word: Word) -> tuple[float, float]:
        """Return the middle of a word, in points of the page as it is shown."""
        left, top, right, bottom = word.box
        width, height = self._size
        return (left + right) / 2 * width, (top + bottom) / 2 * height

    def unmapped_share(self) -> float:
        """Return the share of characters whose font does not say what they mean, of a sample."""
        count = len(self.text)
        places = [i for i in range(0, count, max(1, count // 250)) if not self.text[i].isspace()]
        errors = sum(pdfium.FPDFText_HasUnicodeMapError(self._handle, i) == 1 for i in places)
        return errors / len(places) if places else 0.0

    def words(self) -> dict[int, list[Word | Run]]:
        """Return the words by the direction of their lines: quarters of a turn, as the page is shown.

        Those of lines in other directions, such as a stamp across the page, come from `TILTED` on.
        """
        by_turns: dict[int, list[Word | Run]] = {}
        handle, upright, shown = self._bare_handle, self._frame.turns, self._shown
        turns, found = -1, list[Word | Run]()
        text = self.text
        is_simple = not (upright or self._has_alone or self._has_odd)
        for item in self._runs() if is_simple else self._spans():
            if isinstance(item, Run):
                if turns:
                    turns, found = 0, by_turns.setdefault(0, [])
                found.append(item)
                continue
            start, end = item
            first = last = shown(start)
            if end - start > 1:
                last = shown(end - 1)
            # Letters that run to the right on one level are not turned: no need to ask for each word.
            if upright or first[2] > last[0] or first[1] != last[1] or not text[start:end].isascii():
                angle = _angle_of(handle, start)
                quarters = angle / _QUARTER if angle > 0 else 0.0
                if _LEAST_TILT < quarters % 1 < 1 - _LEAST_TILT:
                    self._add_tilted(by_turns, start, end, quarters + upright)
                    continue
                now = (round(quarters) + upright) % 4
            else:
                now = 0
            if now != turns:
                turns, found = now, by_turns.setdefault(now, [])
            if _is_run(first, last, end - start, turns) and not (
                self._has_alone and _alone().search(self.text, start, end)
            ):
                if (word := self._word(start, end, _around(first, last), turns)) is not None:
                    found.append(word)
            else:
                found.extend(self._character_by_character(start, end, turns))
        return {turns: words for turns, words in by_turns.items() if words}

    def _runs(self) -> Iterator[Run | tuple[int, int]]:
        """Yield runs of words whose letters run to the right on one level, as nearly all do.

        Between them are the spans of words at which `words` has to look closer. Of the others
        it would say the same, in many times the time.
        """
        text, from_left, upper = self.text, self._left, self._top
        most_across, most_down = (2 * (side + 1) for side in self._size)
        is_ascii = text.isascii()
        run, least, most = Run(0.0, 0.0, self._size), 0.0, 0.0
        for start, end, (left, top, right, bottom), (begin, last_top, finish, last_bottom) in self._boxed():
            line = top - bottom
            is_level = (
                top == last_top
                and bottom == last_bottom
                and line >= 0.1
                and left <= finish <= left + 1.4 * (end - start) * line
                and (right <= begin if end - start > 1 else _angle_of(self._bare_handle, start) <= 0)
                and (is_ascii or text[start:end].isascii())
            )
            left, right, top, bottom = left - from_left, finish - from_left, upper - top, upper - bottom
            if not (is_level and -2 < left + right < most_across and -2 < top + bottom < most_down):
                if run.texts:
                    yield run
                    run = Run(0.0, 0.0, self._size)
                yield start, end
                continue
            if not (
                run.texts
                and top == run.top
                and bottom == run.bottom
                and least <= left - run.rights[-1] < most
                and left >= run.lefts[-1]
                and right >= run.rights[-1]
            ):
                if run.texts:
                    yield run
                run = Run(top, bottom, self._size)
                least, most = -OVERLAP * (bottom - top), APART * (bottom - top)
            run.texts.append(text[start:end])
            run.lefts.append(left)
            run.rights.append(right)
        if run.texts:
            yield run

    def _boxed(self) -> Iterator[tuple[int, int, Edges, Edges]]:
        """Yield the words, each with the boxes of its first and last character, as PDFium has them."""
        spans = self._spans()
        while some := list(itertools.islice(spans, _AT_ONCE)):
            starts, ends = zip(*some, strict=True)
            boxes = _boxes(self._bare_handle, [*starts, *(end - 1 for end in ends)])
            yield from zip(starts, ends, boxes[: len(some)], boxes[len(some) :], strict=True)

    def _add_tilted(
        self, by_turns: dict[int, list[Word | Run]], start: int, end: int, quarters: float
    ) -> None:
        """Add a word of a line that runs in any direction, as PDFium has it."""
        boxes = [self._shown(i) for i in range(start, end)]
        left, top, right, bottom = functools.reduce(_around, boxes)
        word = self._word(start, end, (left, top, right, bottom), 0)
        if word is None:
            return
        along, across = math.cos(quarters * _QUARTER), math.sin(quarters * _QUARTER)
        middles = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in (boxes[0], boxes[-1])]
        begin, finish = (x * along + y * across for x, y in middles)
        level = middles[0][1] * along - middles[0][0] * across
        step = (finish - begin) / (len(boxes) - 1) if len(boxes) > 1 else max(right - left, bottom - top) / 2
        word.left, word.right = begin - step / 2, finish + step / 2
        word.top, word.bottom = level - step, level + step
        by_turns.setdefault(TILTED + round(quarters * 90) % 360, []).append(word)

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Yield the words as PDFium has them; a word that runs over the end of a line is two."""
        has_hyphens = _HYPHENS.search(self.text) is not None
        looks_for_gaps = self._lacks_blanks and not self._frame.turns
        if not (has_hyphens or looks_for_gaps):
            yield from map(re.Match.span, _WORD.finditer(self.text))
            return
        for match in _WORD.finditer(self.text):
            start, end = match.span()
            hyphen = _HYPHENS.search(self.text, start, end) if has_hyphens else None
            while hyphen is not None and hyphen.end() < end:
                yield start, hyphen.end()
                start = hyphen.end()
                hyphen = _HYPHENS.search(self.text, start, end)
            if looks_for_gaps and end - start > 2:
                yield from self._at_gaps(start, end)
            else:
                yield start, end

    def _at_gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the words of what PDFium takes for one: it misses narrow blanks beside narrow letters."""
        text = self.text
        may_part = [i for i in range(start + 1, end) if _may_part(text[i - 1], text[i])]
        if may_part:
            boxes = [self._shown(i) for i in range(start, end)]
            gaps = [after[0] - before[2] for before, after in itertools.pairwise(boxes)]
            usual = max(sorted(gaps)[(len(gaps) - 1) // 2], 0.0)
            for i in may_part:
                _, top, right, bottom = boxes[i - start - 1]
                left, other_top, _, other_bottom = boxes[i - start]
                is_level = top < other_bottom and other_top < bottom
                if is_level and left - right > max(_GAP * (bottom - top), _WIDER * usual):
                    yield start, i
                    boxes, start = boxes[i - start :], i
        yield start, end

    def _character_by_character(self, start: int, end: int, turns: int) -> Iterator[Word]:
        begin, edges, is_glued = start, self._shown(start), False
        for i in range(start + 1, end + 1):
            shown = self._shown(i) if i < end else None
            is_alone = self._has_alone and _alone().search(self.text, i - 1, i + 1) is not None
            if shown is not None and not is_alone and _is_run(edges, shown, 1 + i - begin, turns):
                edges = _around(edges, shown)
                continue
            if (word := self._word(begin, i, edges, turns)) is not None:
                word.is_glued = is_glued
                yield word
                is_glued = True
            if shown is not None:
                begin, edges = i, shown

    def _shown(self, i: int) -> Edges:
        """Return the box of a character, as the page is shown."""
        if not _box_of(self._bare_handle, i, self._rectangle):
            return (0.0, 0.0, 0.0, 0.0)
        left, top, right, bottom = _RECTANGLE.unpack(self._rectangle)
        if self._frame.turns:
            return self._frame.shown(left, bottom, right, top)
        from_left, upper = self._left, self._top  # most pages are upright: no further call for each letter
        return left - from_left, upper - top, right - from_left, upper - bottom

    def _word(self, start: int, end: int, edges: Edges, turns: int) -> Word | None:
        """Return a word, unless it stands outside of what is shown of the page."""
        left, top, right, bottom = edges
        width, height = self._size
        if not (-2 < left + right < 2 * (width + 1) and -2 < top + bottom < 2 * (height + 1)):
            return None
        text = _written(self.text[start:end]) if self._has_odd else self.text[start:end]
        box = (left / width, top / height, right / width, bottom / height)
        if turns == 1:  # from top to bottom
            left, top, right, bottom = top, width - right, bottom, width - left
        elif turns == 2:
            left, top, right, bottom = width - right, height - bottom, width - left, height - top
        elif turns == 3:  # from bottom to top
            left, top, right, bottom = height - bottom, left, height - top, right
        return Word(text, left, top, right, bottom, box)


def _are_guessed(handle: Any, text: str) -> bool:
    """Whether a page has few blanks of its own: PDFium puts them where letters stand apart."""
    letters = list(itertools.accumulate(map(len, text.split(" "))))  # before each blank, and before the end
    blanks = len(letters) - 1
    sample = range(0, blanks, max(1, blanks // _SAMPLED))
    guessed = sum(pdfium.FPDFText_IsGenerated(handle, letters[i] + i) == 1 for i in sample)
    return bool(guessed > 0.2 * len(sample))


def _is_torn(text: str) -> bool:
    """Whether most words are letters that stand alone."""
    if text.count(" ") + text.count("\n") < 0.3 * len(text):  # as on nearly every page
        return False
    return len(re.findall(r"(?<!\S)\w(?!\S)", text)) > _TORN * len(_WORD.findall(text))


def _may_part(before: str, after: str) -> bool:
    """Whether a blank may stand between two characters; within a number, none is looked for."""
    if after.isalpha() or after in _AFTER_A_GAP:
        return before.isalnum() or before in _BEFORE_A_GAP
    return after.isdigit() and before.isalpha()


def _written(text: str) -> str:
    """Return a word as it would be written elsewhere: no ligatures, signs of fonts, or control characters."""
    if text.isascii() and text.isprintable():
        return text
    text = (
        _HYPHENS.sub("-", _joined(text.replace(_NO_BLANK, "")))
        .translate(_BULLETS)
        .translate(_LIGATURES)
        .translate(_OLD_TEX)
    )
    return _CONTROLS.sub("\ufffd", text)


def _joined(text: str) -> str:
    """Join the two halves of characters beyond 16 bits."""
    if _HALVES.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _around(first: Edges, last: Edges) -> Edges:
    """Return the edges of a rectangle around two."""
    left, top, right, bottom = first
    other_left, other_top, other_right, other_bottom = last
    return (
        left if left < other_left else other_left,
        top if top < other_top else other_top,
        right if right > other_right else other_right,
        bottom if bottom > other_bottom else other_bottom,
    )


def _is_run(first: Edges, last: Edges, length: int, turns: int) -> bool:
    """Whether two characters can be the first and the last of a word on one line."""
    if turns % 2:
        begin, left, end, right = first[1], first[0], first[3], first[2]
        other_begin, other_left, other_end, other_right = last[1], last[0], last[3], last[2]
    else:
        begin, left, end, right = first
        other_begin, other_left, other_end, other_right = last
    height = right - left if right - left < other_right - other_left else other_right - other_left
    if height < 0.1:
        height = 0.1
    shared = (right if right < other_right else other_right) - (left if left > other_left else other_left)
    if shared < 0.4 * height:
        return False
    extent = (end if end > other_end else other_end) - (begin if begin < other_begin else other_begin)
    return extent <= 1.4 * length * height


def _characters(handle: Any) -> str:
    """Return the characters of a page, as many as PDFium counts."""
    count = max(pdfium.FPDFText_CountChars(handle), 0)
    buffer = (ctypes.c_ushort * (count + 1))()
    written = pdfium.FPDFText_GetText(handle, 0, count, buffer)
    text = bytes(buffer)[: 2 * max(written - 1, 0)].decode("utf-16-le", "surrogatepass")
    if len(text) == count:
        return text
    # It leaves out those that it has no Unicode for, and writes others in two halves.
    codes = (pdfium.FPDFText_GetUnicode(handle, i) for i in range(count))
    return "".join(chr(code) if code < 0x110000 else "\ufffd" for code in codes)
