"""Pages of PDFs: words that are looked at in runs are those that a look at each one gives."""

from __future__ import annotations

import random

import pytest
from reportlab.pdfgen.canvas import Canvas

from agent_tasks.documents.readers.pdf_page import PageText
from agent_tasks.documents.reading import read_document
from tests.support.pdf_files import drawn

_WORDS = ["a", "I", "7", "of", "Größe", "1,250.00", "EUR", "é", "naïve", "W", "iiii", "end."]


def _scattered(seed: int) -> bytes:
    """Two pages of lines that stand anywhere, some raised, spread, turned, over each other or outside."""
    chance = random.Random(seed)

    def draw(canvas: Canvas) -> None:
        for _ in range(60):
            canvas.saveState()
            canvas.translate(chance.uniform(-40, 600), chance.uniform(-40, 850))
            canvas.rotate(chance.choice([0, 0, 0, 0, 0, 1, 30, 90, 180]))
            canvas.setFont(chance.choice(["Helvetica", "Times-Italic"]), chance.choice([0.05, 6, 10, 24]))
            text = canvas.beginText()
            text.setCharSpace(chance.choice([0, 0, 0, -3, 4]))
            for word in chance.choices(_WORDS, k=chance.randint(1, 8)):
                text.setRise(chance.choice([0, 0, 0, 0, 3]))
                text.textOut(word + chance.choice([" ", " ", "", "   "]))
            canvas.drawText(text)
            canvas.restoreState()

    return drawn(draw, draw)


@pytest.mark.parametrize("seed", range(8))
def test_runs_are_the_words_that_a_closer_look_gives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    content = _scattered(seed)
    in_runs = read_document(content, "a.pdf")
    monkeypatch.setattr(PageText, "_runs", PageText._spans)
    assert read_document(content, "a.pdf") == in_runs
    assert in_runs.words is not None
    assert len(in_runs.words.starts) > 100
