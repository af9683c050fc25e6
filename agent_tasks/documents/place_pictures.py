"""Pictures of places: a piece of the page, with what stands there framed.

They are made where documents are read, in the reading process: a page is drawn by the same libraries.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TypeAlias

from agent_tasks.documents.content import Box, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.progress import alive
from agent_tasks.documents.reading import PICTURE_EXTENSIONS
from agent_tasks.documents.transfer import MAX_PICTURE_BYTES, MAX_PICTURE_SIDE
from agent_tasks.errors import AgentTasksError, UnreadableDocumentError

VERSION = 1
"""Another one where the same place gives another picture."""
_AROUND = 0.045  # shares of the page, at least, above and below
_AT_LEAST = 0.5  # of the page's width
_MAX_BOXES = 20
_COLOURS = 64
_FRAME = (208, 32, 32)

Cut: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom of a piece of a page, as shares of it."""
_Draw: TypeAlias = Callable[[int, Cut], Any]


@dataclass(frozen=True)
class Resolution:
    """How finely pages are drawn."""

    pixels_per_point: float = 2.0
    max_pixels: float = 640_000
    max_side: int = MAX_PICTURE_SIDE
    """Pixels of the longer side."""

    def scale(self, width: float, height: float, most: float) -> float:
        """Return the scale at which something is drawn; `most`: 1 for pixels, more for points."""
        by_area = float((self.max_pixels / (width * height)) ** 0.5)
        return min(most, by_area, (self.max_side - 2) / max(width, height))


_OF_PLACES = Resolution()


def has_pictures(name: str) -> bool:
    """Return whether documents of this name have pages that can be drawn."""
    return os.path.splitext(name)[1].lower() in (".pdf", *PICTURE_EXTENSIONS)


def pictures(content: bytes, name: str, places: Sequence[Place], limits: ReadingLimits) -> list[bytes]:
    """Return a picture (PNG) of each place; empty for one that cannot be drawn.

    Args:
        content: The document's bytes.
        name: Its name.
        places: Each with a page and boxes.
        limits: What reading the document may cost.

    Raises:
        UnreadableDocumentError: The document cannot be opened for drawing.
    """
    try:
        with drawn_pages(content, name, _OF_PLACES) as draw:
            return [_picture(draw, place) for place in places]
    except (AgentTasksError, MemoryError):
        raise
    except Exception as error:  # of the libraries below
        raise cannot_be_drawn(name, error) from error


def cannot_be_drawn(name: str, error: Exception) -> UnreadableDocumentError:
    """Return the error of a document whose pages cannot be drawn."""
    return UnreadableDocumentError(
        f"{name} cannot be drawn: {error or type(error).__name__}; export it again", document=name
    )


def _picture(draw: _Draw, place: Place) -> bytes:
    boxes = place.boxes[:_MAX_BOXES]
    if place.page is None or place.page < 1 or not boxes or not all(map(_is_on_page, boxes)):
        return b""
    cut = _cut_around(boxes)
    try:
        drawn = _framed(draw(place.page, cut), cut, boxes)
        encoded = io.BytesIO()
        drawn.quantize(_COLOURS).save(encoded, "PNG")
    except MemoryError:
        raise
    except Exception:  # a page that is damaged: the others can be drawn
        return b""
    finally:
        alive()
    return encoded.getvalue() if encoded.tell() <= MAX_PICTURE_BYTES else b""


def _is_on_page(box: Box) -> bool:
    return 0 <= box.left <= box.right <= 1 and 0 <= box.top <= box.bottom <= 1


def _cut_around(boxes: Sequence[Box]) -> Cut:
    """Return the piece of a page to show: the boxes, a few lines above and below, and half of the width."""
    left, right = min(box.left for box in boxes), max(box.right for box in boxes)
    top, bottom = min(box.top for box in boxes), max(box.bottom for box in boxes)
    line = max(box.bottom - box.top for box in boxes)
    beside = max(0.1, (_AT_LEAST - (right - left)) / 2)
    above = max(_AROUND, min(1.5 * line, 0.1))
    return max(left - beside, 0.0), max(top - above, 0.0), min(right + beside, 1.0), min(bottom + above, 1.0)


def _framed(drawn: Any, cut: Cut, boxes: Sequence[Box]) -> Any:
    from PIL import ImageDraw

    left, top, right, bottom = cut
    across, down = drawn.width / (right - left), drawn.height / (bottom - top)
    canvas = ImageDraw.Draw(drawn)
    for box in boxes:
        if box.left == box.right or box.top == box.bottom:
            continue  # nothing to frame: it says how much of the page is shown
        edges = (
            max(int((box.left - left) * across) - 3, 0),
            max(int((box.top - top) * down) - 3, 0),
            min(int((box.right - left) * across) + 3, drawn.width - 1),
            min(int((box.bottom - top) * down) + 3, drawn.height - 1),
        )
        if edges[0] < edges[2] and edges[1] < edges[3]:
            canvas.rectangle(edges, outline=_FRAME, width=2)
    return drawn


@contextmanager
def drawn_pages(content: bytes, name: str, resolution: Resolution) -> Iterator[_Draw]:
    """Give a function that draws a piece of a page of the document."""
    if PurePath(name).suffix.lower() == ".pdf":
        from agent_tasks.documents.readers.pdf import opened

        with opened(content, name) as document:
            yield lambda page, cut: _of_pdf(document.full[page - 1], cut, resolution)
    else:
        from agent_tasks.documents.readers.picture import opened_picture, upright

        picture = opened_picture(content, name)

        @functools.lru_cache(maxsize=1)
        def shown(page: int) -> Any:
            picture.seek(page - 1)
            return upright(picture)

        yield lambda page, cut: _of_picture(shown(page), cut, resolution)


def _of_pdf(page: Any, cut: Cut, resolution: Resolution) -> Any:
    try:
        width, height = page.get_size()
        left, top, right, bottom = cut
        size = ((right - left) * width, (bottom - top) * height)
        margins = (left * width, (1 - bottom) * height, (1 - right) * width, top * height)
        scale = resolution.scale(*size, resolution.pixels_per_point)
        return page.render(scale=scale, crop=margins).to_pil().convert("RGB")
    finally:
        page.close()


def _of_picture(picture: Any, cut: Cut, resolution: Resolution) -> Any:
    left, top, right, bottom = cut
    edges = (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
    piece = picture.crop(tuple(int(edge) for edge in edges))
    scale = resolution.scale(piece.width, piece.height, 1.0)
    if scale < 1:
        piece = piece.resize((max(1, int(scale * piece.width)), max(1, int(scale * piece.height))))
    return piece
