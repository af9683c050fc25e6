"""YAML files that a person writes for the service: read strictly, and explained without their content."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from agent_tasks.known_names import did_you_mean

__all__ = ["YamlError", "describe", "parse"]


class YamlError(ValueError):
    """A text is no YAML, or says something twice; the message names the line and leaves its content out."""


class _Loader(yaml.SafeLoader):
    """PyYAML's own lets a repeated key overwrite the earlier one, in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise YamlError(f"line {key.start_mark.line + 1}: '{key.value}' is there twice")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def parse(text: str | bytes) -> Any:
    """Return the content of a YAML (or JSON) text. Raises `YamlError`."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:  # its own text shows the line, in which a secret may stand
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"{where}{error.problem or 'not YAML'}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise YamlError(f"not readable as YAML ({type(error).__name__})") from None
    except YamlError:
        raise
    except ValueError as error:  # a scalar such as 2026-02-30
        raise YamlError(f"an impossible value: {error}") from None


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what is wrong with a content, field by field; values are left out, they may be secret."""
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        place = ".".join(str(part) for part in item["loc"])
        said = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            said = f"is not known. {did_you_mean(str(item['loc'][-1]), _known(model, item['loc'][:-1]))}"
        problems.append(f"{place}: {said}" if place else said)
    return "; ".join(problems)


def _known(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The fields that may stand at a place, as far as models are nested in each other by name."""
    annotation: Any = model
    for part in location:
        found = _model_in(annotation)
        if found is not None and part in found.model_fields:
            annotation = found.model_fields[str(part)].annotation
    found = _model_in(annotation)
    return list(found.model_fields) if found is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is, or contains last: the values of a mapping, the items of a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [one for one in map(_model_in, getattr(annotation, "__args__", ())) if one is not None]
    return found[-1] if found else None
