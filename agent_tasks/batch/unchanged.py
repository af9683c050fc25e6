"""Documents that are as they were: of these only the bytes are read, and their rows are counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from agent_tasks.batch.context import Batch
from agent_tasks.batch.observer import observer
from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import DocumentError
from agent_tasks.journal import DocumentRecord, ReviewKind
from agent_tasks.operations import content_hash

__all__ = [
    "LOOKED_AT_TOGETHER", "attached_rows", "count_attached", "count_document", "is_by_other", "settle_known",
    "undecided_row",
]  # fmt: skip

LOOKED_AT_TOGETHER = 500
"""Documents whose rows are looked up in one statement."""


async def settle_known(batch: Batch, files: Sequence[DocumentFile]) -> list[DocumentFile]:
    """Count the documents whose rows still hold, and those that other workers have settled in this run.

    Returns:
        Those that have to be worked on.

    Raises:
        JournalError: The journal cannot be read.
    """
    journal, scope = batch.ws.journal, batch.ws.scope
    names = [file.name for file in files]
    records = {
        record.name: record
        for record in await journal.documents.since(scope, batch.key, names, 0.0)
        if record.fingerprint == batch.fingerprint_of(record.status)
    }
    earlier = [file for file in files if file.name in records and not is_by_other(batch, records[file.name])]
    hashes = await asyncio.to_thread(_hashes, earlier, batch.pipeline.limits.max_document_bytes)
    rows: dict[str, DocumentRow] = {}
    for file in earlier:
        if hashes.get(file.name) == records[file.name].content_hash:
            row = _row_that_holds(batch, records[file.name])
            rows |= {file.name: row} if row is not None else {}
    decided = await _decided(batch, rows.values())
    left = []
    for file in files:
        record = records.get(file.name)
        row = rows.get(file.name) if file.name not in decided else None
        if record is not None and is_by_other(batch, record):
            row = record.read(DocumentRow)
        attached = None
        if record is not None and row is not None:
            attached = await attached_rows(batch, row, by_other=is_by_other(batch, record))
        if record is not None and row is not None and attached is not None:
            count_document(batch, row, reused=True, by_other=is_by_other(batch, record))
            count_attached(batch, attached)
        else:
            left.append(file)
    return left


def _hashes(files: Sequence[DocumentFile], max_bytes: int) -> dict[str, str]:
    """The content hash of each file that can be read."""
    found = {}
    for file in files:
        with suppress(DocumentError):
            found[file.name] = content_hash(file.read(max_bytes))
    return found


def is_by_other(batch: Batch, record: DocumentRecord) -> bool:
    """Whether another worker has settled the document since the run began; this one counts its own itself."""
    return batch.ws.journal.is_shared and record.updated_at >= batch.started


def _row_that_holds(batch: Batch, record: DocumentRecord) -> DocumentRow | None:
    """The row of an unchanged document, unless it has to be worked on again."""
    row = record.read(DocumentRow)
    if row.decision is not None and row.decision.kind is not ReviewKind.SEND_BACK:
        return row  # a person has looked at what could not be read
    # A failure that may pass is tried again, and so is one that cost nothing; but once in each run.
    # What could not be read may be read now, if the remedy was taken; the same turns come from the journal.
    again = (
        row.decision is not None
        or bool(row.unread)
        or (row.error is not None and (row.error.retryable or not row.readable))
    )
    return None if again and record.updated_at < batch.started else row


async def undecided_row(batch: Batch, record: DocumentRecord) -> DocumentRow | None:
    """The row of an unchanged document, unless it has to be worked on again, or can be: a person decided."""
    row = _row_that_holds(batch, record)
    return None if row is None or await _decided(batch, [row]) else row


async def _decided(batch: Batch, rows: Iterable[DocumentRow]) -> set[str]:
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
    batch: Batch, row: DocumentRow, *, by_other: bool = False
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
