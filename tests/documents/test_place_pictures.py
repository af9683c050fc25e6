"""Pictures of places: what they show, and what becomes of places that cannot be drawn."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image
from pypdf import PdfWriter

from agent_tasks.documents.content import Box, Place
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.place_pictures import has_pictures, pictures
from agent_tasks.documents.reading import read_document
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.documents.transfer import TransferError, pictures_of
from agent_tasks.errors import UnreadableDocumentError
from tests.support.pdf_files import changed, pdf

PAGE = pdf(["Invoice 17", "Total 1,250.00 EUR"])


def shown(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


def places_of(content: bytes, name: str, quote: str) -> list[Place]:
    read = read_document(content, name)
    start = read.text.index(quote)
    return read.places(start, start + len(quote))


def dark_inside(picture: Image.Image) -> tuple[int, int]:
    """How many dark pixels there are within the frame, and outside of it."""
    pixels = picture.load()
    assert pixels is not None
    red = [
        (x, y)
        for x in range(picture.width)
        for y in range(picture.height)
        if pixels[x, y][0] > 180 and pixels[x, y][1] < 80  # type: ignore[index]
    ]
    left, right = min(x for x, _ in red), max(x for x, _ in red)
    top, bottom = min(y for _, y in red), max(y for _, y in red)
    dark = [
        left < x < right and top < y < bottom
        for x in range(picture.width)
        for y in range(picture.height)
        if sum(pixels[x, y]) < 200  # type: ignore[arg-type]
    ]
    return sum(dark), len(dark) - sum(dark)


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_what_stands_there_is_framed_however_the_page_is_turned(turn: int) -> None:
    def turned(writer: PdfWriter) -> None:
        writer.pages[0].rotate(turn)

    content = changed(PAGE, turned)
    (place,) = places_of(content, "a.pdf", "1,250.00")
    (picture,) = pictures(content, "a.pdf", [place], DEFAULT_LIMITS)
    inside, outside = dark_inside(shown(picture))
    assert inside > 30
    assert outside > 30  # the words around
    (nowhere,) = pictures(
        content,
        "a.pdf",
        [Place(page=1, boxes=(Box(left=0.8, top=0.8, right=0.9, bottom=0.82),))],
        DEFAULT_LIMITS,
    )
    assert dark_inside(shown(nowhere))[0] == 0


def test_a_cropped_page_is_shown_as_it_is_seen() -> None:
    def cropped(writer: PdfWriter) -> None:
        page = writer.pages[0]
        page.cropbox.lower_left = (20, 300)

    content = changed(PAGE, cropped)
    (place,) = places_of(content, "a.pdf", "1,250.00")
    (picture,) = pictures(content, "a.pdf", [place], DEFAULT_LIMITS)
    assert dark_inside(shown(picture))[0] > 30


def test_of_a_picture_the_page_that_is_meant_is_shown() -> None:
    pages = [Image.new("RGB", (400, 600), colour) for colour in ("white", (0, 160, 0))]
    encoded = io.BytesIO()
    pages[0].save(encoded, "TIFF", save_all=True, append_images=pages[1:])
    box = Box(left=0.4, top=0.4, right=0.6, bottom=0.42)
    made = pictures(
        encoded.getvalue(),
        "a.tif",
        [Place(page=number, boxes=(box,)) for number in (1, 2, 9)],
        DEFAULT_LIMITS,
    )
    assert [shown(picture).getpixel((1, 1)) for picture in made[:2]] == [(255, 255, 255), (0, 160, 0)]
    assert made[2] == b""


def test_a_place_that_is_not_there_is_nothing() -> None:
    box = Box(left=0.1, top=0.1, right=0.2, bottom=0.12)
    odd = [
        Place(page=7, boxes=(box,)),
        Place(page=1),
        Place(boxes=(box,)),
        Place(page=0, boxes=(box,)),
        Place(page=1, boxes=(Box(left=2, top=2, right=1, bottom=1),)),
        Place(page=1, boxes=(box,)),
    ]
    made = pictures(PAGE, "a.pdf", odd, DEFAULT_LIMITS)
    assert [bool(picture) for picture in made] == [False, False, False, False, False, True]


@pytest.mark.parametrize(("content", "name"), [(b"%PDF-1.4 odd", "a.pdf"), (b"odd", "a.png")])
def test_a_document_that_cannot_be_opened_is_a_typed_failure(content: bytes, name: str) -> None:
    box = Box(left=0.1, top=0.1, right=0.2, bottom=0.12)
    with pytest.raises(UnreadableDocumentError, match=name):
        pictures(content, name, [Place(page=1, boxes=(box,))], DEFAULT_LIMITS)


def test_a_huge_page_gives_a_small_picture() -> None:
    def enlarged(writer: PdfWriter) -> None:
        writer.pages[0].mediabox.upper_right = (14_000, 14_000)

    whole = Place(page=1, boxes=(Box(left=0, top=0, right=1, bottom=1),))
    (picture,) = pictures(changed(PAGE, enlarged), "a.pdf", [whole], DEFAULT_LIMITS)
    assert max(shown(picture).size) <= 1_600
    pictures_of([picture], 1)


def test_only_kinds_with_pages_have_pictures() -> None:
    assert has_pictures("a/B.PDF")
    assert has_pictures("scan.tiff")
    assert not has_pictures("a.docx")


@pytest.fixture
def pool() -> Iterator[ReadingPool]:
    pool = ReadingPool(1)
    yield pool
    pool.close()


async def test_they_are_made_where_documents_are_read(pool: ReadingPool) -> None:
    (place,) = places_of(PAGE, "a.pdf", "1,250.00")
    assert await pool.pictures_async(PAGE, "a.pdf", [place]) == pictures(
        PAGE, "a.pdf", [place], DEFAULT_LIMITS
    )
    with pytest.raises(UnreadableDocumentError):
        await pool.pictures_async(b"%PDF-1.4 odd", "b.pdf", [place])
    assert (await pool.read_async(PAGE, "a.pdf")).text.startswith("Invoice 17")


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b"<svg onload='x'/>"],
        [b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\1\0\0" * 2],
        [b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\0\1" * 2 + b"x" * 1_000_000],
    ],
)
def test_a_process_that_answers_something_else_is_not_believed(parts: list[bytes]) -> None:
    with pytest.raises(TransferError):
        pictures_of(parts, 1)
