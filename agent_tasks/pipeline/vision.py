"""What a pipeline file says of pages that a model is shown as images."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class VisionSection(BaseModel):
    """Pages without text, and pictures, are shown to the agent as images; its model has to see."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_pages: int = Field(10, ge=1, le=50)
    """Pages of a document that are shown, the first ones; what others hold is not read."""
    max_pixels: int = Field(2_000_000, ge=10_000, le=20_000_000)
    """Of each image; a sheet A4 at 150 dpi has 2,175,000."""
    detail: Literal["auto", "low", "high"] = "auto"
    """How closely the model looks, in the service's words; high costs more tokens."""


IN_PARTS = (
    "is for documents that are asked about at once, and `read: pages` asks about ranges of their text.",
    "Remove one of the two, or read `whole` or `passages`.",
)
"""Why it does not go with ranges of pages, and what to do."""
