"""Pictures of the places where values stand, in the folder ``evidence`` beside the report.

A picture's name is made of what it shows, so that one that is there needs no look at its document. Names of
documents never get into it.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from agent_tasks.batch.context import Batch
from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.attachments import AttachedFile
from agent_tasks.documents.content import Place
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.documents.grounding import FieldGrounding
from agent_tasks.documents.place_pictures import VERSION, has_pictures
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.errors import AgentTasksError, DocumentError
from agent_tasks.logs import get_logger
from agent_tasks.operations import content_hash, operation_key

logger = get_logger("agent_tasks.batch.pictures")

FOLDER = "evidence"
_OURS = re.compile(r"[0-9a-f]{32}\.png")
_LEFT_BEHIND = re.compile(r"\.[0-9a-f]{32}\.png\.[0-9a-f]{16}\.part")


class Pictures:
    """The pictures of a batch's results.

    Args:
        batch: The batch; its limits bound them, for each document and in all.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._folder = batch.out / FOLDER
        self._left = batch.pipeline.limits.max_pictures
        self._used: set[str] = set()
        self._parents: dict[str, str | None] = {}
        self.problem: str | None = None
        """Why pictures are missing that could be there, for the report."""

    async def of(self, row: DocumentRow) -> DocumentRow:
        """Return a row whose grounded values name their pictures; what is missing of these is made.

        Rows come in the order of their names: that of what a document is attached to before its own.
        """
        if row.attachments and row.parent is not None:
            self._parents[row.document] = row.parent
        wanted = self._wanted(row)
        if not wanted:
            return row
        missing = {name: place for name, place in wanted.items() if not self._is_there(name)}
        if missing:
            await self._make(row, missing)
        there = {name for name in wanted if name not in missing or self._is_there(name)}
        self._used |= there
        self._left -= len(there)
        if not there:
            return row
        return row.model_copy(update={"grounding": [_named(row, entry, there) for entry in row.grounding]})

    def tidy(self) -> None:
        """Remove pictures that no row names any more, and what an interrupted run has left of one."""
        with suppress(OSError):
            for entry in list(os.scandir(self._folder)):
                is_old = _OURS.fullmatch(entry.name) and entry.name not in self._used
                if is_old or _LEFT_BEHIND.fullmatch(entry.name):
                    with suppress(OSError):
                        os.unlink(entry.path)
            if not self._used:
                self._folder.rmdir()  # unless something else is in it

    def _is_there(self, name: str) -> bool:
        try:
            return (self._folder / name).stat().st_size > 0
        except OSError:
            return False

    def _wanted(self, row: DocumentRow) -> dict[str, Place]:
        """Return what is to be shown of a document, by the names of the pictures."""
        found: dict[str, Place] = {}
        places = [place for entry in row.grounding for place in _shown(entry)]
        if not places or not has_pictures(row.document):
            return found
        most = min(self._left, self._batch.pipeline.limits.max_document_pictures)
        for place in places:
            if len(found) < most:
                found[_name(row, place)] = place
        return found

    async def _make(self, row: DocumentRow, missing: dict[str, Place]) -> None:
        """Make pictures of a document; of one that cannot be drawn, or is another one now, there are none."""
        limits = self._batch.pipeline.limits
        try:
            file = self._file(row.document, row.parent)
            content = await asyncio.to_thread(file.read, limits.max_document_bytes)
            if content_hash(content) != row.content_hash:
                return
            made = await shared_pool().pictures_async(
                content, row.document, list(missing.values()), limits=limits.reading
            )
        except DocumentError as error:
            logger.info("No pictures of places in %s: %s", row.document, error)
            return
        except AgentTasksError as error:  # the results are worth more than their pictures
            self.problem = self.problem or f"Pictures of places could not be made: {error}"
            return
        try:
            for name, picture in zip(missing, made, strict=True):
                if picture:
                    _write(self._folder / name, picture)
        except OSError as error:
            self.problem = f"Pictures of places could not be written to {self._folder}: {error.strerror}."

    def _file(self, name: str, parent: str | None) -> DocumentFile:
        """Return a document's file, or what stands for it in the document that holds it."""
        if parent is None:
            return DocumentFile(name, self._batch.folder / name)
        holder = self._file(parent, self._parents.get(parent))
        return AttachedFile(name, holder.path, parent=holder, limits=self._batch.pipeline.limits.reading)


def _shown(entry: FieldGrounding) -> Iterator[Place]:
    """Yield the place of a value of which a picture is made: the first that has a page and boxes."""
    for place in entry.places:
        if place.page is not None and place.boxes:
            yield place
            return


def _name(row: DocumentRow, place: Place) -> str:
    boxes = [[round(edge, 6) for edge in (box.left, box.top, box.right, box.bottom)] for box in place.boxes]
    key = operation_key("picture", version=VERSION, content=row.content_hash, page=place.page, boxes=boxes)
    return f"{key[:32]}.png"


def _named(row: DocumentRow, entry: FieldGrounding, there: set[str]) -> FieldGrounding:
    for place in _shown(entry):
        if (name := _name(row, place)) in there:
            return entry.model_copy(update={"picture": f"{FOLDER}/{name}"})
    return entry


def _write(path: Path, picture: bytes) -> None:
    """Put a picture in its place in one go."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            file.write(picture)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
