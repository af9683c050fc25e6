"""The pages of a document that hold no text, shown to an agent whose model sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.documents.recognition import listed
from agent_tasks.operations import ImageInput, operation_key
from agent_tasks.operations import content_hash as hash_of
from agent_tasks.pipeline.vision import VisionSection

__all__ = ["Scans", "ShownImage", "conclude", "scans_of", "told"]


@dataclass(frozen=True)
class ShownImage:
    """An image that a prompt shows."""

    image: ImageInput
    """What it shows; not uploaded yet."""
    content: Callable[[], Awaitable[bytes]]
    """Makes it; asked only if the turn is not in the journal."""

    def to_send(self) -> ImageInput:
        """Return the image with what makes it."""
        return self.image.model_copy(update={"content": self.content})


@dataclass
class Scans:
    """The pages of one document that hold no text of their own.

    Args:
        content_hash: Of the document.
        pages: Their numbers.
        recognised: Those whose text was recognised.
        draw: Makes the image of a page, of so many pixels at most.
    """

    content_hash: str
    pages: tuple[int, ...]
    recognised: frozenset[int]
    draw: Callable[[int, int], Awaitable[bytes]]
    seen: set[int] = field(default_factory=set)
    """Those that an agent was shown."""

    def shown(self, vision: VisionSection | None) -> dict[int, ShownImage]:
        """Return what an agent is shown, by page."""
        return {page: self._image(page, vision) for page in self.pages[: vision.max_pages]} if vision else {}

    def _image(self, page: int, vision: VisionSection) -> ShownImage:
        most = vision.max_pixels
        key = operation_key("page-image", document=self.content_hash, page=page, max_pixels=most)
        image = ImageInput(key=key, name=f"page-{page}.jpg", detail=vision.detail)
        return ShownImage(image, lambda: self.draw(page, most))

    def notes(self) -> list[str]:
        """Return what is to be known of the pages that were shown."""
        if not self.seen:
            return []
        return [f"The agent that reads was shown {listed('page', sorted(self.seen))} as images."]

    def unread(self) -> list[str]:
        """Return what of the pages nobody has read."""
        left = sorted(set(self.pages) - self.seen - self.recognised)
        if not left:
            return []
        why = "more than `vision.max_pages` allows. Raise it, or split the document." if self.seen else (
            "no agent was shown them."
        )  # fmt: skip
        return [f"Not read: {listed('page', left)}: {why}"]

    def doubts(self, grounding: Iterable[FieldGrounding]) -> list[str]:
        """Return why a person has to look: what was only seen, code cannot verify."""
        by_sight = sorted(self.seen - self.recognised)
        entries = list(grounding)
        doubtful = [entry.path for entry in entries if entry.status is not GroundingStatus.FOUND]
        if not by_sight or (entries and not doubtful):
            return []
        what = ", ".join(doubtful[:10]) if doubtful else "what was read there"
        were = "was" if len(by_sight) == 1 else "were"
        return [f"{listed('page', by_sight)} {were} read by sight, and no text confirms {what}"]


def scans_of(name: str, content: bytes, read: DocumentContent, limits: ReadingLimits) -> Scans | None:
    """Return the pages of a document that hold no text; None: it has none, or nobody is to see them.

    Args:
        name: The document's name.
        content: Its bytes.
        read: What was read of it.
        limits: How it was read.
    """
    if not limits.keeps_scans or not read.scans:
        return None

    async def draw(page: int, max_pixels: int) -> bytes:
        [image] = await shared_pool().page_images_async(content, name, [page], max_pixels, limits=limits)
        return image

    return Scans(hash_of(content), read.scans, read.recognised, draw)


def conclude(
    scans: Scans | None, notes: list[str], unread: list[str], grounding: Iterable[FieldGrounding]
) -> list[str]:
    """Add to notes what was shown, and to the unread what nobody read; return why a person has to look."""
    if scans is None:
        return []
    notes += scans.notes()
    unread += scans.unread()
    return scans.doubts(grounding)


def told(pages: Iterable[int]) -> str:
    """Return what a prompt says of its images."""
    numbers = list(pages)
    if not numbers:
        return ""
    of = "The image shows" if len(numbers) == 1 else "The images show, in this order,"
    return f"\n\n{of} {listed('page', numbers)} of the document."
