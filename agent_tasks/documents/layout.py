"""The order in which a page is read: from words with boxes, drawn in any order, to lines of text.

A word that directly follows the one before it, as drawn, stays with it in a *piece*. Pieces that stand side
by side make a *row*, and are kept apart by two blanks. Where text runs in columns (several rows share a
gutter, and both sides are prose) the left one is read before the right one; cells of a table are read row by
row.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent_tasks.documents.assembly import ContentBuilder
from agent_tasks.documents.content import Edges, Place, in_units

MAX_ROWS_IN_COLUMNS = 1_500
"""Rows of a page in which columns are looked for: no page that a person reads has more."""

_GLUED, APART = 0.08, 1.0  # gaps, in heights of a line: no blank below, two blanks above
OVERLAP = 0.5  # of words that follow each other, in the same
_RIGHT_TO_LEFT = ("R", "AL")


@dataclass(slots=True)
class Word:
    """A word, or a character of a script without blanks, in points from the top left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    box: Edges
    """Where it is shown, in shares of the page; the edges above are turned: lines run to the right."""
    is_glued: bool = False
    """No blank stands between it and the word before."""
    is_set_apart: bool = False
    """It does not follow the word before, whatever their boxes say."""
    part: str | None = None

    @property
    def texts(self) -> Sequence[str]:
        """Its text, as a run has several."""
        return (self.text,)

    @property
    def units(self) -> list[int]:
        """Its box in the units of content."""
        return in_units(self.box)

    @property
    def ends(self) -> tuple[Word, Word]:
        """The word itself, as a run has a first and a last one."""
        return self, self

    @property
    def words(self) -> Sequence[Word]:
        """The word alone."""
        return (self,)


class Run:
    """Words of an upright page that follow each other to the right, all on one level: most of what is read.

    Their columns take a fraction of the time that as many words take.

    Args:
        top: Where all of them begin, in points from the top of the page.
        bottom: Where all of them end.
        size: Width and height of the page.
    """

    __slots__ = ("bottom", "lefts", "rights", "size", "texts", "top")
    is_glued = False
    part = None

    def __init__(self, top: float, bottom: float, size: tuple[float, float]) -> None:
        self.top = top
        self.bottom = bottom
        self.size = size
        self.texts: list[str] = []
        self.lefts: list[float] = []
        self.rights: list[float] = []

    @property
    def left(self) -> float:
        """Where its first word begins."""
        return self.lefts[0]

    @property
    def right(self) -> float:
        """Where its last word ends."""
        return self.rights[-1]

    @property
    def units(self) -> list[int]:
        """The boxes of its words, one after the other, in the units of content."""
        width, height = self.size
        units = in_units((0.0, self.top / height, 0.0, self.bottom / height)) * len(self.texts)
        units[::4] = in_units([left / width for left in self.lefts])
        units[2::4] = in_units([right / width for right in self.rights])
        return units

    @property
    def ends(self) -> tuple[Word, Word]:
        """Its first and its last word."""
        return self._word(0), self._word(-1)

    @property
    def words(self) -> Sequence[Word]:
        """All of its words."""
        return [self._word(i) for i in range(len(self.texts))]

    def _word(self, i: int) -> Word:
        left, right, (width, height) = self.lefts[i], self.rights[i], self.size
        box = (left / width, self.top / height, right / width, self.bottom / height)
        return Word(self.texts[i], left, self.top, right, self.bottom, box)


class _Piece:
    """Words that follow each other, by what is kept of them: the first ones are yet to be taken."""

    __slots__ = ("bottom", "glued", "left", "part", "right", "texts", "top", "units")

    def __init__(self, first: Word | Run) -> None:
        self.left, self.top, self.right, self.bottom = first.left, first.top, first.right, first.bottom
        self.part = first.part  # of all its words
        self.texts: list[str] = []
        self.units: list[int] = []  # of the boxes of its words
        self.glued: set[int] = set()  # the words without a blank before them

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 0.1)

    def take(self, words: Word | Run) -> None:
        if words.is_glued and self.texts:
            self.glued.add(len(self.texts))
        self.texts += words.texts
        self.units += words.units
        left, top, right, bottom = words.left, words.top, words.right, words.bottom
        if left < self.left:
            self.left = left
        if right > self.right:
            self.right = right
        if bottom - top > self.bottom - self.top:  # not of a word that is raised
            self.top, self.bottom = top, bottom


