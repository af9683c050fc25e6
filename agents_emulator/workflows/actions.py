"""The kinds of actions that a workflow may have, and how what they say is read.

What the real service takes besides is refused by name: nothing is passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent_tasks.known_names import did_you_mean
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.expressions import Literal, Template, formula

Read = Callable[[Any], Any]
_COMMON = ("kind", "id", "displayName", "description", "disabled")
_PATH = re.compile(r"=?\s*(?:init:)?(Local|Topic|Global)\.([A-Za-z_]\w*)\s*")
_ENTITIES = ("StringPrebuiltEntity", "NumberPrebuiltEntity", "BooleanPrebuiltEntity")
_TYPES = ("String", "Number", "Boolean", "Record", "Table")
_SKIP = ("AlwaysAsk", "AlwaysSkipIfVariableHasValue", "SkipOnFirstExecutionIfVariableHasValue")
_ROLES = {"User": "user", "Agent": "assistant", "Assistant": "assistant"}
_CLEARED = ("AllVariables", "ConversationScopedVariables", "ConversationHistory")


@dataclass(frozen=True)
class Kind:
    """What an action of a kind says.

    Attributes:
        properties: how each is read.
        required: those that may not be left out; of two names joined by `|` one is enough.
        has_post: whether what follows says that `ID_Post` came before it (recorded of agents).
        ends: whether the workflow ends with it.
    """

    properties: Mapping[str, Read] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    has_post: bool = False
    ends: bool = False


def read_properties(kind: Kind, declared: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an action says. Raises `WorkflowError` for what is unknown, missing or wrong."""
    return _read({**dict.fromkeys(_COMMON, _any), **kind.properties}, kind.required, declared, "")


def _read(
    properties: Mapping[str, Read], required: tuple[str, ...], given: Any, where: str
) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise WorkflowError(f"`{where.rstrip('.')}` is no mapping")
    found: dict[str, Any] = {}
    for name, value in given.items():
        read = properties.get(name)
        if read is None:
            hint = did_you_mean(str(name)[:80], list(properties))
            raise WorkflowError(f"it has no `{where}{str(name)[:80]}` here. {hint}")
        if value is None:
            continue
        try:
            found[name] = read(value)
        except WorkflowError as error:
            raise WorkflowError(f"`{where}{name}`: {error}") from None
    for names in required:
        if not any(name in found for name in names.split("|")):
            raise WorkflowError(f"`{where}{names.split('|', maxsplit=1)[0]}` is missing")
    return found


def _any(value: Any) -> Any:
    return value


def _path(value: Any) -> tuple[str, str]:
    found = _PATH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise WorkflowError(f"{str(value)[:80]!r} is no variable: Local.NAME or Global.NAME")
    return ("Global" if found[1] == "Global" else "Local"), found[2]


def _template(value: Any) -> Template:
    """Read a text: by itself, in `{text: ...}`, or as an unquoted `{formula}`, which is a mapping in YAML."""
    if isinstance(value, dict) and "text" in value:
        value = value["text"]
    if isinstance(value, list):
        value = "\n".join(str(line) for line in value)
    if isinstance(value, dict) and list(value.values()) == [None]:
        value = "{" + str(next(iter(value))) + "}"
    if isinstance(value, dict):
        raise WorkflowError("it is no text")
    return Template.of(str(value))


def _text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise WorkflowError("it is no text")
    return str(value)


def _one_of(names: tuple[str, ...]) -> Read:
    def read(value: Any) -> str:
        text = value.get("kind") if isinstance(value, dict) else value
        if text not in names:
            raise WorkflowError(f"{str(text)[:80]!r} is not one of {', '.join(names)}")
        return str(text)

    return read


def _group(properties: Mapping[str, Read], *required: str) -> Read:
    def read(value: Any) -> dict[str, Any]:
        return _read(properties, required, value, "")

    return read


