"""The kinds of steps, tools and sinks that a pipeline file may name, ours and those of other packages.

A package adds a kind of step by an entry point in the group `agent_tasks.steps`, a kind of tool by one in
`agent_tasks.tools`, a kind of sink by one in `agent_tasks.sinks`. Its name is the keyword in the file, its
object the kind::

    [project.entry-points."agent_tasks.steps"]
    translate = "my_package.steps:TRANSLATE"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.known_names import did_you_mean

if TYPE_CHECKING:
    from agent_tasks.steps.file.plan import StepKind
    from agent_tasks.steps.file.sinks import SinkKind
    from agent_tasks.steps.file.tool_kinds import ToolKind

STEP_KINDS = "agent_tasks.steps"
TOOL_KINDS = "agent_tasks.tools"
SINK_KINDS = "agent_tasks.sinks"

_STEPS = "agent_tasks.steps.file.kinds"
BUILT_IN: dict[str, str] = {
    "agent": f"{_STEPS}.agent:AGENT",
    "switch": f"{_STEPS}.switch:SWITCH",
    "parallel": f"{_STEPS}.parallel:PARALLEL",
    "each": f"{_STEPS}.each:EACH",
    "repeat": f"{_STEPS}.repeat:REPEAT",
    "vote": f"{_STEPS}.vote:VOTE",
    "hand_off": f"{_STEPS}.hand_off:HAND_OFF",
    "pipeline": f"{_STEPS}.pipeline:PIPELINE",
    "approve": f"{_STEPS}.approve:APPROVE",
    "extract": f"{_STEPS}.extract:EXTRACT",
    "ground": f"{_STEPS}.ground:GROUND",
    "review": f"{_STEPS}.review:REVIEW",
}


@functools.cache
def step_kinds() -> Mapping[str, StepKind]:
    """All kinds of steps, by keyword.

    Raises:
        ConfigurationError: A kind of another package cannot be loaded, or takes a keyword that is taken.
    """
    kinds: dict[str, StepKind] = {keyword: _loaded(place) for keyword, place in BUILT_IN.items()}
    _add_foreign(kinds, STEP_KINDS)
    return kinds


@functools.cache
def tool_kinds() -> Mapping[str, ToolKind[Any]]:
    """All kinds of tools, by keyword. Raises as `step_kinds` does."""
    from agent_tasks.steps.file.tool_kinds import BUILT_IN_TOOLS

    kinds: dict[str, ToolKind[Any]] = {kind.keyword: kind for kind in BUILT_IN_TOOLS}
    _add_foreign(kinds, TOOL_KINDS)
    return kinds


@functools.cache
def sink_kinds() -> Mapping[str, SinkKind[Any]]:
    """All kinds of sinks, by keyword. Raises as `step_kinds` does."""
    from agent_tasks.steps.file.sinks import BUILT_IN_SINKS

    kinds: dict[str, SinkKind[Any]] = {kind.keyword: kind for kind in BUILT_IN_SINKS}
    _add_foreign(kinds, SINK_KINDS)
    return kinds


def kind_of(entry: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """The keyword of a step or a tool: the one of its keys that names a kind.

    Raises:
        LookupError: None does, or several; the text says what may stand there.
    """
    found = [key for key in entry if key in kinds]
    if len(found) == 1:
        return found[0]
    if found:
        raise LookupError(f"says both {' and '.join(f'`{key}`' for key in found)}: it is one of them")
    strange = next((key for key in entry if did_you_mean(key, list(kinds)).startswith("Did")), None)
    if strange is not None:
        raise LookupError(f"does not say what it is. {did_you_mean(strange, list(kinds))}")
    raise LookupError(f"does not say what it is: it has one of {', '.join(kinds)}")


def _loaded(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _add_foreign(kinds: dict[str, Any], group: str) -> None:
    for point in importlib.metadata.entry_points(group=group):
        try:
            kind = point.load()
        except Exception as error:
            raise ConfigurationError(
                f"The entry point {point.name} of the group {group} ({point.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            ) from error
        if point.name in kinds or getattr(kind, "keyword", None) != point.name:
            said = "is taken" if point.name in kinds else f"is not the keyword of {point.value}"
            raise ConfigurationError(f"The entry point {point.name} of the group {group}: the name {said}.")
        kinds[point.name] = kind
