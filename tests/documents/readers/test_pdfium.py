"""PDFium: what few documents need is loaded for these alone, and then all that they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pypdfium2
import pypdfium2.raw
import pytest
from pypdf import PdfWriter
from pypdf.annotations import Text

from agent_tasks.documents.readers import pdfium
from tests.support.pdf_files import changed, encrypted, pdf

_PROGRAM = """
import sys
from agent_tasks.documents.reading import read_document
print(read_document(open(sys.argv[1], "rb").read(), "a.pdf").text, "pypdfium2" in sys.modules)
"""


def _noted(writer: PdfWriter) -> None:
    writer.add_annotation(1, Text(rect=(50, 700, 70, 720), text="a note"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (pdf(["so many words that nobody takes this page for a picture"] * 2), "a picture False"),
        (changed(pdf(["one"], ["two"]), _noted), "a note True"),
    ],
)
def test_pypdfium2_is_loaded_for_those_that_need_it(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(content)
    done = subprocess.run([sys.executable, "-c", _PROGRAM, file], check=True, capture_output=True, text=True)
    assert done.stdout.strip().endswith(said)


def test_pages_are_of_pypdfium2_from_the_first_that_has_annotations() -> None:
    document = pdfium.Document(changed(pdf(["one"], ["two"], ["three"]), _noted))
    pages = [document.page(number) for number in range(3)]
    assert [type(page) for page in pages] == [pdfium.Page, pypdfium2.PdfPage, pypdfium2.PdfPage]
    for page in pages:
        page.close()
    document.close()


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_page_says_what_that_of_pypdfium2_says(turn: int) -> None:
    def turned(writer: PdfWriter) -> None:
        writer.pages[0].rotate(turn)
        writer.pages[0].cropbox.lower_left = (10, 20)

    document = pdfium.Document(changed(pdf(["one"]), turned))
    page, other = document.page(0), document.full[0]
    assert page.get_bbox() == other.get_bbox()
    assert page.get_rotation() == other.get_rotation() == turn
    page.close()
    page.close()  # nothing more
    document.close()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"%PDF-1.7 nothing", pypdfium2.raw.FPDF_ERR_FORMAT),
        (encrypted(pdf(["one"]), "secret"), pdfium.ERR_PASSWORD),
    ],
)
def test_what_cannot_be_opened_has_its_reason(content: bytes, code: int) -> None:
    with pytest.raises(pdfium.PdfiumError) as raised:
        pdfium.Document(content)
    assert raised.value.err_code == code


def test_the_numbers_are_those_of_pypdfium2() -> None:
    raw = pypdfium2.raw
    assert (pdfium.ERR_PASSWORD, pdfium.ERR_SECURITY) == (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
    assert (pdfium.FORMTYPE_NONE, pdfium.FORMTYPE_XFA_FULL) == (raw.FORMTYPE_NONE, raw.FORMTYPE_XFA_FULL)
    assert pdfium.PAGEOBJ_IMAGE == raw.FPDF_PAGEOBJ_IMAGE
