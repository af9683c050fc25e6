"""PDF files for tests, made by reportlab and pypdf."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont
from pypdf import PdfReader, PdfWriter
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

Draw = Callable[[Canvas], None]


def drawn(*pages: Draw, size: tuple[float, float] = A4) -> bytes:
    """A PDF whose pages are drawn by functions."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=size)
    for draw in pages:
        canvas.setFont("Helvetica", 10)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def pdf(*pages: list[str]) -> bytes:
    """A PDF, each page a list of lines."""

    def lines(texts: list[str]) -> Draw:
        def draw(canvas: Canvas) -> None:
            for number, text in enumerate(texts):
                canvas.drawString(50, 780 - 14 * number, text)

        return draw

    return drawn(*map(lines, pages))


def changed(content: bytes, change: Callable[[PdfWriter], None]) -> bytes:
    """A PDF after a change by pypdf."""
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(content)))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def encrypted(content: bytes, password: str) -> bytes:
    """A PDF that is encrypted for a reader with a password."""

    def encrypt(writer: PdfWriter) -> None:
        writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")

    return changed(content, encrypt)


def scan(lines: list[str], size: tuple[int, int] = (1240, 1754)) -> Image.Image:
    """The picture of a page with lines of text, as a scanner gives it at 150 dpi."""
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for number, line in enumerate(lines):
        pen.text((110, 150 + 70 * number), line, fill="black", font=ImageFont.load_default(30))
    return page


def picture(page: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A picture as a file."""
    out = io.BytesIO()
    page.save(out, kind, **options)
    return out.getvalue()


def filled_with(page: Image.Image) -> Draw:
    """Draw a page that is nothing but a picture."""
    return lambda canvas: canvas.drawImage(ImageReader(page), 0, 0, *A4)
