"""Extraction from a document that is not put into a prompt whole: by ranges of pages, or from passages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.excerpts import Excerpt, passages, ranges
from agent_tasks.documents.grounding import FieldGrounding
from agent_tasks.pipeline.merging import PartAnswer, merged
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.pipeline.topics import topics

HowRead: TypeAlias = Literal["whole", "pages", "passages"]
"""What of a document goes into the extractor's prompt."""


class Ask(Protocol):
    """Asks the extractor, with repairs: one durable turn or more."""

    def __call__(
        self, values: dict[str, Any], output: OutputSchema, part: str, /
    ) -> Awaitable[tuple[dict[str, Any] | None, list[str]]]:
        """Return the fields, if the answer is valid, and reasons for a person to look.

        Args:
            values: What the prompts take.
            output: What the answer has to be.
            part: The name of the part that is asked about; empty: all of the document.
        """


@dataclass
class Extracted:
    """What came of asking about a document's parts."""

    fields: dict[str, Any] | None = None
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    answer: str | None = None
    """What was put together, if it is not valid."""


@dataclass(frozen=True)
class PartReader:
    """Reads a document in parts.

    Args:
        how: By pages, or passages.
        output: What is extracted.
        most: Tokens of the document that go into one prompt.
        tokens: How many tokens a text has, about.
    """

    how: HowRead
    output: OutputSchema
    most: int
    tokens: Callable[[str], int]

    async def extract(self, read: DocumentContent, values: dict[str, Any], ask: Ask) -> Extracted:
        """Have the fields extracted from the parts of a document, one after the other."""
        if self.how == "pages":
            parts = await asyncio.to_thread(ranges, read, self.most, self.tokens)
            if not parts[0].is_whole:
                return await self._by_ranges(parts, values, ask)
            return Extracted(*await ask(values, self.output, ""))
        found = await asyncio.to_thread(self._passages, read)
        extracted = Extracted(*await ask(_with(values, found), self.output, ""))
        if not found.is_whole:
            extracted.notes.append(
                f"The extractor was shown the passages that speak of the fields,"
                f" {len(found.text) / len(read.text):.0%} of the text; the rest was not asked about."
            )
        return extracted

    async def _by_ranges(self, parts: Sequence[Excerpt], values: dict[str, Any], ask: Ask) -> Extracted:
        partial = self.output.partial()
        extracted, answers = Extracted(), []
        for part in parts:
            fields, reasons = await ask(_with(values, part), partial, part.name)
            extracted.reasons += reasons
            if fields is not None:
                answers.append(await asyncio.to_thread(PartAnswer.of, part, fields, partial))
        together, conflicts = merged(self.output.fields, answers)
        told = json.dumps(together, ensure_ascii=False)
        extracted.fields, errors = self.output.parse(told)
        if errors:
            extracted.answer = told
            extracted.reasons.append(f"the extraction is not valid: {'; '.join(errors[:10])}")
        extracted.reasons += conflicts
        extracted.notes.append(f"The extractor was asked about {len(parts)} parts, one after the other.")
        return extracted

    async def about_values(
        self, read: DocumentContent, values: dict[str, Any], grounding: Sequence[FieldGrounding]
    ) -> dict[str, Any]:
        """Return what a reviewer's prompt takes: passages where values were found or that speak of fields."""
        places = [(e.offset, e.end) for e in grounding if e.offset is not None and e.end is not None]
        return _with(values, await asyncio.to_thread(self._passages, read, places))

    def _passages(self, read: DocumentContent, around: Sequence[tuple[int, int]] = ()) -> Excerpt:
        wanted = list(topics(self.output.fields))
        return passages(read, wanted, self.most, self.tokens, around=around)


def _with(values: Mapping[str, Any], part: Excerpt) -> dict[str, Any]:
    """Return what prompts take, with a part of the document in place of all of it."""
    document = {**values["document"], "text": part.text, "pages": list(part.pages)}
    return {**values, "document": document}
