"""Pictures: scans and photographs of pages, whose text is recognised."""

from __future__ import annotations

import io

from PIL import Image, ImageOps, UnidentifiedImageError

from agent_tasks.documents.assembly import ContentBuilder
from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.layout import add_page
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.progress import alive
from agent_tasks.documents.recogniser import Recogniser
from agent_tasks.documents.recognition import REMEDY, recogniser, recognition_note
from agent_tasks.errors import EmptyDocumentError, UnreadableDocumentError

MAX_PIXELS = 200_000_000
"""Of one page; a sheet A0 at 200 dpi has 62 million."""
_WORKING_PIXELS = 5_000_000  # a sheet A4 at 230 dpi
_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
_ANIMATED = ("GIF", "WEBP", "PNG", "MPO")  # their frames are no pages


def read_picture(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Recognise the text of a picture; of a TIFF, of all its pages."""
    picture = opened_picture(content, filename)
    pages = 1 if picture.format in _ANIMATED else getattr(picture, "n_frames", 1)
    if pages > limits.max_pages:
        raise too_long(filename, f"has {pages:,} pages", f"{limits.max_pages:,} pages")
    builder = ContentBuilder(filename, limits)
    builder.scans += range(1, pages + 1)
    if (means := recogniser() if limits.recognise else None) is None:
        if limits.keeps_scans:
            return builder.content()
        raise EmptyDocumentError(
            f"{filename} is a picture: its text has to be recognised. {REMEDY}", document=filename
        )
    recognised: dict[int, float] = {}
    for number in range(1, pages + 1):
        picture.seek(number - 1)
        recognised[number] = _read_page(builder, means, picture, number, filename)
        alive()
    if builder.is_empty and limits.keeps_scans:
        return builder.content()
    if builder.is_empty:
        raise EmptyDocumentError(
            f"{filename} is a picture in which no text was recognised.", document=filename
        )
    builder.notes.append(recognition_note({page: sure for page, sure in recognised.items() if sure}))
    return builder.content()


def opened_picture(content: bytes, filename: str) -> Image.Image:
    """Open a picture; nothing of it is decoded yet.

    Raises:
        UnreadableDocumentError: It is none of the kinds that are read here.
        DocumentTooLongError: It has too many pixels.
    """
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    try:
        return Image.open(io.BytesIO(content), formats=_FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableDocumentError(
            f"{filename} is not a picture of a kind that is read here; save it as PNG, JPEG or TIFF",
            document=filename,
        ) from error
    except Image.DecompressionBombError as error:
        raise too_long(filename, "has too many pixels", f"{MAX_PIXELS:,} pixels") from error


def _read_page(
    builder: ContentBuilder, means: Recogniser, picture: Image.Image, number: int, filename: str
) -> float:
    """Append the text of a page; returns how surely it was recognised."""
    if picture.width * picture.height > MAX_PIXELS:
        raise too_long(filename, f"has {picture.width:,} x {picture.height:,} pixels", f"{MAX_PIXELS:,}")
    shown = upright(picture)
    words, sureness = means.words(shown, (float(shown.width), float(shown.height)))
    if words:
        builder.add("" if builder.is_empty else "\n\n")
        add_page(builder, words, Place(page=number, recognised=round(sureness, 3)))
    return sureness


def upright(picture: Image.Image) -> Image.Image:
    """Return the picture as it is shown: turned as it says, on white, of a size to work on."""
    shown = ImageOps.exif_transpose(picture)
    if shown.mode in ("RGBA", "LA", "PA") or "transparency" in shown.info:
        shown = shown.convert("RGBA")
        paper = Image.new("RGBA", shown.size, "white")
        paper.alpha_composite(shown)
        shown = paper
    if shown.width * shown.height > _WORKING_PIXELS:
        scale = (_WORKING_PIXELS / (shown.width * shown.height)) ** 0.5
        shown = shown.resize((max(1, int(shown.width * scale)), max(1, int(shown.height * scale))))
    return shown.convert("RGB")
