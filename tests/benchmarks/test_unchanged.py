"""What it costs to find that documents have not changed: all of them, and all but one in a hundred."""

from __future__ import annotations

import hashlib
from pathlib import Path

from agent_tasks.batch.context import batch_key
from agent_tasks.journal import DocumentRecord, Journal
from tests.benchmarks.batches import BatchFolder, plain_service
from tests.benchmarks.figures import Figures, Goal

DOCUMENTS, CHANGED = 10_000, 100


async def test_unchanged_documents(journal_url: str, tmp_path: Path, figures: Figures) -> None:
    """The time of runs over many, less that of a run over one; the first rows are copied from a real one."""
    folder = BatchFolder(tmp_path / "batch")
    folder.write(1)
    with plain_service(tmp_path / "service") as endpoint:
        folder.run(endpoint, journal_url)
        folder.write(DOCUMENTS - 1, first=1)
        await _copy_rows(folder, journal_url)
        one = BatchFolder(tmp_path / "one")
        one.write(1)
        one.run(endpoint, journal_url)
        base = one.run(endpoint, journal_url)
        unchanged = folder.run(endpoint, journal_url)
        assert unchanged["reused"] == DOCUMENTS
        for number in range(0, DOCUMENTS, DOCUMENTS // CHANGED):
            path = folder.path / "documents" / f"{number:05}.txt"
            path.write_text(path.read_text() + "Changed.\n")
        changed = folder.run(endpoint, journal_url)
        assert changed["reused"] == DOCUMENTS - CHANGED
        assert changed["turns"] == CHANGED
    each = (unchanged["seconds"] - base["seconds"]) / DOCUMENTS * 1000
    figures.add(f"unchanged document of {DOCUMENTS}, ms", each, Goal(0.2))
    processor = (unchanged["processor"] - base["processor"]) / DOCUMENTS * 1000
    figures.add(f"unchanged document of {DOCUMENTS}, processor ms", processor)
    figures.add(
        f"{DOCUMENTS} documents, {CHANGED} changed, s", changed["seconds"],
        against=unchanged["seconds"], what="none changed",
    )  # fmt: skip


async def _copy_rows(folder: BatchFolder, journal_url: str) -> None:
    """Give each further document the row that the first one has, as if it had been worked on."""
    key = batch_key("bench", folder.path / "documents")
    async with Journal(journal_url) as journal:
        first = await journal.documents.get("bench", key, "00000.txt")
        assert first is not None
        for path in sorted((folder.path / "documents").iterdir())[1:]:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            body = {**first.body, "document": path.name, "content_hash": content}
            record = DocumentRecord(
                name=path.name, content_hash=content, fingerprint=first.fingerprint, status=first.status,
                body=body,
            )  # fmt: skip
            await journal.documents.put("bench", key, record)