class _Row:
    __slots__ = ("bottom", "pieces", "top")

    def __init__(self, pieces: list[_Piece], top: float, bottom: float) -> None:
        self.pieces = pieces
        self.top = top
        self.bottom = bottom

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 0.1)


def add_page(builder: ContentBuilder, words: Sequence[Word | Run], place: Place) -> None:
    """Append the text of a page in the order in which it is read.

    Args:
        builder: What the text is appended to.
        words: The words and runs of words, in the order in which the file has them.
        place: Where they stand; words with a part of their own stand in that.
    """
    places: dict[str | None, Place] = {None: place}
    previous: _Row | None = None
    for row in _ordered(_rows(_pieces(words))):
        if previous is not None:
            is_next = row.top - previous.bottom <= 0.8 * min(row.height, previous.height)
            builder.add("\n" if is_next and row.top >= previous.top else "\n\n")
        _add_row(builder, row, places, place)
        previous = row


def _add_row(builder: ContentBuilder, row: _Row, places: dict[str | None, Place], place: Place) -> None:
    before: _Piece | None = None
    for piece in _in_direction(row.pieces):
        if before is not None:
            gap = max(piece.left - before.right, before.left - piece.right) / min(piece.height, before.height)
            builder.add("" if gap < _GLUED else " " if gap < APART else "  ")
        where = places.get(piece.part)
        if where is None:
            where = places[piece.part] = place.model_copy(update={"part": piece.part})
        builder.add_words(piece.texts, piece.units, piece.glued, where)
        before = piece


def _in_direction(pieces: list[_Piece]) -> list[_Piece]:
    """Sort the pieces of a row as its script runs."""
    pieces = sorted(pieces, key=lambda piece: piece.left)
    if len(pieces) > 1:
        text = "".join(text for piece in pieces for text in piece.texts)
        if not text.isascii():
            kinds = [unicodedata.bidirectional(char) for char in text]
            if sum(kind in _RIGHT_TO_LEFT for kind in kinds) > kinds.count("L"):
                pieces.reverse()
    return pieces


# --- pieces and rows ---------------------------------------------------------------------------------------


def _pieces(words: Sequence[Word | Run]) -> list[_Piece]:
    pieces: list[_Piece] = []
    before: Word | None = None
    for some in words:
        first, last = some.ends
        if before is None or not _follows(first, before):
            pieces.append(_Piece(some))
        pieces[-1].take(some)
        before = last
    return pieces


def _follows(word: Word, last: Word) -> bool:
    """Whether a word stands right behind (or, from right to left, before) the one drawn before it."""
    if word.is_set_apart or word.part != last.part:
        return False
    if word.part is not None:  # all words of a value share a box
        return True
    top, bottom, last_top, last_bottom = word.top, word.bottom, last.top, last.bottom
    height = bottom - top if bottom - top < last_bottom - last_top else last_bottom - last_top
    if height < 0.1:
        height = 0.1
    if (bottom if bottom < last_bottom else last_bottom) - (
        top if top > last_top else last_top
    ) < 0.5 * height:
        return False
    return (
        -OVERLAP * height <= word.left - last.right < APART * height
        or -OVERLAP * height <= last.left - word.right < 0.6 * height
    )


def _rows(pieces: list[_Piece]) -> list[_Row]:
    """Put pieces side by side, by the middle of each; rows from top to bottom."""
    rows: list[_Row] = []
    for piece in sorted(pieces, key=lambda piece: (piece.top + piece.bottom, piece.left)):
        row = rows[-1] if rows else None
        if row is not None and _is_beside(piece, row):
            row.pieces.append(piece)
        else:
            rows.append(_Row([piece], piece.top, piece.bottom))
    return rows


def _is_beside(piece: _Piece, row: _Row) -> bool:
    middle, middle_of_row = (piece.top + piece.bottom) / 2, (row.top + row.bottom) / 2
    if abs(middle - middle_of_row) > 0.4 * min(piece.height, row.height):
        return False
    # what would be printed over another one is of a line of its own
    overlap = (min(piece.right, other.right) - max(piece.left, other.left) for other in row.pieces)
    return max(overlap, default=0.0) <= max(0.5 * piece.height, 0.3 * (piece.right - piece.left))


# --- columns -----------------------------------------------------------------------------------------------


