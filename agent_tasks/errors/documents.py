"""Documents and pipeline files that cannot be used, results that cannot be written."""

from __future__ import annotations

from collections.abc import Sequence

from agent_tasks.errors.base import AgentTasksError


class DocumentError(AgentTasksError):
    """A document cannot be worked on."""

    document: str | None = None
    """The document's name."""


class UnsupportedDocumentError(DocumentError):
    """The format of the document is not supported."""


class UnreadableDocumentError(DocumentError):
    """The document is damaged, encrypted or not what its name says."""


class EmptyDocumentError(DocumentError):
    """There is no text in the document."""


class DocumentTooLongError(DocumentError):
    """The document exceeds a limit on its size."""


class ResultsError(AgentTasksError):
    """A file of results or of a report cannot be written: the disk is full, or the folder has changed."""

    path: str
    """The file."""


class PipelineError(AgentTasksError):
    """A pipeline file is invalid.

    The text reads `PATH:LINE: FIELD: what is wrong. Remedy.`
    """

    path: str | None = None
    """The file."""
    line: int | None = None
    """Its line."""
    field: str | None = None
    """Its field."""
    remedy: str | None = None
    """What to write instead."""
    problems: Sequence[PipelineError] = ()
    """All that were found, by line; the text has a line for each."""

    def text(self) -> str:
        """The place, what is wrong there, and the remedy."""
        where = ":".join(str(part) for part in (self.path, self.line) if part is not None)
        text = ": ".join(part for part in (where, self.field, self.message) if part)
        return f"{text} {self.remedy}" if self.remedy else text


class ExpressionError(AgentTasksError):
    """An expression of a pipeline file is not one, or cannot be worked out on the values of a document."""


class StepStoppedError(AgentTasksError):
    """A step has found that a person has to look at the document; the steps after it are left out."""

    step: str | None = None
    """The step's name, such as `draft/2/reviewer`."""
