"""Documents that are as they were: of these only the bytes are read, and their rows are counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from agent_tasks.ahead import one_ahead
from agent_tasks.batch.context import Batch
from agent_tasks.batch.observer import observer
from agent_tasks.batch.records import DocumentRow, RowInBrief
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import DocumentError
from agent_tasks.journal import DocumentRecord, ReviewKind, StoredDocument
from agent_tasks.operations import content_hash

__all__ = [
    "attached_rows", "count_attached", "count_document", "is_by_other", "settle_known", "undecided_row",
    "unsettled",
]  # fmt: skip

_LOOKED_AT_TOGETHER = 500  # documents whose rows are looked up in one statement
_FRESH = 5.0  # seconds for which is true what was seen of them


async def unsettled(batch: Batch, files: Sequence[DocumentFile]) -> AsyncIterator[list[DocumentFile]]:
    """Count the documents whose rows still hold, and those that other workers have settled in this run.

    Yields:
        Those that have to be worked on, for some hundred documents at a time. Rows and bytes of the next ones
        are looked at while these are counted.

    Raises:
        JournalError: The journal cannot be read.
    """
    starts = range(0, len(files), _LOOKED_AT_TOGETHER)
    parts = (files[start : start + _LOOKED_AT_TOGETHER] for start in starts)
    async for look in one_ahead(partial(_looked_at, batch, part) for part in parts):
        yield await _settle(batch, look)


async def settle_known(batch: Batch, files: Sequence[DocumentFile]) -> list[DocumentFile]:
    """Do as `unsettled` does for a few documents; returns those that have to be worked on."""
    return await _settle(batch, await _looked_at(batch, files))


@dataclass(frozen=True)
class _Look:
    """What was seen of some documents."""

    files: Sequence[DocumentFile]
    records: Mapping[str, StoredDocument]
    """Their rows, where they are of this pipeline."""
    hashes: Mapping[str, str]
    """The content hashes of those that an earlier run has settled."""
    at: float = field(default_factory=time.monotonic)


async def _looked_at(batch: Batch, files: Sequence[DocumentFile]) -> _Look:
    journal, scope = batch.ws.journal, batch.ws.scope
    records = {
        record.name: record
        for record in await journal.documents.named(scope, batch.key, [file.name for file in files])
        if record.fingerprint == batch.fingerprint_of(record.status)
    }
    earlier = [file for file in files if file.name in records and not is_by_other(batch, records[file.name])]
    hashes = await asyncio.to_thread(_hashes, earlier, batch.pipeline.limits.max_document_bytes)
    return _Look(files, records, hashes)


def _hashes(files: Sequence[DocumentFile], max_bytes: int) -> dict[str, str]:
    """The content hash of each file that can be read."""
    found = {}
    for file in files:
        with suppress(DocumentError):
            found[file.name] = content_hash(file.read(max_bytes))
    return found


async def _settle(batch: Batch, look: _Look) -> list[DocumentFile]:
    """Count the documents that need no work; returns the others."""
    if time.monotonic() - look.at > _FRESH:  # others were worked on meanwhile
        look = await _looked_at(batch, look.files)
    rows: dict[str, RowInBrief] = {}
    for name, found in look.hashes.items():
        record = look.records[name]
        if found == record.content_hash and _holds(batch, row := _in_brief(record), record):
            rows[name] = row
    decided = await _decided(batch, rows.values())
    return [
        file
        for file in look.files
        if not await _is_counted(
            batch, look.records.get(file.name), rows.get(file.name) if file.name not in decided else None
        )
    ]


async def _is_counted(batch: Batch, record: StoredDocument | None, row: RowInBrief | None) -> bool:
    """Count a document, and what is attached to it, if its row holds; returns whether it does."""
    if record is None:
        return False
    by_other = is_by_other(batch, record)
    settled = record.read(DocumentRow) if by_other else row
    attached = await attached_rows(batch, settled, by_other=by_other) if settled is not None else None
    if settled is None or attached is None:
        return False
    if isinstance(settled, DocumentRow):
        count_document(batch, settled, reused=True, by_other=True)
    else:
        batch.tally.count_document(settled, reused=True, by_other=False)
        observer().document_unchanged(settled, partial(record.read, DocumentRow))
    count_attached(batch, attached)
    return True


def _in_brief(record: StoredDocument) -> RowInBrief:
    """What is asked of an unchanged document's row; the whole of it is read when results are written.

    Raises:
        JournalVersionError: It can't be read, or another version's whole row can't be: that is better known
            before anything is paid for.
    """
    if not record.written.is_of_this_version:
        record.read(DocumentRow)
    return record.read(RowInBrief)


def is_by_other(batch: Batch, record: DocumentRecord | StoredDocument) -> bool:
    """Whether another worker has settled the document since the run began; this one counts its own itself."""
    return batch.ws.journal.is_shared and record.updated_at >= batch.started


def _holds(batch: Batch, row: DocumentRow | RowInBrief, record: DocumentRecord | StoredDocument) -> bool:
    """Whether the row of an unchanged document needs no more work."""
    if row.decision is not None and row.decision.kind is not ReviewKind.SEND_BACK:
        return True  # a person has looked at what could not be read
    # A failure that may pass is tried again, and so is one that cost nothing; but once in each run.
    # What could not be read may be read now, if the remedy was taken; the same turns come from the journal.
    again = (
        row.decision is not None
        or bool(row.unread)
        or (row.error is not None and (row.error.retryable or not row.readable))
    )
    return not again or record.updated_at >= batch.started


async def undecided_row(batch: Batch, record: DocumentRecord) -> DocumentRow | None:
    """The row of an unchanged document, unless it has to be worked on again, or can be: a person decided."""
    row = record.read(DocumentRow)
    return row if _holds(batch, row, record) and not await _decided(batch, [row]) else None


async def _decided(batch: Batch, rows: Iterable[DocumentRow | RowInBrief]) -> set[str]:
    """The documents that wait no longer for all that they did: somebody, or a time limit, has decided.

    Those that still wait cost nothing more than this one look.
    """
    awaited = {row.document: {one.key for one in row.waiting} for row in rows if row.waiting}
    if not awaited:
        return set()
    keys = set().union(*awaited.values())
    undecided = await batch.ws.journal.decisions.waiting(batch.ws.scope, keys)
    return {name for name, wanted in awaited.items() if not wanted <= undecided}


def count_document(batch: Batch, row: DocumentRow, *, reused: bool, by_other: bool) -> None:
    """Count a document that has its state, and tell whoever watches."""
    batch.tally.count_document(row, reused=reused, by_other=by_other)
    observer().document_finished(row, reused=reused, by_other=by_other)


async def attached_rows(
    batch: Batch, row: DocumentRow | RowInBrief, *, by_other: bool = False
) -> list[tuple[DocumentRecord, DocumentRow]] | None:
    """The rows of all that is attached to a document; None if one has to be worked on again."""
    found: list[tuple[DocumentRecord, DocumentRow]] = []
    for name in row.attachments:
        record = await batch.ws.journal.documents.get(batch.ws.scope, batch.key, name)
        if record is None or record.fingerprint != batch.fingerprint_of(record.status):
            return None
        attached = record.read(DocumentRow) if by_other else await undecided_row(batch, record)
        below = await attached_rows(batch, attached, by_other=by_other) if attached is not None else None
        if attached is None or below is None:
            return None
        found += [(record, attached), *below]
    return found


def count_attached(batch: Batch, attached: Sequence[tuple[DocumentRecord, DocumentRow]]) -> None:
    """Count what is attached to an unchanged document."""
    batch.tally.total += len(attached)
    for record, row in attached:
        count_document(batch, row, reused=True, by_other=is_by_other(batch, record))
