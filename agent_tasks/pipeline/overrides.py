"""Changes to a pipeline file on the command line: `agents.reviewer.model=gpt-4o`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from agent_tasks.errors import ConfigurationError
from agent_tasks.pipeline.yaml_source import Location, YamlSource, dotted

_PART = re.compile(r"(?P<name>[^.\[\]=]+)(?P<items>(?:\[\d+\])*)")


@dataclass(frozen=True)
class Change:
    """A value to be put at a place of the file."""

    location: Location
    value: Any

    @classmethod
    def parse(cls, text: str) -> Change:
        """Read `a.b[0].c=VALUE`; VALUE is YAML, such as `4`, `true`, `{a: 1}` or plain text.

        Raises:
            ConfigurationError: It is not of that form.
        """
        path, equals, value = text.partition("=")
        location: list[str | int] = []
        for part in path.strip().split("."):
            found = _PART.fullmatch(part)
            if not equals or found is None:
                raise ConfigurationError(
                    f"{text!r} is no change of a pipeline file. Write it as agents.reviewer.model=gpt-4o."
                )
            location += [found["name"], *(int(item) for item in re.findall(r"\d+", found["items"]))]
        try:
            return cls(tuple(location), yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigurationError(
                f"The value in {text!r} is not YAML: {error}. Put it in quotes."
            ) from error


def apply_changes(source: YamlSource, changes: Iterable[Change]) -> None:
    """Change a file's data as it was read; the file itself stays as it is.

    Raises:
        PipelineError: There is no such place.
    """
    for change in changes:
        here = source.data
        for depth, part in enumerate(change.location[:-1]):
            below = change.location[depth + 1]
            if isinstance(here, dict) and isinstance(part, str) and here.get(part) is None:
                here[part] = [] if isinstance(below, int) else {}
            here = _step(source, here, change.location[: depth + 1])
        last = change.location[-1]
        if isinstance(here, dict) and isinstance(last, str):
            here[last] = change.value
        elif isinstance(here, list) and last == len(here):
            here.append(change.value)
        else:
            _step(source, here, change.location)
            here[last] = change.value


def _step(source: YamlSource, here: Any, location: Location) -> Any:
    try:
        return here[location[-1]]
    except (KeyError, IndexError, TypeError):
        raise source.error(
            location[:-1], f"has no place {dotted(location)}.", "Look at the file for what can be changed."
        ) from None
