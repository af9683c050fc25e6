"""A pipeline that a model proposes from samples, and the file that it becomes."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.display import one_line
from agent_tasks.pipeline.output_schema import json_schema_format
from agent_tasks.steps.answer_types import AnswerType, answer_type

__all__ = [
    "BLANK",
    "Proposal",
    "ProposedField",
    "ProposedKind",
    "ShortProposal",
    "short_answers",
    "usable",
    "written",
]

MAX_FIELDS = 40
MAX_KINDS = 12
_MAX_DESCRIPTION = 200
_MAX_SAID = 10

FieldType = Literal["string", "integer", "number", "boolean", "date"]


class _Proposed(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ProposedField(_Proposed):
    """A value that documents of a kind have."""

    name: str = Field(description="Short name, such as invoice_number.")
    type: FieldType = "string"
    description: str = Field("", description="What it is, in a few words.")
    list: bool = Field(False, description="Whether a document has several of them.")


class ProposedKind(_Proposed):
    """A kind of documents."""

    name: str = Field(description="One word, such as invoice.")
    description: str = Field("", description="What such a document is, in a few words.")
    fields: list[ProposedField]


class Proposal(_Proposed):
    """What a model makes of samples of documents."""

    description: str = Field("", description="What these documents are, in one sentence.")
    kinds: list[ProposedKind]

    def fields(self) -> dict[str, tuple[ProposedField, list[str]]]:
        """The fields of all kinds by their names as a file may have them, with the kinds that have them."""
        found: dict[str, tuple[ProposedField, list[str]]] = {}
        for kind in self.kinds:
            for field in kind.fields:
                name = _name(field.name)
                if name is not None:
                    found.setdefault(name, (field, []))[1].append(kind.name)
        return found


class _ShortField(ProposedField):
    name: str = Field(max_length=30, description="Short name, such as invoice_number.")
    description: str = Field("", max_length=40, description="What it is, in a few words.")


class _ShortKind(ProposedKind):
    name: str = Field(max_length=30, description="One word, such as invoice.")
    description: str = Field("", max_length=40, description="What such a document is, in a few words.")
    fields: list[_ShortField] = Field(max_length=5)  # type: ignore[assignment]


class ShortProposal(Proposal):
    """A proposal of a model that does not come to an end by itself."""

    description: str = Field("", max_length=120, description="What these documents are, in one sentence.")
    kinds: list[_ShortKind] = Field(max_length=2)  # type: ignore[assignment]


def short_answers() -> AnswerType[ShortProposal]:
    """Answers of the small local model, which is held to all bounds: strict answers leave those out."""
    name = "Proposal"
    told = json_schema_format(name, ShortProposal.model_json_schema(), strict=False)
    return replace(answer_type(ShortProposal), name=name, response_format=told)


BLANK = Proposal(
    kinds=[
        ProposedKind(
            name="document",
            fields=[ProposedField(name="title", description="What the document is called, or is about")],
        )
    ]
)
"""Stands for a proposal where there is none: a file has to have a field."""


def usable(proposal: Proposal) -> tuple[Proposal | None, list[str]]:
    """What a pipeline file can take of a proposal.

    Returns:
        That, or None if it names no field that a file may have; and what is left out or changed, in words.
    """
    left_out: list[str] = []
    kinds: list[ProposedKind] = []
    known: dict[str, ProposedField] = {}
    for kind in proposal.kinds:
        name = _name(kind.name)
        if name is None or name in {_name(one.name) for one in kinds}:
            left_out.append(f"a kind whose name is none, or is another one's: {kind.name[:40]!r}")
        elif len(kinds) >= MAX_KINDS:
            left_out.append(f"the kind {name}: a file has at most {MAX_KINDS}")
        else:
            kinds.append(kind.model_copy(update={"fields": _usable_fields(kind, known, left_out)}))
    return (proposal.model_copy(update={"kinds": kinds}) if known else None), left_out


def _usable_fields(
    kind: ProposedKind, known: dict[str, ProposedField], left_out: list[str]
) -> list[ProposedField]:
    """The fields of a kind that a file may have; `known` are those of all kinds so far."""
    found: dict[str, ProposedField] = {}
    for field in kind.fields:
        name = _name(field.name)
        if name is None:
            left_out.append(f"{field.name[:40]!r}, which is no name of a field")
        elif name not in known and len(known) >= MAX_FIELDS:
            left_out.append(f"{name}: a file begun like this has at most {MAX_FIELDS} fields")
        else:
            first = known.setdefault(name, field)
            if (first.type, first.list) != (field.type, field.list):
                left_out.append(f"that {name} is a {field.type}: it is a {first.type} in another kind")
            found.setdefault(name, field.model_copy(update={"type": first.type, "list": first.list}))
    return list(found.values())


def _name(text: str) -> str | None:
    """A name as a pipeline file may have it: `Invoice No.` is `invoice_no`; None: nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.casefold()).strip("_")[:64].strip("_")
    return name if re.fullmatch(r"[a-z][a-z0-9_]*", name) else None


