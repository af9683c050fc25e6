"""How much of PDF files is read, and in which order: the line of `make documents`."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

from pypdf import PdfWriter
from reportlab.pdfgen.canvas import Canvas

from agent_tasks.documents.reading import read_document
from tests.documents.conftest import FORMATS, Tell
from tests.support.pdf_files import Draw, changed, drawn

_WORDS = ("invoice", "delivery", "supplier", "amount", "payable", "within", "thirty", "days", "net")
_TOKEN = re.compile(r"\S+")

Placed = list[tuple[float, float, str]]


def _tokens(chance: random.Random, count: int) -> list[str]:
    """Words that are each there once, and numbers between them."""
    return [
        f"{chance.randrange(1, 10_000):,}.{chance.randrange(100):02}"
        if chance.random() < 0.3
        else f"{chance.choice(_WORDS)}{chance.randrange(10_000)}"
        for _ in range(count)
    ]


def _paragraph(chance: random.Random) -> Placed:
    return [(50, 780 - 14 * line, " ".join(_tokens(chance, 8))) for line in range(40)]


def _scattered_rows(chance: random.Random) -> Placed:
    rows = [[(50 + 110 * x, 780 - 18 * y, _tokens(chance, 1)[0]) for x in range(5)] for y in range(30)]
    return [piece for row in rows for piece in row]


def _two_columns(chance: random.Random) -> Placed:
    return [
        (50 + 270 * column, 780 - 13 * line, " ".join(_tokens(chance, 4)))
        for column in range(2)
        for line in range(30)
    ]


def _draw(placed: Placed, chance: random.Random, *, shuffled: bool) -> Draw:
    order = chance.sample(placed, len(placed)) if shuffled else placed

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for x, y, text in order:
            canvas.drawString(x, y, text)

    return draw


def _files() -> Iterator[tuple[bytes, list[str]]]:
    """Yield PDF files, and what is to be read in each, in order."""
    for seed in range(60):
        chance = random.Random(seed)
        placed = (_paragraph, _scattered_rows, _two_columns)[seed % 3](chance)
        content = drawn(_draw(placed, chance, shuffled=seed % 2 == 1))
        if seed % 5 == 4:
            turn = 90 * (seed % 4)

            def rotate(writer: PdfWriter, turn: int = turn) -> None:
                writer.pages[0].rotate(turn)

            # Its lines run upwards or downwards then, and are read as they run.
            content = changed(content, rotate)
        yield content, [token for _, _, text in placed for token in text.split()]


def test_all_words_and_numbers_are_read_in_order(tell: Tell) -> None:
    files = words = numbers = words_read = numbers_read = order_errors = 0
    for content, wanted in _files():
        read = _TOKEN.findall(read_document(content, "a.pdf").text)
        files += 1
        found = Counter(read) & Counter(wanted)
        for token, count in Counter(wanted).items():
            is_number = token[0].isdigit()
            words, words_read = words + count, words_read + found[token]
            if is_number:
                numbers, numbers_read = numbers + count, numbers_read + found[token]
        known = [token for token in read if token in found]
        order_errors += sum(seen != right for seen, right in zip(known, wanted, strict=False))
    recall, number_recall = words_read / words, numbers_read / numbers
    tell(
        f"pdf: {files} files, word recall {recall:.3f}, number recall {number_recall:.3f},"
        f" order errors {order_errors}",
        order=FORMATS,
    )
    assert (recall, number_recall, order_errors) == (1.0, 1.0, 0)
