"""Text recognition: by the extra, by the program tesseract, or not at all."""

from __future__ import annotations

import importlib.util
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from agent_tasks.documents import recognition
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentTooLongError, EmptyDocumentError, UnreadableDocumentError
from tests.support.pdf_files import drawn, filled_with, picture, scan

LINES = ["Invoice INV-2024-117", "Total due: EUR 1,234.50"]
TABLE = [
    "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext",
    "1\t1\t0\t0\t0\t0\t0\t0\t1240\t1754\t-1\t",
    "5\t1\t1\t1\t1\t1\t110\t150\t200\t40\t96.5\tTotal",
    "5\t1\t1\t1\t1\t2\t330\t150\t200\t40\t91.5\t1,234.50",
    "5\t1\t1\t1\t2\t1\t110\t220\t20\t40\t12.0\t~",
]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    recognition.recogniser.cache_clear()
    yield
    recognition.recogniser.cache_clear()


@pytest.fixture
def no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.setenv("PATH", "")


@pytest.fixture
def tesseract(no_extra: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that answers as Tesseract does."""
    program = tmp_path / "tesseract"
    table = "\n".join(TABLE)
    program.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "if '--list-langs' in sys.argv: print('List of languages:\\ndeu\\neng\\nosd')\n"
        "else:\n"
        "    assert sys.argv[sys.argv.index('-l') + 1] == 'deu+eng', sys.argv\n"
        "    assert sys.stdin.buffer.read(8) == b'\\x89PNG\\r\\n\\x1a\\n'\n"
        f"    print({table!r})\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("no_extra")
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tiff", "a.bmp", "a.webp", "a.gif"])
def test_without_either_a_picture_is_refused_with_the_remedy(name: str) -> None:
    kind = {"jpg": "JPEG", "tiff": "TIFF"}.get(name[2:], name[2:].upper())
    with pytest.raises(EmptyDocumentError, match=r"prefect-azure-agents\[recognition\].*tesseract"):
        read_document(picture(scan(LINES), kind), name)


@pytest.mark.usefixtures("tesseract")
class TestTesseract:
    def test_words_have_boxes_and_say_how_sure_they_are(self) -> None:
        found = read_document(picture(scan(LINES)), "a.png")
        assert found.text.split() == ["Total", "1,234.50"]
        start = found.text.index("1,234.50")
        [place] = found.places(start, start + 8)
        assert place.page == 1
        assert place.recognised == pytest.approx(0.93, abs=0.01)
        assert place.boxes[0].left == pytest.approx(330 / 1240, abs=0.001)
        [note] = found.notes
        assert note == "The text of page 1 was recognised in a picture; at the least, it is 93% sure."

    def test_a_scan_is_recognised_once_also_by_the_next_process(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        content = drawn(filled_with(scan(LINES)))
        first = read_document(content, "a.pdf")

        def refuse(*_: object) -> None:
            raise AssertionError("recognised again")

        recognition.recogniser.cache_clear()  # as in another process
        monkeypatch.setattr(recognition._Tesseract, "words", refuse)
        again = read_document(content, "a.pdf")
        assert (again.text, again.notes) == (first.text, first.notes)
        assert again.places(0, 5) == first.places(0, 5)

    def test_a_tiff_has_pages(self) -> None:
        pages = picture(scan(LINES), "TIFF", save_all=True, append_images=[scan(LINES)])
        found = read_document(pages, "a.tif")
        assert [section.place.page for section in found.sections] == [1, 2]

    def test_pages_of_a_pdf_that_are_pictures(self) -> None:
        found = read_document(drawn(filled_with(scan(LINES))), "a.pdf")
        assert found.text.split() == ["Total", "1,234.50"]
        assert found.unread == ()
        assert "page 1 was recognised" in found.notes[0]

    def test_a_picture_that_is_none(self) -> None:
        with pytest.raises(UnreadableDocumentError, match="not a picture"):
            read_document(b"no picture", "a.png")

    def test_a_picture_of_too_many_pixels(self) -> None:
        with pytest.raises(DocumentTooLongError, match="pixels"):
            read_document(picture(Image.new("1", (30_000, 30_000))), "a.png")


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra is not installed")
def test_the_extra_finds_nothing_on_an_empty_page() -> None:
    with pytest.raises(EmptyDocumentError, match="no text was recognised"):
        read_document(picture(Image.new("RGB", (200, 200), "white")), "a.png")


@pytest.mark.skipif(importlib.util.find_spec("rapidocr") is None, reason="the extra is not installed")
def test_the_extra_recognises_a_scan() -> None:
    found = read_document(picture(scan(LINES)), "a.png")
    assert "INV-2024-117" in found.text
    assert "EUR 1,234.50" in found.text
    start = found.text.index("1,234.50")
    [place] = found.places(start, start + 8)
    assert place.recognised is not None
    assert place.recognised > 0.8
    assert place.boxes[0].top == pytest.approx(230 / 1754, abs=0.02)
