"""How what is made carries an operation's mark: in metadata, or in the name of a file."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import PurePath
from typing import Any, cast

from agent_tasks.backends.base import Mark, MarkedResource, ResourceKind

KEY_FIELD = "agent_tasks_key"
ATTEMPT_FIELD = "agent_tasks_attempt"
"""Metadata fields that carry an operation's mark."""

_MARK_IN_NAME = re.compile(r"\.([0-9a-f]{12})-\d+(?:\.[^.]*)?$")  # as `marked_name` writes it
_NAME_LENGTH = 180  # characters of a file's own name that its name on the service keeps


def metadata_of(mark: Mark) -> dict[str, str]:
    """The metadata that carries a mark."""
    return {KEY_FIELD: mark.key, ATTEMPT_FIELD: str(mark.attempt)}


def carries(metadata: Mapping[str, str] | None, mark: Mark) -> bool:
    """Whether metadata carries this mark."""
    return metadata is not None and metadata_of(mark).items() <= metadata.items()


def mark_in(metadata: Mapping[str, str] | None) -> Mark | None:
    """The mark that metadata carries; None: nothing of ours."""
    found = metadata or {}
    attempt = found.get(ATTEMPT_FIELD, "")
    return Mark(found[KEY_FIELD], int(attempt)) if KEY_FIELD in found and attempt.isdecimal() else None


def marked_name(name: str, mark: Mark) -> str:
    """The name of a file on the service: its own one with the mark in it."""
    path = PurePath(name)
    return f"{path.stem[:_NAME_LENGTH]}.{mark.text}{path.suffix}"


def key_in_name(name: str) -> str | None:
    """The beginning of the key in a file's name on the service."""
    found = _MARK_IN_NAME.search(name)
    return found.group(1) if found else None


async def find_file(files: AsyncIterator[Any], mark: Mark, since: float) -> str | None:
    """The id of the file whose name carries a mark."""
    async for file in files:
        if mark.text in file.filename and file.created_at >= since:
            return cast("str", file.id)
    return None


async def find_newest(items: AsyncIterator[Any], mark: Mark, since: float) -> str | None:
    """The id of what carries a mark in its metadata, in a list that begins with the newest."""
    async for item in items:
        if item.created_at < since:
            return None
        if carries(item.metadata, mark):
            return cast("str", item.id)
    return None


def marked_resource(kind: ResourceKind, item: Any) -> MarkedResource | None:
    """What an item of a list of the service is; None: nothing of ours."""
    name = item.filename if kind == "file" else getattr(item, "name", None) or ""
    key = key_in_name(name) if kind == "file" else (item.metadata or {}).get(KEY_FIELD)
    return MarkedResource(kind, item.id, name, key, float(item.created_at)) if key else None


async def files_newest_first(files: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Files, which are listed whole, the newest first."""
    for file in sorted([file async for file in files], key=lambda file: file.created_at, reverse=True):
        yield file
