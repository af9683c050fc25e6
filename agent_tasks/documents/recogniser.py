"""What recognises the text of a picture, whatever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from agent_tasks.documents.layout import Word

if TYPE_CHECKING:
    from PIL.Image import Image


class Recogniser(Protocol):
    """Recognises the text of pictures."""

    name: str
    """Such as ``rapidocr``."""

    @property
    def version(self) -> str:
        """What its answers depend on beside the picture: its version, its languages."""

    def words(self, picture: Image, size: tuple[float, float]) -> tuple[list[Word], float]:
        """Return the words in a picture of a page, and how sure they are on average (0 to 1).

        Args:
            picture: The picture, upright, in RGB.
            size: Width and height of the page; the words' edges are in this measure.
        """