def _ordered(rows: list[_Row]) -> Iterator[_Row]:
    """Yield rows in the order in which they are read."""
    if len(rows) > MAX_ROWS_IN_COLUMNS:
        yield from rows
        return
    i = 0
    while i < len(rows):
        end, gutter = _columns_from(rows, i)
        if gutter is None:
            yield rows[i]
            i += 1
            continue
        left, right = _split(rows[i:end], gutter)
        yield from _ordered(left)
        yield from _ordered(right)
        i = end


def _columns_from(rows: list[_Row], i: int) -> tuple[int, float | None]:
    """Return where columns that begin with a row end, and the middle of their gutter; None: no columns."""
    best_end, best = i, None
    for begin, stop in _gaps(rows[i : i + 2]):
        end, middle = _extent(rows, i, begin, stop)
        if end > best_end and _are_prose(rows[i:end], middle):
            best_end, best = end, middle
    return best_end, best


def _gaps(rows: list[_Row]) -> Iterator[tuple[float, float]]:
    """Yield the gaps between the pieces of a row, and of the next one if it begins beside it."""
    row = rows[0]
    beside = [piece for piece in rows[-1].pieces if rows[-1].top < row.bottom - 0.2 * row.height]
    pieces = sorted({id(piece): piece for piece in (*row.pieces, *beside)}.values(), key=lambda p: p.left)
    right = pieces[0].right
    for piece in pieces[1:]:
        if piece.left - right >= 0.7 * row.height:
            yield right, piece.left
        right = max(right, piece.right)


def _extent(rows: list[_Row], i: int, begin: float, stop: float) -> tuple[int, float]:
    """Follow a gap downwards, as long as no piece stands in it; returns the end and its middle."""
    end, met = i, [0, 0]
    narrowest = 0.5 * rows[i].height
    bottoms = [rows[i].bottom, rows[i].bottom]  # how far down text reaches on the left and on the right
    for j in range(i, len(rows)):
        new_begin, new_stop = begin, stop
        sides = [False, False]
        for piece in rows[j].pieces:
            is_right = (piece.left + piece.right) / 2 > (begin + stop) / 2
            sides[is_right] = True
            if is_right:
                new_stop = min(new_stop, piece.left)
            else:
                new_begin = max(new_begin, piece.right)
        if new_stop - new_begin < narrowest:
            break
        if not all(sides) and rows[j].top - bottoms[sides[1]] > 1.5 * rows[j].height:
            break  # something else begins, below the column
        begin, stop = new_begin, new_stop
        for side in (0, 1):
            if sides[side]:
                bottoms[side] = max(bottoms[side], rows[j].bottom)
                met[side] += 1
        end = j + 1
    return (end if min(met) > 1 else i), (begin + stop) / 2


def _split(rows: list[_Row], middle: float) -> tuple[list[_Row], list[_Row]]:
    sides: tuple[list[_Row], list[_Row]] = ([], [])
    for row in rows:
        for is_right in (False, True):
            pieces = [piece for piece in row.pieces if ((piece.left + piece.right) / 2 > middle) is is_right]
            if pieces:
                top, bottom = min(p.top for p in pieces), max(p.bottom for p in pieces)
                sides[is_right].append(_Row(pieces, top, bottom))
    return sides


def _are_prose(rows: list[_Row], middle: float) -> bool:
    """Whether the sides of a gutter are read one after the other, and not across.

    So it is with running text, whose lines fill their column, and with lines that do not stand beside each
    other: the rows of a table do, or some of its cells have further lines, and these are all on one side.
    """
    sides = _split(rows, middle)
    alone = [len(rows) - len(side) for side in reversed(sides)]  # rows with nothing on the other side
    if len(rows) >= 12 and min(alone) >= 0.2 * len(rows):
        return True
    return all(_is_prose(side) for side in sides)


def _is_prose(rows: list[_Row]) -> bool:
    if len(rows) < 3:
        return False
    pieces = [piece for row in rows for piece in row.pieces]
    width = max(piece.right for piece in pieces) - min(piece.left for piece in pieces) or 1.0
    lengths = [sum(map(len, piece.texts)) for piece in pieces]
    filled = [sum(piece.right - piece.left for piece in row.pieces) / width for row in rows]
    return _median(lengths) >= 18 and _median(filled) >= 0.75


def _median(values: Sequence[float]) -> float:
    """Return the middle of some values: the module `statistics` takes longer to load than a page to read."""
    values, middle = sorted(values), len(values) // 2
    return (values[middle] + values[~middle]) / 2
