"""The JSON of a row: in which format it is, who wrote it, and what is said where it can't be read.

A newer version may write what this one does not know. Taking a part of it for the whole would do again what
was done, so such a row is refused, in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from sqlalchemy import RowMapping

from agent_tasks.errors import JournalVersionError

Row: TypeAlias = RowMapping | Mapping[str, Any]
"""A row of a table by the names of its columns."""

PACKAGE = "prefect-azure-agents"

FORMAT = 1
"""The format of the JSON that this version writes. Raise it when an older version would misread what is new
in a row; what is only added is refused there anyway, since no model takes unknown names."""

_Model = TypeVar("_Model", bound=BaseModel)

OTHER_JOURNAL = "take another journal (AGENT_TASKS_JOURNAL_URL)"
"""What helps where another version can't be had; all is done anew there, and paid for."""


@cache
def this_version() -> str:
    """The version of this package; that of a clone which is on the path and not installed is not known."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "a clone"


def as_written() -> dict[str, Any]:
    """The columns that say how a row's JSON is to be read."""
    return {"format": FORMAT, "version": this_version()}


@dataclass(frozen=True)
class Written:
    """Where a row is, and who wrote it."""

    row: str
    """The row, for messages, such as `document a.txt`."""
    journal: str
    """The journal's address, fit for messages."""
    version: str | None = field(default_factory=this_version)
    """The version that wrote it; None of one before schema 0003."""

    @classmethod
    def of(cls, row: Row, what: str, journal: str) -> Written:
        """Say of a row what it is, if its format is known.

        Raises:
            JournalVersionError: a newer version wrote it, in a format that is not known here.
        """
        written = cls(what, journal, row["version"])
        if row["format"] > FORMAT:
            newer = f" {written.version}" if written.version else ""
            raise JournalVersionError(
                f"The row of {what} in the journal {journal} was written by {PACKAGE}{newer} in format "
                f"{row['format']}. This is {this_version()}, which knows formats up to {FORMAT}. Upgrade "
                f"{PACKAGE} to{newer or ' the version that wrote it'}, or {OTHER_JOURNAL}."
            )
        return written

    def read(self, model: type[_Model], value: Any) -> _Model:
        """A part of the row's JSON as a model.

        Raises:
            JournalVersionError: it is not what this version knows.
        """
        try:
            return model.model_validate(value)
        except ValidationError as error:
            raise JournalVersionError(
                f"The row of {self.row} in the journal {self.journal} can't be read by {PACKAGE} "
                f"{this_version()}: {_told(error)}. {self._remedy()}"
            ) from None

    @property
    def is_of_this_version(self) -> bool:
        """Whether this version wrote it."""
        return self.version == this_version()

    def _remedy(self) -> str:
        if self.version is None:
            return f"A version before schema 0003 wrote it. Use that one, or {OTHER_JOURNAL}."
        if self.version == this_version():
            return (
                "This version wrote it, or another build of it; or it was changed by hand. Restore a copy, "
                f"or {OTHER_JOURNAL}."
            )
        return f"It was written by {self.version}. Upgrade {PACKAGE} to that version, or {OTHER_JOURNAL}."


def _told(error: ValidationError) -> str:
    """What is wrong, without the values: they are documents' and people's."""
    found = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the whole'}: {one['msg']}"
        for one in error.errors(include_url=False, include_input=False, include_context=False)
    ]
    return "; ".join(found[:3])
