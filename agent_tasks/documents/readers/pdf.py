"""PDF."""

from __future__ import annotations

import io
import logging
import time

from pypdf import PasswordType, PdfReader

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.lines import squeeze
from agent_tasks.errors import DocumentTooLongError, UnreadableDocumentError

# pypdf warns about every oddity of a file that it reads well all the same; its errors arrive as exceptions.
logging.getLogger("pypdf").setLevel(logging.ERROR)


def read_pdf(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the text of a PDF."""
    if b"%PDF-" not in content[:1024]:
        raise UnreadableDocumentError(
            f"{filename} is not a PDF file, whatever its name says", document=filename
        )
    started = time.monotonic()
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise UnreadableDocumentError(
                f"{filename} is encrypted; save it without a password", document=filename
            )
        if (pages := len(reader.pages)) > limits.max_pages:
            raise too_long(filename, f"has {pages:,} pages", f"{limits.max_pages:,} pages")
        texts: list[str] = []
        characters = 0
        for page in reader.pages:
            texts.append(page.extract_text())
            characters += len(texts[-1])
            if characters > limits.max_characters:
                raise too_long(filename, "has too much text", f"{limits.max_characters:,} characters")
            if time.monotonic() - started > limits.max_seconds:
                raise too_long(filename, "takes too long to read", f"{limits.max_seconds:g} seconds")
    except (UnreadableDocumentError, DocumentTooLongError):
        raise
    except Exception as error:  # a damaged PDF makes pypdf raise almost anything
        raise UnreadableDocumentError(
            f"{filename} is damaged: {error or type(error).__name__}; export the PDF again", document=filename
        ) from error
    return DocumentContent(squeeze("\n\n".join(texts)))
