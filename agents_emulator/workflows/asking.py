"""Actions that wait for the user: the response ends, and the next one in its conversation answers."""

from __future__ import annotations

from typing import Any

from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.program import Action
from agents_emulator.workflows.progress import Progress
from agents_emulator.workflows.values import Value, as_boolean, as_number

KINDS = ("Question", "RequestExternalInput")
_TRIES = 3
"""How often a question is asked whose answers cannot be used, where it does not say so itself."""
_INVALID = "Invalid response"
_WORDS = {"true": True, "yes": True, "y": True, "false": False, "no": False, "n": False}


def ask(progress: Progress, action: Action) -> None:
    """Ask the user, so that the workflow waits; a question whose variable has a value may be left out."""
    said = action.properties
    if action.kind == "Question" and not _is_due(progress, action):
        return
    _prompt(progress, said)
    progress.state["waiting"] = {"tries": 0}


def take_answer(progress: Progress, action: Action, tries: int) -> None:
    """Take the answer of the user, who was asked so often; one that cannot be used is asked for again."""
    said, answer = action.properties, progress.answer
    if action.kind == "RequestExternalInput":
        progress.assign(said.get("variable"), [answer])
        return
    try:
        value = _read(answer["Text"], said.get("entity") or "StringPrebuiltEntity")
    except WorkflowError:
        _refuse(progress, said, tries + 1)
        return
    progress.assign(_variable(said), value)


def _variable(said: dict[str, Any]) -> tuple[str, str]:
    found: tuple[str, str] = said.get("variable") or said["property"]
    return found


def _is_due(progress: Progress, action: Action) -> bool:
    said = action.properties
    scope, name = _variable(said)
    is_first = action.id not in progress.state["asked"]
    progress.state["asked"][action.id] = True
    if as_boolean(progress.value(said.get("alwaysPrompt"))):
        return True
    is_blank = progress.state["variables"][scope].get(name) is None
    mode = said.get("skipQuestionMode") or "SkipOnFirstExecutionIfVariableHasValue"
    if mode == "AlwaysSkipIfVariableHasValue":
        return is_blank
    return mode == "AlwaysAsk" or is_blank or not is_first


def _prompt(progress: Progress, said: dict[str, Any]) -> None:
    prompt = progress.value(said.get("prompt"))
    if prompt:
        progress.say_text(prompt)


def _refuse(progress: Progress, said: dict[str, Any], tries: int) -> None:
    progress.say_text(progress.value(said.get("invalidPrompt")) or _INVALID)
    most = progress.value(said.get("repeatCount"))
    if tries < (_TRIES if most is None else as_number(most)):
        _prompt(progress, said)
        progress.state["waiting"] = {"tries": tries}
        return
    progress.assign(_variable(said), progress.value(said.get("defaultValue")))
    progress.say_text(progress.value(said.get("defaultValueResponse")) or "")


def _read(text: str, entity: str) -> Value:
    """Return what an answer says. Raises `WorkflowError` for one that is not what was asked for."""
    if not text.strip():
        raise WorkflowError("an empty answer")
    if entity == "NumberPrebuiltEntity":
        return as_number(text)
    if entity == "BooleanPrebuiltEntity":
        word = text.strip().lower().rstrip(".!")
        if word not in _WORDS:
            raise WorkflowError("neither yes nor no")
        return _WORDS[word]
    return text
