"""From the YAML of a workflow to a program: read strictly, so that what is not known is refused by name."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from agent_tasks.known_names import did_you_mean
from agents_emulator.workflows.actions import KINDS, Kind, read_properties
from agents_emulator.workflows.errors import WorkflowError
from agents_emulator.workflows.expressions import Formula, formula
from agents_emulator.workflows.program import Action, Program, Step
from agents_emulator.yaml_files import YamlError, parse

MAX_CHARACTERS = 50_000
MAX_ACTIONS = 500
"""Steps that a response of a workflow takes at most: loops come to an end."""
_MAX_DECLARED = 1000
_MAX_PARTS = 20_000  # mappings, lists and values in the YAML, each as often as an alias names it
_MAX_DEPTH = 20
_TOP = ("kind", "trigger", "name", "description", "id", "maxTurns")
_TRIGGER = ("kind", "id", "actions", "displayName", "description")


@functools.lru_cache(maxsize=32)
def read_workflow(text: str) -> Program:
    """Return the program of a workflow. Raises `WorkflowError` that says where it is wrong."""
    if len(text) > MAX_CHARACTERS:
        raise WorkflowError(f"a workflow has {MAX_CHARACTERS} characters at most")
    try:
        content = parse(text)
    except YamlError as error:
        raise WorkflowError(f"the YAML cannot be read: {error}") from None
    _check_size(content)
    top = _mapping(content, "the workflow")
    _known(top, _TOP, "the workflow")
    if str(top.get("kind")).lower() != "workflow":
        raise WorkflowError("its `kind` is not `workflow`")
    trigger = _mapping(top.get("trigger"), "`trigger`")
    _known(trigger, _TRIGGER, "`trigger`")
    if trigger.get("kind") != "OnConversationStart":
        raise WorkflowError("`trigger.kind` is not `OnConversationStart`, the only one that is known here")
    most = top.get("maxTurns")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise WorkflowError("`maxTurns` is no number from 1")
    name = str(trigger.get("id") or "workflow")
    steps = _Compiler().program(trigger.get("actions"), name)
    return Program(name, steps, min(most or MAX_ACTIONS, MAX_ACTIONS))


def _check_size(content: Any) -> None:
    waiting, parts = [content], 0
    while waiting:
        parts += 1
        if parts > _MAX_PARTS:
            raise WorkflowError(f"a workflow has {_MAX_PARTS} parts at most")
        held = waiting.pop()
        if isinstance(held, list | dict):
            waiting += held.values() if isinstance(held, dict) else held


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise WorkflowError(f"{what} is no mapping")
    return value


def _known(value: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    unknown = next((name for name in value if name not in names), None)
    if unknown is not None:
        raise WorkflowError(f"{what} has no `{unknown[:80]}`. {did_you_mean(unknown, list(names))}")


class _Compiler:
    """Writes the steps of a workflow one after the other."""

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._first: dict[str, int] = {}
        self._gotos: list[tuple[int, Action]] = []
        self._loops: list[tuple[int, list[int]]] = []
        self._handlers: dict[str, Callable[[Mapping[str, Any], Action, int], None]] = {
            "ConditionGroup": self._condition_group,
            "If": self._if,
            "Foreach": self._foreach,
            "GotoAction": self._goto,
            "BreakLoop": self._break,
            "ContinueLoop": self._continue,
        }

    def program(self, actions: Any, name: str) -> tuple[Step, ...]:
        """Return the steps of these actions."""
        self._actions(actions, name, 0)
        self._add(Step("end", Action("End", name, name)))
        for place, action in self._gotos:
            target = action.properties["actionId"]
            if target not in self._first:
                hint = did_you_mean(target, list(self._first))
                raise WorkflowError(f"the action `{action.id}` leads to `{target}`, which is none. {hint}")
            self._aim(place, self._first[target])
        return tuple(self._steps)

    def _add(self, step: Step) -> int:
        self._steps.append(step)
        return len(self._steps) - 1

    def _aim(self, place: int, target: int) -> None:
        step = self._steps[place]
        self._steps[place] = Step(step.does, step.action, step.name, target, step.branches, step.shown)

    def _actions(self, actions: Any, scope: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise WorkflowError(f"actions are nested {_MAX_DEPTH} times at most")
        if actions is None:
            return
        if not isinstance(actions, list):
            raise WorkflowError(f"the actions of `{scope}` are no list")
        for place, declared in enumerate(actions):
            self._action(_mapping(declared, f"action {place + 1} of `{scope}`"), scope, place, depth)

    def _action(self, declared: Mapping[str, Any], scope: str, place: int, depth: int) -> None:
        name = declared.get("kind")
        known = KINDS.get(name) if isinstance(name, str) else None
        identifier = str(declared.get("id") or f"{scope}_{place}")
        if known is None:
            hint = did_you_mean(str(name)[:80], list(KINDS))
            raise WorkflowError(
                f"the action `{identifier}` is of the kind {str(name)[:80]}, not known here. {hint}"
            )
        if identifier in self._first:
            raise WorkflowError(f"there are two actions `{identifier}`")
        if len(self._first) >= _MAX_DECLARED:
            raise WorkflowError(f"a workflow has {_MAX_DECLARED} actions at most")
        if declared.get("disabled") is True:
            return
        action = Action(str(name), identifier, scope, self._properties(known, declared, identifier))
        self._first[identifier] = len(self._steps)
        handler = self._handlers.get(action.kind)
        if handler is not None:
            handler(declared, action, depth)
        elif known.ends:
            self._add(Step("end", action, shown=True))
        else:
            after = f"{identifier}_Post" if known.has_post else identifier
            self._add(Step("act", action, after, shown=True))

    def _properties(self, kind: Kind, declared: Mapping[str, Any], identifier: str) -> dict[str, Any]:
        try:
            return read_properties(kind, declared)
        except WorkflowError as error:
            raise WorkflowError(f"the action `{identifier}` ({declared['kind']}): {error}") from None

    # -- control flow

    def _condition_group(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        branches: list[tuple[Formula, str, Any]] = []
        conditions = declared.get("conditions")
        if not isinstance(conditions, list) or not conditions:
            raise WorkflowError(f"the action `{action.id}` (ConditionGroup): `conditions` is no list")
        for index, item in enumerate(conditions):
            what = f"condition {index + 1} of `{action.id}`"
            described = _mapping(item, what)
            _known(described, ("condition", "id", "actions", "displayName", "description"), what)
            label = str(described.get("id") or f"{action.id}_Items{index}")
            branches.append((self._condition(described, what), f"{label}Actions", described.get("actions")))
        self._choice(action, branches, declared.get("elseActions"), depth)

    def _if(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        condition = self._condition(declared, f"the action `{action.id}` (If)")
        actions = declared.get("actions", declared.get("then"))
        branches = [(condition, f"{action.id}Actions", actions)]
        self._choice(action, branches, declared.get("elseActions", declared.get("else")), depth)

    def _condition(self, declared: Mapping[str, Any], what: str) -> Formula:
        if declared.get("condition") is None:
            raise WorkflowError(f"{what}: `condition` is missing")
        try:
            return formula(declared["condition"])
        except WorkflowError as error:
            raise WorkflowError(f"{what}: `condition`: {error}") from None

    def _choice(
        self, action: Action, branches: list[tuple[Formula, str, Any]], otherwise: Any, depth: int
    ) -> None:
        place = self._add(Step("choose", action))
        starts: list[tuple[Formula, int]] = []
        ends: list[int] = []
        for condition, label, actions in branches:
            starts.append((condition, self._branch(action, label, actions, depth)))
            ends.append(self._add(Step("jump", action, f"{action.id}_Post")))
        other = self._branch(action, f"{action.id}ElseActions", otherwise, depth)
        ends.append(self._add(Step("jump", action, f"{action.id}_Post")))
        self._steps[place] = Step("choose", action, "", other, tuple(starts))
        for end in ends:
            self._aim(end, len(self._steps))

    def _branch(self, action: Action, label: str, actions: Any, depth: int) -> int:
        start = self._add(Step("jump", action, label, len(self._steps) + 1))
        self._actions(actions, label, depth + 1)
        return start

    def _foreach(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        self._add(Step("each", action))
        following = self._add(Step("next", action, f"{action.id}Actions"))
        breaks: list[int] = []
        self._loops.append((following, breaks))
        self._actions(declared.get("actions"), f"{action.id}Actions", depth + 1)
        self._loops.pop()
        self._add(Step("jump", action, f"{action.id}_Next", following))
        after = self._add(Step("jump", action, f"{action.id}_Post", len(self._steps) + 1))
        self._aim(following, after)
        for place in breaks:
            self._aim(place, after)

    def _goto(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        self._gotos.append((self._add(Step("jump", action, action.id, shown=True)), action))

    def _break(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        self._loop_of(action)[1].append(self._add(Step("jump", action, action.id, shown=True)))

    def _continue(self, declared: Mapping[str, Any], action: Action, depth: int) -> None:
        self._add(Step("jump", action, action.id, self._loop_of(action)[0], shown=True))

    def _loop_of(self, action: Action) -> tuple[int, list[int]]:
        if not self._loops:
            raise WorkflowError(f"the action `{action.id}` ({action.kind}) is in no Foreach")
        return self._loops[-1]
