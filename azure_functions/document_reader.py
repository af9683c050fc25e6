"""Documents from blob storage as plain text.

One container only (`DOCUMENTS_CONTAINER`), names without tricks, and limits on bytes, pages and unpacked
size: a document is somebody else's.
"""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from collections.abc import Callable
from typing import Annotated

import app_settings
from azure.core.exceptions import ResourceNotFoundError
from pydantic import Field
from queue_tool import ToolError, in_thread, queue_tool
from storage import storage

MAX_BYTES = 20 * 1024 * 1024
MAX_PAGES = 300
MAX_UNPACKED_BYTES = 100 * 1024 * 1024
"""Of a docx, which is a zip file and may be small only until it is unpacked."""
SECONDS_TO_READ = 45.0

_NAME = re.compile(r"[^\\/\0-\x1f]+(/[^\\/\0-\x1f]+)*")


@queue_tool(timeout=90)
async def read_document(
    name: Annotated[str, Field(description="Name of the document", min_length=1, max_length=500)],
    max_chars: Annotated[int, Field(description="Most characters to return", ge=1, le=2_000_000)] = 20_000,
) -> dict[str, object]:
    """Read a document (pdf, docx, html, txt, md) of the company's store as plain text."""
    if _NAME.fullmatch(name) is None or any(part in (".", "..") for part in name.split("/")):
        raise ToolError("that is not the name of a document")
    ending = name.rpartition(".")[2].lower()
    if ending not in _READERS:
        raise ToolError(f"documents of this kind are not read; those that are: {', '.join(sorted(_READERS))}")
    blob = storage().blobs().get_blob_client(app_settings.documents_container(), name)
    try:
        found = await blob.download_blob(offset=0, length=MAX_BYTES + 1)
        content = await found.readall()
    except ResourceNotFoundError:
        raise ToolError("there is no document of that name") from None
    if len(content) > MAX_BYTES:
        raise ToolError(f"the document has more than {MAX_BYTES} bytes")
    try:
        async with asyncio.timeout(SECONDS_TO_READ):
            text = await in_thread(lambda: _READERS[ending](content), "read_document")
    except TimeoutError:
        raise ToolError(f"the document could not be read within {SECONDS_TO_READ:g} s") from None
    except ToolError:
        raise
    except Exception as error:  # the parsers raise whatever a broken file makes them stumble over
        raise ToolError(f"the document cannot be read: it is damaged, or no {ending} file") from error
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return {"name": name, "chars": len(text), "truncated": len(text) > max_chars, "text": text[:max_chars]}


def _plain(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")


def _html(content: bytes) -> str:
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(content, "html.parser")
    for hidden in soup(["script", "style", "template", "noscript"]):
        hidden.decompose()
    return "\n".join(line for line in (text.strip() for text in soup.get_text("\n").splitlines()) if line)


def _pdf(content: bytes) -> str:
    from pypdf import PdfReader

    pages = PdfReader(io.BytesIO(content)).pages
    if len(pages) > MAX_PAGES:
        raise ToolError(f"the document has {len(pages)} pages, at most {MAX_PAGES} are read")
    return "\n".join(page.extract_text() for page in pages)


def _docx(content: bytes) -> str:
    import docx

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise ToolError("the document is too large when it is unpacked")
    document = docx.Document(io.BytesIO(content))
    lines: list[str] = []
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            lines += ("\t".join(cell.text for cell in row.cells) for row in block.rows)
        else:
            lines.append(block.text)
    return "\n".join(lines)


_READERS: dict[str, Callable[[bytes], str]] = {
    "docx": _docx,
    "htm": _html,
    "html": _html,
    "md": _plain,
    "pdf": _pdf,
    "txt": _plain,
}
