"""The desk: documents that wait for a person, and what a decision about one needs.

    async with open_desk(Settings()) as desk:
        for item in await list_items(desk):
            await approve(desk, item, by="Ann Lee")

It needs the journal, the documents and the pipeline's file; no service is started or asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from agent_tasks.backends.base import Backend
from agent_tasks.batch.context import Batch
from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.attachments import AttachedFile
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.discovery import DocumentFile, located
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.errors import ConfigurationError, DocumentError, UnreadableDocumentError
from agent_tasks.journal import BatchRecord, DocumentRecord, Journal
from agent_tasks.operations import Workspace, content_hash
from agent_tasks.pipeline.loader import Pipeline, default_model, load_pipeline
from agent_tasks.settings import Settings

__all__ = ["Desk", "open_desk"]


_MOST_ROWS = 20_000  # that are remembered


class _NoService:
    """What stands for the service: people decide without it."""

    def __getattr__(self, name: str) -> Any:
        raise ConfigurationError(f"The review desk asks no service, and was told to ({name}).")


@dataclass
class Desk:
    """What people decide about, in one journal, for one service."""

    journal: Journal
    scope: str
    default_model: str | None = None
    """The model of agents that name none: a part of what identifies a pipeline."""
    shows_content: bool = True
    """Whether what was said in turns is shown (`AGENT_TASKS_SHOW_CONTENT`)."""
    _pipelines: dict[str, tuple[int, Pipeline]] = field(default_factory=dict)
    _rows: dict[tuple[str, str], tuple[dict[str, Any], DocumentRow]] = field(default_factory=dict)

    def row_of(self, batch: str, record: DocumentRecord) -> DocumentRow:
        """The row of a document; of one that is as it was when it was asked for last, the same one.

        The queue is looked through for every page, and to read a row costs more than all else.
        """
        known = self._rows.get((batch, record.name))
        if known is not None and known[0] == record.body:
            return known[1]
        if len(self._rows) >= _MOST_ROWS:
            self._rows.clear()
        row = record.read(DocumentRow)
        self._rows[batch, record.name] = record.body, row
        return row

    async def pipeline(self, batch: BatchRecord) -> Pipeline:
        """The pipeline of a batch, as its documents were worked on.

        Raises:
            ConfigurationError: its file is gone, or says something else now.
            PipelineError: its file is not valid any more.
        """
        path = Path(batch.pipeline_file)
        changed = f"Run {batch.pipeline} again, and look at what comes of it."
        try:
            stamp = path.stat().st_mtime_ns  # noqa: ASYNC240 - quick, and nothing else waits
        except OSError as error:
            raise ConfigurationError(
                f"The pipeline file {path} can't be read: {error.strerror}. Put it back. {changed}"
            ) from error
        known = self._pipelines.get(batch.key)
        if known is None or known[0] != stamp:
            model = self.default_model
            known = stamp, await asyncio.to_thread(load_pipeline, path, default_model=model)
            self._pipelines[batch.key] = known
        if known[1].fingerprint != batch.fingerprint:
            raise ConfigurationError(
                f"The pipeline file {path}, or the model of its agents, is not what the documents of "
                f"{batch.owner} were worked on with. {changed}"
            )
        return known[1]

    async def batch(self, where: BatchRecord) -> Batch:
        """A batch as its results are written from. Raises as `pipeline` does."""
        workspace = Workspace(cast("Backend", _NoService()), self.journal, scope=self.scope)
        pipeline = await self.pipeline(where)
        made = Batch(workspace, pipeline, Path(where.documents), Path(where.out))
        made.key, made.owner = where.key, where.owner
        return made

    async def content(self, where: BatchRecord, row: DocumentRow) -> bytes:
        """The bytes of a document.

        Raises:
            DocumentError: it is gone, or another one than its row is about.
            ConfigurationError: as `pipeline`, whose limits hold.
        """
        limits = (await self.pipeline(where)).limits
        file = await self._file(where, row)
        content = await asyncio.to_thread(file.read, limits.max_document_bytes)
        if content_hash(content) != row.content_hash:
            raise UnreadableDocumentError(
                f"{row.document} has changed since it was worked on. Run the pipeline again.",
                document=row.document,
            )
        return content

    async def read(self, where: BatchRecord, row: DocumentRow) -> DocumentContent:
        """A document's text, and where in it what stands. Raises as `content` does."""
        limits = (await self.pipeline(where)).limits
        content = await self.content(where, row)
        return await shared_pool().read_async(content, row.document, limits=limits.reading)

    async def _file(self, where: BatchRecord, row: DocumentRow) -> DocumentFile:
        if row.parent is None:
            return await asyncio.to_thread(located, Path(where.documents), row.document)
        record = await self.journal.documents.get(self.scope, where.key, row.parent)
        if record is None:
            raise DocumentError(f"{row.parent}, to which {row.document} is attached, is not in the batch.")
        holder = await self._file(where, record.read(DocumentRow))
        limits = (await self.pipeline(where)).limits
        return AttachedFile(row.document, holder.path, parent=holder, limits=limits.reading)


@asynccontextmanager
async def open_desk(settings: Settings) -> AsyncIterator[Desk]:
    """Open the journal that the settings name, for the service that they name.

    Raises:
        ConfigurationError: a setting can't be used.
        JournalError: the journal can't be read.
    """
    from agent_tasks.prefect.blocks import local_scope, open_workspace

    model = default_model(settings)
    if settings.project_endpoint:
        async with open_workspace(settings) as ws:
            yield Desk(ws.journal, ws.scope, model, settings.show_content)
    else:
        async with Journal(settings.journal_url.get_secret_value()) as journal:
            yield Desk(journal, local_scope(settings), model, settings.show_content)
