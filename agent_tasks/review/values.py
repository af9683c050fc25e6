"""Values of a person in place of an agent's: read, checked by the schema, and looked up in the document."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.grounding import FieldGrounding
from agent_tasks.errors import ConfigurationError, CorrectionError
from agent_tasks.pipeline.loader import Pipeline
from agent_tasks.pipeline.output_schema import FieldSpec, OutputSchema
from agent_tasks.steps.file.kinds.ground import GroundStep, look_up

__all__ = ["Corrected", "Shape", "corrected", "shape_of"]

_PART = re.compile(r"(?:^|\.)([A-Za-z][A-Za-z0-9_]*)|\[(\d{1,6})\]")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}


@dataclass(frozen=True)
class Shape:
    """What the fields of a document are."""

    schema: OutputSchema
    prefix: str = ""
    """What stands before the paths of its values in the row's grounding."""


@dataclass(frozen=True)
class Corrected:
    """Fields with a person's values."""

    fields: dict[str, Any]
    grounding: list[FieldGrounding]
    paths: list[str]
    """Of the values that are the person's."""


def shape_of(pipeline: Pipeline, row: DocumentRow) -> Shape:
    """The shape of a document's fields: that of the step which answered with them.

    Raises:
        ConfigurationError: the pipeline's documents have no fields of a known shape.
    """
    outputs = [step for step in pipeline.plan.walk() if step.name in pipeline.plan.outputs]
    ran = {record.step for record in row.steps.values()}
    outputs = [step for step in outputs if step.name in ran] or outputs
    for step in reversed(outputs):
        if (schema := step.answered_fields) is not None:
            grounds = (one for one in pipeline.plan.walk() if isinstance(one, GroundStep))
            prefix = next((one.prefix for one in grounds if one.of == step.id), "")
            return Shape(schema, f"{prefix}." if prefix else "")
    raise ConfigurationError(
        f"The documents of {pipeline.name} have no fields whose shape is known, so they can't be corrected. "
        "Approve or reject this one, or send it back."
    )


def corrected(
    shape: Shape, row: DocumentRow, values: Mapping[str, Any], content: DocumentContent
) -> Corrected:
    """The row's fields with a person's values.

    Args:
        shape: Of the fields.
        row: The document's row.
        values: By path, such as `total` or `items[0].amount`; a text stands for what the field's type makes
            of it, an empty one for no value.
        content: The document, read.

    Raises:
        CorrectionError: a path leads nowhere, the values do not fit the schema, or are what is there already.
    """
    before = copy.deepcopy(row.fields or {})
    wanted = copy.deepcopy(before)
    problems: list[str] = []
    for path, value in values.items():
        try:
            _put(wanted, shape.schema.fields, path.removeprefix(shape.prefix), value)
        except ValueError as error:
            problems.append(f"{path}: {error}")
    if problems:
        raise _wrong(problems)
    fields, errors = shape.schema.parse(json.dumps(wanted))
    if fields is None:
        raise _wrong(errors)
    old, new = _by_path(shape.schema, before), _by_path(shape.schema, fields)
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    if row.fields is not None and not paths:
        raise CorrectionError("These are the values that are there. Change one, or approve them.")
    ours = {f"{shape.prefix}{path}" for path in {**old, **new}}
    kept = [entry for entry in row.grounding if entry.path not in ours]
    found = look_up(list(shape.schema.leaves(fields)), content, shape.prefix)
    mine = [f"{shape.prefix}{path}" for path in paths]
    earlier = row.decision.corrected if row.decision is not None else []
    return Corrected(fields, [*found, *kept], list(dict.fromkeys([*earlier, *mine])))


def _wrong(problems: list[str]) -> CorrectionError:
    return CorrectionError(
        f"The values do not fit: {'; '.join(problems[:10])}. Nothing was changed.", problems=tuple(problems)
    )


def _by_path(schema: OutputSchema, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        return {leaf.path: leaf.value for leaf in schema.leaves(fields)}
    except (AttributeError, TypeError):  # what was there is not of this shape
        return {}


def _put(fields: dict[str, Any], specs: Mapping[str, FieldSpec], path: str, value: Any) -> None:
    """Put a value where its path leads."""
    parts = _parts(path)
    place: Any = fields
    spec: FieldSpec | None = None
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if isinstance(part, str):
            inner = specs if spec is None else (spec.fields or {})
            if part not in inner or not isinstance(place, dict):
                raise ValueError(f"there is no field {part!r}")
            spec = inner[part]
            following = parts[number + 1] if not is_last else None
            new = _read(spec, value, whole=True) if is_last else ([] if isinstance(following, int) else {})
            if is_last or place.get(part) is None:
                place[part] = new
            place = place[part]
            continue
        if spec is None or not spec.list or not isinstance(place, list) or part > len(place):
            raise ValueError(f"there is no item {part}")
        if part == len(place):
            place.append({} if spec.fields else None)
        if is_last:
            new = _read(spec, value, whole=False)
            if new is None:
                del place[part]
                return
            place[part] = new
        place = place[part]


def _parts(path: str) -> list[str | int]:
    parts: list[str | int] = []
    at = 0
    while at < len(path):
        found = _PART.match(path, at)
        if found is None:
            raise ValueError("write the place of a value as `total` or `items[0].amount`")
        parts.append(found[1] if found[1] is not None else int(found[2]))
        at = found.end()
    if not parts:
        raise ValueError("it is not said which field")
    return parts


def _read(spec: FieldSpec, value: Any, *, whole: bool) -> Any:
    """What a text stands for in a field; anything else stands for itself."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if (spec.list and whole) or spec.fields:
        if not text:
            return [] if spec.list and whole else None
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("write it as JSON") from None
    if not text:
        return None
    if spec.type == "boolean":
        if text.casefold() not in _WORDS:
            raise ValueError("write yes or no")
        return _WORDS[text.casefold()]
    if spec.type in ("integer", "number"):
        return _number(spec, text)
    return text


def _number(spec: FieldSpec, text: str) -> int | float:
    if not re.fullmatch(r"[+-]?\d+(\.\d+)?", text, re.ASCII):
        raise ValueError("write the number with digits and at most one point, such as 1250.50")
    if spec.type == "integer" and "." in text:
        raise ValueError("write a whole number")
    return int(text) if "." not in text else float(text)
