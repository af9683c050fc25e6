"""Uploaded files."""

from __future__ import annotations

from enum import StrEnum

from agent_tasks.wire.base import DeletionStatus, Open, UnixTime, WireModel

__all__ = ["FileDeletionStatus", "FileInfo", "FileListResponse", "FilePurpose", "FileState"]


class FilePurpose(StrEnum):
    """What a file is for (the published document names more than the client library does)."""

    ASSISTANTS = "assistants"
    ASSISTANTS_OUTPUT = "assistants_output"
    VISION = "vision"
    BATCH = "batch"
    BATCH_OUTPUT = "batch_output"
    FINE_TUNE = "fine-tune"
    FINE_TUNE_RESULTS = "fine-tune-results"


class FileState(StrEnum):
    """How far the service has come with a file."""

    UPLOADED = "uploaded"
    PENDING = "pending"
    RUNNING = "running"
    PROCESSED = "processed"
    ERROR = "error"
    DELETING = "deleting"
    DELETED = "deleted"


class FileInfo(WireModel):
    """An uploaded file. Recorded: `processed` at once."""

    object: str = "file"
    id: str
    bytes: int
    """Size in bytes."""
    filename: str
    created_at: UnixTime
    purpose: Open[FilePurpose]
    status: Open[FileState] | None = None
    status_details: str | None = None
    expires_at: UnixTime | None = None
    """Recorded, not in the spec."""


class FileListResponse(WireModel):
    """The list of files: one page holds them all."""

    object: str = "list"
    data: list[FileInfo]


class FileDeletionStatus(DeletionStatus):
    """Answer of the deletion of a file. Recorded: its object is `file`."""

    object: str = "file"