def _list_of(read: Read) -> Read:
    def read_all(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WorkflowError("it is no list")
        return [read(item) for item in value]

    return read_all


def _arguments(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WorkflowError("it is no mapping")
    return {str(name): formula(item) for name, item in value.items()}


def _message(value: Any) -> Any:
    """Read `messages`: a formula, or a text of which an empty one says nothing."""
    return Literal(None) if value == "" else formula(value)


_INPUT = {
    "messages": _message,
    "arguments": _arguments,
    "externalLoop": _group({"when": formula}, "when"),
}
_OUTPUT = {"messages": _path, "responseObject": _path, "autoSend": formula}
_AGENT = {"name": formula, "version": formula}
_BODY: Mapping[str, Read] = {"actions": _any}
_QUESTION = {
    "variable": _path,
    "property": _path,
    "prompt": _template,
    "entity": _one_of(_ENTITIES),
    "alwaysPrompt": formula,
    "skipQuestionMode": _one_of(_SKIP),
    "autoSend": formula,
    "repeatCount": formula,
    "invalidPrompt": _template,
    "unrecognizedPrompt": _template,
    "defaultValue": formula,
    "defaultValueResponse": _template,
}
KINDS: dict[str, Kind] = {
    "AddConversationMessage": Kind(
        {
            "conversationId": formula,
            "message": _path,
            "role": _one_of(tuple(_ROLES)),
            "content": _list_of(_group({"type": _one_of(("Text",)), "value": _template}, "value")),
        },
        ("conversationId", "content"),
    ),
    "BreakLoop": Kind(),
    "ClearAllVariables": Kind({"variables": _one_of(_CLEARED)}),
    "ConditionGroup": Kind({"conditions": _any, "elseActions": _any}, ("conditions",)),
    "ContinueLoop": Kind(),
    "CopyConversationMessages": Kind(
        {"conversationId": formula, "messages": formula}, ("conversationId", "messages")
    ),
    "CreateConversation": Kind({"conversationId": _path}, ("conversationId",)),
    "EndConversation": Kind(ends=True),
    "EndDialog": Kind(ends=True),
    "EndWorkflow": Kind(ends=True),
    "Foreach": Kind({"items": formula, "value": _path, "index": _path, **_BODY}, ("items", "value")),
    "GotoAction": Kind({"actionId": _text}, ("actionId",)),
    "If": Kind({"condition": _any, "then": _any, "else": _any, "elseActions": _any, **_BODY}, ("condition",)),
    "InvokeAzureAgent": Kind(
        {
            "agent": _group(_AGENT, "name"),
            "conversationId": formula,
            "input": _group(_INPUT),
            "output": _group(_OUTPUT),
        },
        ("agent",),
        has_post=True,
    ),
    "ParseValue": Kind(
        {"variable": _path, "value": formula, "valueType": _one_of(_TYPES)},
        ("variable", "value", "valueType"),
    ),
    "Question": Kind(_QUESTION, ("variable|property", "prompt"), has_post=True),
    "RequestExternalInput": Kind({"variable": _path, "prompt": _template}),
    "ResetVariable": Kind({"variable": _path}, ("variable",)),
    "RetrieveConversationMessage": Kind(
        {"conversationId": formula, "messageId": formula, "message": _path},
        ("conversationId", "messageId", "message"),
    ),
    "RetrieveConversationMessages": Kind(
        {"conversationId": formula, "messages": _path}, ("conversationId", "messages")
    ),
    "SendActivity": Kind({"activity": _template}, ("activity",)),
    "SetMultipleVariables": Kind(
        {"assignments": _list_of(_group({"variable": _path, "value": formula}, "variable"))}, ("assignments",)
    ),
    "SetTextVariable": Kind({"variable": _path, "value": _template}, ("variable", "value")),
    "SetVariable": Kind({"variable": _path, "value": formula}, ("variable",)),
}
"""What is carried out, by its name in YAML."""


def role_of(name: str | None) -> str:
    """Return the wire's word for a role of `AddConversationMessage`."""
    return _ROLES[name or "User"]
