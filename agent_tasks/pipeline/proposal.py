"""A pipeline that a model proposes from samples, and the file that it becomes."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.display import one_line
from agent_tasks.errors import ConfigurationError

__all__ = ["Proposal", "ProposedField", "ProposedKind", "written"]

MAX_FIELDS = 40
MAX_KINDS = 12
_MAX_DESCRIPTION = 200

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
        """The fields of all kinds by their names as a file may have them, with the kinds that have them.

        Raises:
            ConfigurationError: It is no proposal: there are none or too many, or names that are none.
        """
        found: dict[str, tuple[ProposedField, list[str]]] = {}
        problems = list(self._problems())
        for kind in self.kinds:
            for field in kind.fields:
                name = _name(field.name)
                if name is None:
                    problems.append(f"{field.name[:40]!r} is no name of a field")
                    continue
                known, kinds = found.setdefault(name, (field, []))
                if (known.type, known.list) != (field.type, field.list):
                    problems.append(f"{name} is a {known.type} in one kind, and a {field.type} in another")
                kinds.append(kind.name)
        if not found and not problems:
            problems.append("it names no field")
        if len(found) > MAX_FIELDS:
            problems.append(f"it names {len(found)} fields; at most {MAX_FIELDS} are taken")
        if problems:
            raise ConfigurationError(
                f"What the model proposes can't be used: {'; '.join(problems[:5])}. Nothing was written. Try "
                "again with a larger model (MODEL_DEPLOYMENT_NAME), or write the file yourself: "
                "docs/pipeline.md."
            )
        return found

    def _problems(self) -> Iterator[str]:
        names = [_name(kind.name) for kind in self.kinds]
        if not names:
            yield "it names no kind of documents"
        if len(names) > MAX_KINDS:
            yield f"it names {len(names)} kinds of documents; at most {MAX_KINDS} are taken"
        if None in names or len(set(names)) < len(names):
            yield "its kinds have no names, or the same"


def _name(text: str) -> str | None:
    """A name as a pipeline file may have it: `Invoice No.` is `invoice_no`; None: nothing is left of it."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^a-z0-9]+", "_", plain.casefold()).strip("_")[:64].strip("_")
    return name if re.fullmatch(r"[a-z][a-z0-9_]*", name) else None


def written(proposal: Proposal, *, name: str, samples: Sequence[str], model: str) -> str:
    """The proposal as a commented pipeline file.

    Args:
        proposal: What was proposed.
        name: The pipeline's name.
        samples: The documents that it was made from.
        model: The model that made it.

    Raises:
        ConfigurationError: It is no proposal.
    """
    fields = proposal.fields()
    several = len(proposal.kinds) > 1
    lines = [
        f"# Proposed by `agent-tasks init`, from {_comment(', '.join(samples))},",
        f"# by the model {_comment(model)}. It is a proposal: read it, change what is wrong, then",
        "#   agent-tasks check THIS-FILE",
        "# What may stand in it: docs/pipeline.md.",
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


def _text(text: str, *, at_most: int = _MAX_DESCRIPTION) -> str:
    """A text of a model as a string of YAML that is that text, whatever is in it."""
    return json.dumps(one_line(text)[:at_most].encode("utf-8", "replace").decode(), ensure_ascii=False)


def _comment(text: str) -> str:
    return one_line(text)[:_MAX_DESCRIPTION]
