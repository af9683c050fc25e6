"""The confidence that a pipeline file asks of documents, checked when it is loaded."""

from __future__ import annotations

from typing import Any

from agent_tasks.confidence import Confidence, Demand
from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.pipeline.schema import ConfidenceSection
from agent_tasks.pipeline.yaml_source import YamlSource


def load_demand(
    source: YamlSource, section: ConfidenceSection | None, problems: list[PipelineError]
) -> Demand | None:
    """Read what a file says about confidence.

    Args:
        source: The file.
        section: As it has it; None if it says nothing.
        problems: Takes the mistakes.
    """
    if section is None:
        return None
    try:
        confidence = Confidence.read(source.path.parent / section.file)
    except ConfigurationError as error:
        said = f"{str(error).rstrip('.')}."
        problems.append(source.error(("confidence", "file"), said, "Correct what is named here."))
        return None
    at_least = section.at_least if section.at_least is not None else confidence.threshold
    if at_least is None:
        problems.append(
            source.error(
                ("confidence",),
                f"{section.file} proposes no threshold.",
                "Add `at_least`, or evaluate with more right values.",
            )
        )
        return None
    return Demand(confidence, at_least)


def asked(demand: Demand | None) -> dict[str, Any]:
    """What a fingerprint takes of it: nothing where nothing is asked, so what is done stays done."""
    return {"confidence": demand.facts()} if demand is not None else {}
