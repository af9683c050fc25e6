"""How mistakes in a pipeline file are told: what pydantic found, with the line, the field and the remedy."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ValidationError

from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.yaml_source import Location, YamlSource

__all__ = ["first_of", "told"]


def first_of(problems: Iterable[PipelineError]) -> PipelineError:
    """The first problem by line; its text goes on with the others."""
    distinct = {str(problem): problem for problem in problems}.values()
    ordered = sorted(distinct, key=lambda problem: problem.line or 0)
    first = ordered[0]
    more = "".join(f"\n{problem}" for problem in ordered[1:])
    return PipelineError(
        first.message,
        path=first.path,
        line=first.line,
        field=first.field,
        remedy=f"{first.remedy or ''}{more}",
        problems=ordered,
    )


def told(
    source: YamlSource, error: ValidationError, model: type[BaseModel], where: Location = ()
) -> list[PipelineError]:
    """What pydantic found, as mistakes of the file.

    Args:
        source: The file.
        error: What pydantic raised for a part of it.
        model: What the part was checked against.
        where: Where the part stands in the file.
    """
    problems: list[PipelineError] = []
    # A misspelt key is told before the key that is missing because of it.
    for detail in sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing"):
        inside: Location = tuple(part for part in detail["loc"] if not _is_pydantics(part))
        location: Location = (*where, *inside)
        message = detail["msg"].removeprefix("Value error, ")
        message = message[:1].lower() + message[1:] + "."
        remedy = "Correct the value."
        kind = detail["type"]
        if kind == "extra_forbidden":
            known = _known_keys(inside[:-1], model)
            close = difflib.get_close_matches(str(location[-1]), known, n=1)
            message = "is not a known setting."
            remedy = f"Did you mean '{close[0]}'?" if close else f"Known here: {', '.join(known)}."
        elif kind in ("literal_error", "enum"):
            possible = re.findall(r"'([^']*)'", str(detail.get("ctx", {}).get("expected", "")))
            close = difflib.get_close_matches(str(detail["input"]), possible, n=1)
            remedy = f"Did you mean '{close[0]}'?" if close else remedy
        elif kind == "missing":
            message = "is required, but missing."
            remedy = f"Add `{location[-1]}:`."
        elif kind in ("string_type", "string_unicode"):
            remedy = "Write text; put it in quotes if it looks like a number, a date or yes/no."
        elif kind in ("model_type", "dict_type", "model_attributes_type"):
            message = "must be a mapping of settings."
            remedy = "Indent its settings below it, each as `key: value`."
        elif kind in ("list_type", "tuple_type"):
            message = "must be a list."
            remedy = "Write each item on its own line after `- `."
        problems.append(source.error(location, message, remedy))
    return problems


def _is_pydantics(part: str | int) -> bool:
    """Whether a part of a location is no key of the file: `[key]`, or the tag of an alternative."""
    return part == "[key]" or (isinstance(part, str) and part.startswith("("))


def _known_keys(location: Location, root: type[BaseModel]) -> list[str]:
    """Settings that may stand at a place of the file, found by walking the models."""
    model: type[BaseModel] | None = root
    inside: Any = None
    for part in location:
        if inside is not None:  # a list item, or a value of a mapping with free keys
            annotation, inside = inside, None
        elif model is not None and part in model.model_fields:
            annotation = model.model_fields[str(part)].annotation
        else:
            return []
        model, inside = _content(annotation)
    fields = model.model_fields if model is not None else {}
    return [field.alias or name for name, field in fields.items()]


def _content(annotation: Any) -> tuple[type[BaseModel] | None, Any]:
    """The model an annotation stands for, or the annotation of what its list or mapping contains."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is Annotated:
        return _content(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _content(next(option for option in arguments if option is not type(None)))
    if origin is tuple:
        return None, arguments[0]
    if origin is dict:
        return None, arguments[1]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, None
    return None, None
