"""The sinks of a pipeline file, checked when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.pipeline.yaml_source import Location, YamlSource
from agent_tasks.steps.file.problems import told
from agent_tasks.steps.file.registry import kind_of, sink_kinds
from agent_tasks.steps.file.sinks import Sink


def load_sinks(
    source: YamlSource, entries: Sequence[Mapping[str, Any]], problems: list[PipelineError]
) -> tuple[Sink, ...]:
    """Make the sinks of a file.

    Args:
        source: The file.
        entries: As it has them.
        problems: Takes the mistakes.
    """
    sinks: list[Sink] = []
    for index, entry in enumerate(entries):
        location: Location = ("sinks", index)
        try:
            keyword = kind_of(entry, sink_kinds())
        except LookupError as error:
            said = f"{error.args[0].rstrip('.')}."
            problems.append(source.error(location, said, "See docs/steps.md for sinks."))
            continue
        kind = sink_kinds()[keyword]
        try:
            sinks.append(kind.make(kind.section.model_validate(entry)))
        except ValidationError as error:
            problems += told(source, error, kind.section, location)
        except ConfigurationError as error:
            said = f"{str(error).rstrip('.')}."
            problems.append(source.error((*location, keyword), said, "Correct what is named here."))
    return tuple(sinks)
