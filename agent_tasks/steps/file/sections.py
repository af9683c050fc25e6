"""What all sections of a pipeline file with steps have in common, and the types of their values."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

STEPS_MARK = "x-steps"
"""Stands in the JSON Schema of a section where steps may stand; the whole file's schema puts them there."""
TOOLS_MARK = "x-tools"
"""The same for tools."""

StepId: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""The name of a step or an agent: what expressions call it."""


def _as_text(value: Any) -> Any:
    """YAML's own true, false and numbers, where an expression is expected."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


Condition: TypeAlias = Annotated[str, BeforeValidator(_as_text), Field(min_length=1)]
"""An expression."""

RawSteps: TypeAlias = Annotated[tuple[dict[str, Any], ...], WithJsonSchema({STEPS_MARK: True})]
"""Steps as they stand in the file; each is checked by its own kind."""

RawTools: TypeAlias = Annotated[tuple[dict[str, Any], ...], WithJsonSchema({TOOLS_MARK: True})]
"""Tools as they stand in the file; each is checked by its own kind."""


_TIME = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>minute|hour|day|week)s?")


def _time_limit(value: Any) -> Any:
    """`2 days`, `90 minutes`."""
    if not isinstance(value, str):
        return value
    found = _TIME.fullmatch(value.strip())
    if found is None:
        raise ValueError("write a time as a number and a unit: 30 minutes, 2 hours, 3 days, 1 week")
    return timedelta(**{f"{found['unit']}s": float(found["number"])})


TimeLimit: TypeAlias = Annotated[
    timedelta,
    BeforeValidator(_time_limit),
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_TIME.pattern.replace('?P<number>', '').replace('?P<unit>', '')}$"}
    ),
]
"""How long something waits, such as ``2 days``."""


class FileSection(BaseModel):
    """A part of a pipeline file: unknown keys are refused, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class StepSection(FileSection):
    """What every step may say."""

    id: StepId | None = None
    """Its name, by which later steps call what came of it; default the agent's name, or the kind's."""
    when: Condition | None = None
    """Expression: the step is left out where it is not true; its outcome is null then."""
