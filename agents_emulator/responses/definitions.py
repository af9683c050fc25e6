"""Definitions of agents: what a version says, and what a response takes from it."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from typing import Any

from agents_emulator import validation
from agents_emulator.engine.responses.refusals import invalid_payload
from agents_emulator.errors import bad_request
from agents_emulator.responses.tool_shapes import check_flat_tools, engine_format, engine_tools, shown_tools
from agents_emulator.store import Record
from agents_emulator.workflows.definition import read_workflow
from agents_emulator.workflows.errors import WorkflowError

KINDS = ("prompt", "hosted", "workflow", "external", "voice")
_OF_WORKFLOWS = ("kind", "workflow", "rai_config")
_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_TEXT: Record = {"format": {"type": "text"}, "verbosity": "medium"}


@dataclass
class Settings:
    """What answers: a model with instructions and tools, of an agent's version or of the request itself."""

    model: str
    instructions: str | None = None
    tools: list[Record] = field(default_factory=list)
    temperature: float = 1.0
    top_p: float = 1.0
    text: Any = None
    reasoning: Any = None
    tool_choice: Any = None

    @property
    def shown_text(self) -> Record:
        """`text` as a response shows it."""
        return {**_TEXT, **validation.without_nulls(self.text or {})}


def settings_of(source: Record) -> Settings:
    """Return the settings in a definition, or in a request that names no agent."""
    return Settings(
        model=validation.require(source, "model"),
        instructions=source.get("instructions"),
        tools=check_flat_tools(source.get("tools")),
        temperature=validation.or_default(validation.check_number(source, "temperature", 0, 2), 1.0),
        top_p=validation.or_default(validation.check_number(source, "top_p", 0, 1), 1.0),
        text=source.get("text"),
        reasoning=source.get("reasoning"),
        tool_choice=source.get("tool_choice"),
    )


def checked_definition(definition: Any) -> Record:
    """Return a definition as it is kept and shown. Raises the front's 400 for one that can't run."""
    if not isinstance(definition, dict):
        raise invalid_payload("A definition is required.", "definition")
    kind = definition.get("kind")
    if kind not in KINDS:
        raise invalid_payload(f"'{str(kind)[:80]}' is not one of {list(KINDS)}.", "definition.kind")
    if kind == "workflow":
        return _checked_workflow(definition)
    if kind != "prompt":
        raise invalid_payload(
            f"The local service runs agents of the kinds 'prompt' and 'workflow', and none of kind '{kind}'.",
            "definition.kind",
        )
    if not isinstance(definition.get("model"), str) or not definition["model"]:
        raise invalid_payload("A model is required.", "definition.model")
    kept: Record = {"kind": kind, **copy.deepcopy(validation.without_nulls(definition))}
    if "tools" in kept:
        kept["tools"] = check_flat_tools(kept["tools"], "definition.tools")
    settings = settings_of(kept)
    engine_tools(settings.tools)
    engine_format(settings.text)
    described = kept["text"].get("format") if isinstance(kept.get("text"), dict) else None
    if isinstance(described, dict) and described.get("type") == "json_schema":
        described.setdefault("strict", True)  # recorded
    return kept


def _checked_workflow(definition: Record) -> Record:
    """Return the definition of a workflow, whose YAML can be carried out."""
    unknown = next((name for name in definition if name not in _OF_WORKFLOWS), None)
    if unknown is not None:
        raise invalid_payload("Not a field of workflows.", f"definition.{unknown[:80]}")
    text = definition.get("workflow")
    if not isinstance(text, str):
        raise invalid_payload("The YAML of the workflow is required.", "definition.workflow")
    try:
        read_workflow(text)
    except WorkflowError as error:
        raise invalid_payload(f"The workflow cannot be carried out: {error}", "definition.workflow") from None
    return copy.deepcopy(validation.without_nulls(definition))


def shown_definition(definition: Record) -> Record:
    """Return a definition without the secrets in it."""
    if "tools" not in definition:
        return definition
    shown = [
        tool if tool["type"] != "mcp" else {key: value for key, value in secret.items() if key in tool}
        for tool, secret in zip(definition["tools"], shown_tools(definition["tools"]), strict=True)
    ]
    return {**definition, "tools": shown}


def filled(definition: Record, given: Any) -> Record:
    """Return a definition with the structured inputs of a request in the place of `{{name}}`.

    Raises the service's 400 for a required input that is missing, and for one that the agent does not have.
    """
    declared: Record = definition.get("structured_inputs") or {}
    given = given or {}
    unknown = next((name for name in given if name not in declared), None)
    if unknown is not None:
        raise bad_request(
            f"The agent has no structured input '{unknown[:80]}'.", param=f"structured_inputs.{unknown[:80]}"
        )
    values: Record = {}
    for name, described in declared.items():
        if name in given:
            values[name] = given[name]
        elif described.get("required"):
            raise bad_request(
                f"The structured input '{name}' is required.",
                param=f"structured_inputs.{name}",
                code="missing_required_parameter",
            )
        else:
            values[name] = described.get("default_value", "")
    if not values:
        return definition
    places = ("instructions", "tools", "text")
    return {**definition, **{key: _filled(definition[key], values) for key in places if key in definition}}


def _filled(value: Any, values: Record) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if not isinstance(value, str):
        return value
    whole = _PLACEHOLDER.fullmatch(value.strip())
    if whole is not None and whole[1] in values:
        return values[whole[1]]
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), value)
