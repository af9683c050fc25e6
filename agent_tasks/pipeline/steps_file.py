"""A pipeline file with `steps`: what may stand in it besides what every file may say."""

from __future__ import annotations

from pydantic import Field

from agent_tasks.pipeline.schema import FileHead
from agent_tasks.steps.file.agents import AgentEntry
from agent_tasks.steps.file.sections import RawSteps, StepId


class StepsFile(FileHead):
    """A pipeline file with steps of any shape."""

    agents: dict[StepId, AgentEntry] = Field(min_length=1)
    """The agents, by the names that steps call them by."""
    steps: RawSteps
    """The steps of each document, one after the other."""
    corpus: RawSteps = ()
    """The steps over all documents, when each has its state."""
    output: str | None = None
    """The step whose answer is the fields of a document's row, such as ``details/lessor``; default whichever
    `extract` ran last, or else the last step that answers with fields."""
