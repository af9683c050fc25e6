"""DOCX: documents of Word."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator

import docx
from docx.document import Document
from docx.section import _Footer, _Header
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.lines import joined_cells, squeeze
from agent_tasks.errors import UnreadableDocumentError


def read_docx(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a document of Word."""
    if content.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableDocumentError(
            f"{filename} is encrypted or in the old .doc format; save it as .docx without a password",
            document=filename,
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise UnreadableDocumentError(
            f"{filename} is not a DOCX file: {error}; save it again as .docx", document=filename
        ) from error
    # zipfile never unpacks more of an entry than its directory declares, so the sizes can be trusted.
    if unpacked > limits.max_unpacked_bytes or unpacked > limits.max_ratio * len(content):
        raise too_long(
            filename,
            f"unpacks from {len(content):,} to {unpacked:,} bytes",
            f"{limits.max_unpacked_bytes:,} bytes and a factor of {limits.max_ratio:g}",
        )
    try:
        return DocumentContent(squeeze("\n".join(_docx_lines(docx.Document(io.BytesIO(content))))))
    except Exception as error:  # a damaged DOCX makes python-docx and lxml raise almost anything
        raise UnreadableDocumentError(
            f"{filename} is damaged: {error or type(error).__name__}; save it again as .docx",
            document=filename,
        ) from error


def _docx_lines(document: Document) -> Iterator[str]:
    """Headers, body, footers: letterheads and bank details often stand outside the body."""
    yield from _docx_margins([section.header for section in document.sections])
    yield from _docx_blocks(document)
    yield from _docx_margins([section.footer for section in document.sections])


def _docx_margins(margins: list[_Header] | list[_Footer]) -> Iterator[str]:
    seen: set[str] = set()
    for margin in margins:
        if not margin.is_linked_to_previous:
            for line in _docx_blocks(margin):
                if line not in seen:
                    seen.add(line)
                    yield line


def _docx_blocks(container: Document | _Header | _Footer | _Cell) -> Iterator[str]:
    for block in container.iter_inner_content():
        if isinstance(block, Paragraph):
            yield block.text
        else:
            yield from _docx_rows(block)


def _docx_rows(table: Table) -> Iterator[str]:
    for row in table.rows:
        # a merged cell comes once for each column it spans
        cells = dict.fromkeys(cell._tc for cell in row.cells)
        yield joined_cells(" ".join(_docx_blocks(_Cell(tc, table))) for tc in cells)
