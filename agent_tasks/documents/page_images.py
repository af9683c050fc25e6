"""Images of whole pages, for a model that sees: of scans, which hold no text.

They are made where documents are read, in the reading process.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from agent_tasks.documents.place_pictures import Resolution, cannot_be_drawn, drawn_pages
from agent_tasks.documents.progress import alive
from agent_tasks.documents.transfer import MAX_IMAGE_BYTES
from agent_tasks.errors import AgentTasksError

_PIXELS_PER_POINT = 200 / 72
_MAX_SIDE = 8_000
_WHOLE = (0.0, 0.0, 1.0, 1.0)
_QUALITIES = (85, 60, 30)


def page_images(content: bytes, name: str, pages: Sequence[int], max_pixels: int) -> list[bytes]:
    """Return an image (JPEG) of each page.

    Args:
        content: The document's bytes.
        name: Its name.
        pages: Numbers of pages, from 1.
        max_pixels: Of an image.

    Raises:
        UnreadableDocumentError: A page cannot be drawn.
    """
    try:
        with drawn_pages(content, name, Resolution(_PIXELS_PER_POINT, max_pixels, _MAX_SIDE)) as draw:
            found = []
            for page in pages:
                found.append(_encoded(draw(page, _WHOLE)))
                alive()
            return found
    except (AgentTasksError, MemoryError):
        raise
    except Exception as error:  # of the libraries below
        raise cannot_be_drawn(name, error) from error


def _encoded(drawn: Any) -> bytes:
    """Return a JPEG of a bounded number of bytes; what has too many is made coarser."""
    while True:
        for quality in _QUALITIES:
            encoded = io.BytesIO()
            drawn.save(encoded, "JPEG", quality=quality)
            if encoded.tell() <= MAX_IMAGE_BYTES:
                return encoded.getvalue()
        drawn = drawn.resize((max(1, drawn.width // 2), max(1, drawn.height // 2)))