def written(
    proposal: Proposal, *, name: str, samples: Sequence[str], model: str, left_out: Sequence[str] = ()
) -> str:
    """The proposal as a commented pipeline file.

    Args:
        proposal: What was proposed.
        name: The pipeline's name.
        samples: The documents that it was made from.
        model: The model that made it.
        left_out: What of the model's answer is not in it, in words.
    """
    fields = proposal.fields()
    several = len(proposal.kinds) > 1
    lines = [
        f"# Proposed by `agent-tasks init`, from {_comment(', '.join(samples))},",
        f"# by the model {_comment(model)}. It is a proposal: read it, change what is wrong, then",
        "#   agent-tasks check THIS-FILE",
        "# What may stand in it: docs/pipeline.md.",
        *_beginning(proposal, left_out),
        f"name: {name}",
        f"description: {_text(proposal.description)}",
        "",
        "agents:",
        "  # Instructions and prompts have defaults; yours may stand here (instructions:, prompt:).",
        "  extractor: {}",
        "  # A second look at each document, which costs a turn: remove it if code finds what you need.",
        "  reviewer: {}",
        "",
        "# The values of each document. Code looks each of them up in the document's text; what is not found",
        "# goes to a person. Write a description as you would tell a colleague.",
        "output:",
        "  name: document",
        "  fields:",
    ]
    if several:
        kinds = [_name(kind.name) for kind in proposal.kinds]
        said = "; ".join(f"{_name(kind.name)}: {kind.description}" for kind in proposal.kinds)
        lines += [
            "    kind:",
            f"      enum: [{', '.join(map(str, kinds))}]",
            "      ground: none # it is no text of the document",
            f"      description: {_text(said, at_most=600)}",
        ]
        fields.pop("kind", None)
    for field_name, (field, of) in fields.items():
        lines += [f"    {field_name}:", f"      type: {field.type}"]
        lines += ["      list: true"] if field.list else []
        lines += ["      optional: true # null where a document does not say it"]
        only = f" ({', '.join(dict.fromkeys(of))})" if several and len(of) < len(proposal.kinds) else ""
        lines += [f"      description: {_text(field.description + only)}"]
    lines += [
        "",
        "# Questions over all documents, answered at the end; they need the agent `analyst`.",
        "# questions:",
        "#   - What is the total of all of them?",
        "",
        "# How sure a document has to be for being done by itself; `agent-tasks evaluate` writes the file.",
        "# confidence: {file: confidence.json}",
        "",
    ]
    return "\n".join(lines)


def _beginning(proposal: Proposal, left_out: Sequence[str]) -> list[str]:
    """What is to be known of the proposal before all else."""
    lines = []
    if proposal is BLANK:
        lines += [
            "#",
            "# THE MODEL FOUND NO FIELDS. The field `title` below only makes the file valid: write yours in",
            "# its place, one for each value that you want of a document.",
        ]
    if left_out:
        lines += ["#", "# Of the model's answer this is not taken:"]
        lines += [f"# - {_comment(one)}" for one in left_out[:_MAX_SAID]]
        lines += [f"# - and {len(left_out) - _MAX_SAID} more"] if len(left_out) > _MAX_SAID else []
    return lines


def _text(text: str, *, at_most: int = _MAX_DESCRIPTION) -> str:
    """A text of a model as a string of YAML that is that text, whatever is in it."""
    return json.dumps(one_line(text)[:at_most].encode("utf-8", "replace").decode(), ensure_ascii=False)


def _comment(text: str) -> str:
    return one_line(text)[:_MAX_DESCRIPTION]
