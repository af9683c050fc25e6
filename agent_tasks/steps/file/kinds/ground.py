"""`ground`: the values of an earlier answer are looked up in the text of the document, by code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.grounding import FieldGrounding, GroundingStatus, Leaf, SourceText
from agent_tasks.pipeline.output_schema import OutputSchema
from agent_tasks.steps.file.loading import LoadContext
from agent_tasks.steps.file.plan import Step
from agent_tasks.steps.file.running import StepContext
from agent_tasks.steps.file.sections import StepId, StepSection
from agent_tasks.steps.file.types import INTEGER, TEXT, ValueType, list_of, mapping

GROUNDED: ValueType = mapping({"found": INTEGER, "not_found": list_of(TEXT)})


class GroundSection(StepSection):
    """A step that looks values up."""

    ground: StepId
    """An earlier step whose agent answers with fields; each field's `ground` says how it is looked for."""


@dataclass(frozen=True, kw_only=True)
class GroundStep(Step):
    """Looks up the values of an answer."""

    kind: ClassVar[str] = "ground"

    of: str
    fields: OutputSchema = field(compare=False)
    prefix: str = ""
    """What is put before the paths of fields: nothing, if they are the fields of the document's row."""

    def facts(self) -> Mapping[str, Any]:
        """Whose values, and how each is looked for."""
        kinds = {name: spec.model_dump(mode="json") for name, spec in self.fields.fields.items()}
        return {"of": self.of, "fields": kinds}

    def summary(self) -> str:
        """Whose values."""
        return f"the values of {self.of}"

    async def run(self, context: StepContext) -> Any:
        """Look every value up, and where it stands; what is not there is for a person to look at."""
        content = context.run.content
        values = context.values[self.of]
        if values is None or content is None:
            return {"found": 0, "not_found": []}
        numbers = "".join(f"[{part}]" for part in context.path if part.isdecimal())
        prefix = f"{self.prefix}{numbers}." if self.prefix or numbers else ""
        leaves = list(self.fields.leaves(values))
        found = await asyncio.to_thread(look_up, leaves, content, prefix)
        context.run.outcome.grounding += found
        missing = [entry for entry in found if entry.status is GroundingStatus.NOT_FOUND]
        for leaf, entry in zip(leaves, found, strict=True):
            if entry.status is GroundingStatus.NOT_FOUND:
                context.needs_review(f"{entry.path} {entry.value!r} is not in the document")
            elif entry.note:
                doubt = f"{entry.path} {entry.value!r} is ambiguous: {entry.note}"
                if leaf.ambiguous == "review":
                    context.needs_review(doubt)
                else:
                    context.run.outcome.notes.append(doubt)
        return {
            "found": sum(entry.status is GroundingStatus.FOUND for entry in found),
            "not_found": [entry.path for entry in missing],
        }


def look_up(leaves: Sequence[Leaf], content: DocumentContent, prefix: str = "") -> list[FieldGrounding]:
    """Look values up in a document, and where in it each stands.

    Args:
        leaves: The values.
        content: The document, read.
        prefix: What is put before the path of each.
    """
    found = SourceText(content.text).ground(leaves)
    placed = [_placed(entry, content) for entry in found]
    if not prefix:
        return placed
    return [entry.model_copy(update={"path": f"{prefix}{entry.path}"}) for entry in placed]


def _placed(entry: FieldGrounding, read: DocumentContent) -> FieldGrounding:
    """Say where in the document a value stands that was found."""
    if entry.offset is None or entry.end is None:
        return entry
    return entry.model_copy(update={"places": tuple(read.places(entry.offset, entry.end))})


class _Ground:
    keyword = "ground"
    section = GroundSection

    def default_id(self, section: GroundSection) -> str:
        return "ground"

    def plan(self, section: GroundSection, load: LoadContext) -> Step | None:
        fields = load.fields_of(section.ground)
        if fields is None:
            if load.is_broken(section.ground):
                return None
            load.problem(
                "ground", f"{section.ground!r} is no earlier step whose agent answers with fields.",
                f"There are: {', '.join(sorted(load.answered_fields)) or 'none'}.",
            )  # fmt: skip
            return None
        prefix = "" if section.ground == "extract" else section.ground
        return GroundStep(head=load.head, type=GROUNDED, of=section.ground, fields=fields, prefix=prefix)


GROUND = _Ground()
