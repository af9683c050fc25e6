"""Plain text out of documents: text and source files, Markdown, HTML, PDF and DOCX.

A leaf module: the pipeline and the local service read documents through the same function. The text is the
same every time: reading order, one line for each block element, paragraph or table row (cells joined by
`` | ``), no trailing spaces, no more than one blank line in a row. Nothing in a document is
executed or fetched.
"""

from __future__ import annotations

import codecs
import io
import logging
import re
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

import docx
from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PreformattedString, Tag
from docx.document import Document
from docx.section import _Footer, _Header
from docx.table import Table, _Cell
from docx.text.paragraph import Paragraph
from pypdf import PasswordType, PdfReader

from agent_tasks.errors import (
    DocumentTooLongError,
    EmptyDocumentError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)

# pypdf warns about every oddity of a file that it reads well all the same; its errors arrive as exceptions.
logging.getLogger("pypdf").setLevel(logging.ERROR)

# fmt: off
PLAIN_TEXT_EXTENSIONS = frozenset((
    ".c", ".cpp", ".cs", ".css", ".go", ".java", ".js", ".json", ".md", ".php", ".py", ".rb", ".sh", ".tex",
    ".ts", ".txt",
))
# fmt: on
"""Files taken as they are: the plain-text types of the service's own list (recorded: unsupported_file)."""

SUPPORTED_EXTENSIONS = PLAIN_TEXT_EXTENSIONS | {".html", ".htm", ".pdf", ".docx"}
"""Every extension :func:`extract_text` reads. The service also lists .doc and .pptx: not read here."""


@dataclass(frozen=True)
class TextLimits:
    """What a document may cost to read.

    ``max_bytes`` of the file; ``max_characters`` of the text; ``max_pages`` of a PDF;
    ``max_unpacked_bytes`` and ``max_ratio`` (unpacked to packed size) of a DOCX, which is a zip archive;
    ``max_seconds`` for the pages of a PDF, looked at between pages.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_characters: int = 8_000_000
    max_pages: int = 2_000
    max_unpacked_bytes: int = 256 * 1024 * 1024
    max_ratio: float = 200.0
    max_seconds: float = 120.0


DEFAULT_LIMITS = TextLimits()


def extract_text(content: bytes, filename: str, *, limits: TextLimits = DEFAULT_LIMITS) -> str:
    """The text of a document, its format taken from the extension of its name.

    Returns text that ends without a newline. Raises :class:`UnsupportedDocumentError` (extension),
    :class:`EmptyDocumentError` (no text in it), :class:`UnreadableDocumentError` (damaged, encrypted, not
    what its name says) and :class:`DocumentTooLongError` (a limit); each names the document.
    """
    extension = PurePath(filename).suffix.lower()
    reader = _reader(extension)
    if reader is None:
        raise UnsupportedDocumentError(
            f"{filename}: files of type {extension or '(no extension)'} are not supported; convert it to one"
            f" of {', '.join(sorted(SUPPORTED_EXTENSIONS))}",
            document=filename,
        )
    if not content:
        raise EmptyDocumentError(f"{filename} is empty (0 bytes)", document=filename)
    if len(content) > limits.max_bytes:
        raise _too_long(filename, f"has {len(content):,} bytes", f"{limits.max_bytes:,} bytes")
    text = reader(content, filename, limits)
    if not text:
        hint = " (a scan without a text layer? run text recognition on it)" if extension == ".pdf" else ""
        raise EmptyDocumentError(f"{filename} contains no text{hint}", document=filename)
    if len(text) > limits.max_characters:
        raise _too_long(filename, f"has {len(text):,} characters", f"{limits.max_characters:,} characters")
    return text


Reader = Callable[[bytes, str, TextLimits], str]


def _reader(extension: str) -> Reader | None:
    if extension in PLAIN_TEXT_EXTENSIONS:
        return _read_plain
    return {".html": _read_html, ".htm": _read_html, ".pdf": _read_pdf, ".docx": _read_docx}.get(extension)


def _too_long(filename: str, what: str, limit: str) -> DocumentTooLongError:
    return DocumentTooLongError(
        f"{filename} {what}, the limit is {limit}; split the document", document=filename
    )


# --- lines -------------------------------------------------------------------------------------------------

_SPACES = re.compile(r"[^\S\n]+")
_BLANK_LINES = re.compile(r"\n{3,}")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\ufeff\x00"))


def _tidy(text: str) -> str:
    """One kind of line end, no trailing spaces, at most one blank line in a row, none around the text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").translate(_INVISIBLE)
    lines = (line.rstrip() for line in text.split("\n"))
    return _BLANK_LINES.sub("\n\n", "\n".join(lines)).strip("\n").rstrip()


def _squeeze(text: str) -> str:
    """One space for any run of blanks, lines without margins: for formats whose blanks are only layout."""
    return _tidy("\n".join(_SPACES.sub(" ", line).strip() for line in text.split("\n")))


def _row(cells: Iterator[str]) -> str:
    texts = [" ".join(cell.split()) for cell in cells]
    return " | ".join(texts) if any(texts) else ""


# --- plain text --------------------------------------------------------------------------------------------

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark is the beginning of this one
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ALLOWED_CONTROLS = frozenset("\t\n\r\f\v")
_MAX_CONTROL_SHARE = 0.01
_MAX_NON_ASCII_SHARE = 0.30


def _read_plain(content: bytes, filename: str, limits: TextLimits) -> str:
    return _tidy(_decode(content, filename))


def _decode(content: bytes, filename: str) -> str:
    """Text by its byte order mark, else UTF-8, else Windows-1252 if that gives mostly printable text."""
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise _undecodable(filename, f"it is marked as {encoding} but is not") from error
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError as second:
            raise _undecodable(filename, "it is neither UTF-8 nor Windows-1252") from second
        if sum(char > "\x7f" for char in text) > _MAX_NON_ASCII_SHARE * len(text):
            raise _undecodable(filename, "it looks like binary data") from None
    controls = sum(
        char not in _ALLOWED_CONTROLS and unicodedata.category(char) in ("Cc", "Cn", "Co") for char in text
    )
    if controls > _MAX_CONTROL_SHARE * len(text):
        raise _undecodable(filename, "it looks like binary data")
    return text


def _undecodable(filename: str, why: str) -> UnreadableDocumentError:
    return UnreadableDocumentError(
        f"{filename} cannot be read as text: {why}; save it as UTF-8 or give it the extension of"
        " its real format",
        document=filename,
    )


# --- HTML --------------------------------------------------------------------------------------------------

# fmt: off
_DROPPED = frozenset(
    ("script", "style", "noscript", "template", "head", "svg", "math", "iframe", "object")
)
_CELLS = frozenset(("td", "th"))
_LINES = frozenset((
    "address", "body", "br", "caption", "center", "dd", "details", "dialog", "div", "dt", "fieldset",
    "figcaption", "form", "hr", "html", "legend", "li", "option", "pre", "summary", "tbody", "tfoot", "thead",
    "tr",
))
_PARAGRAPHS = frozenset((
    "article", "aside", "blockquote", "dl", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "main", "menu", "nav", "ol", "p", "section", "table", "ul",
))
# fmt: on
_GAP = re.compile(r"\s+")
_LINE, _PARAGRAPH = "\n", "\f"


def _read_html(content: bytes, filename: str, limits: TextLimits) -> str:
    declared = EncodingDetector.find_declared_encoding(content, is_html=True, search_entire_document=False)
    has_bom = any(content.startswith(bom) for bom, _ in _BOMS)
    try:
        if declared and not has_bom and declared.lower().replace("-", "") not in ("utf8", "utf16"):
            markup = content.decode(declared)
        else:
            markup = _decode(content, filename)
    except (LookupError, UnicodeDecodeError):  # an unknown or untrue declaration
        markup = _decode(content, filename)
    return _tidy(_GAP.sub(_gap, "".join(_html_pieces(BeautifulSoup(markup, "lxml")))))


def _gap(blanks: re.Match[str]) -> str:
    if _PARAGRAPH in blanks[0]:
        return "\n\n"
    return "\n" if _LINE in blanks[0] else " "


def _html_pieces(soup: BeautifulSoup) -> Iterator[str]:
    """Text in document order, with marks around blocks and between cells; no recursion, nesting is free."""
    rows: list[int] = []  # cells seen so far in each open row
    cell_of_row: list[bool] = [False]  # for each open table: whether we are inside one of its cells
    todo: list[tuple[Tag | NavigableString, bool]] = [(soup, False)]
    while todo:
        node, closing = todo.pop()
        if isinstance(node, NavigableString):
            if not isinstance(node, PreformattedString):  # comments, declarations
                preformatted = node.parent is not None and node.parent.name == "pre"
                yield str(node) if preformatted else _SPACES.sub(" ", node.replace("\n", " "))
            continue
        name = node.name
        if name in _DROPPED:
            continue
        if name == "table":
            if closing:
                cell_of_row.pop()
            else:
                cell_of_row.append(False)
        if name == "tr":
            if closing:
                rows.pop()
            else:
                rows.append(0)
        if name in _CELLS:
            cell_of_row[-1] = not closing
            if not closing and rows:
                rows[-1] += 1
                if rows[-1] > 1:
                    yield " | "
        elif name in _PARAGRAPHS or name in _LINES:
            yield " " if cell_of_row[-1] else _PARAGRAPH if name in _PARAGRAPHS else _LINE
        if not closing:
            todo.append((node, True))
            todo.extend(
                (child, False)
                for child in reversed(node.contents)
                if isinstance(child, Tag | NavigableString)
            )


# --- PDF ---------------------------------------------------------------------------------------------------


def _read_pdf(content: bytes, filename: str, limits: TextLimits) -> str:
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
            raise _too_long(filename, f"has {pages:,} pages", f"{limits.max_pages:,} pages")
        texts: list[str] = []
        characters = 0
        for page in reader.pages:
            texts.append(page.extract_text())
            characters += len(texts[-1])
            if characters > limits.max_characters:
                raise _too_long(filename, "has too much text", f"{limits.max_characters:,} characters")
            if time.monotonic() - started > limits.max_seconds:
                raise _too_long(filename, "takes too long to read", f"{limits.max_seconds:g} seconds")
    except (UnreadableDocumentError, DocumentTooLongError):
        raise
    except Exception as error:  # a damaged PDF makes pypdf raise almost anything
        raise UnreadableDocumentError(
            f"{filename} is damaged: {error or type(error).__name__}; export the PDF again", document=filename
        ) from error
    return _squeeze("\n\n".join(texts))


# --- DOCX --------------------------------------------------------------------------------------------------


def _read_docx(content: bytes, filename: str, limits: TextLimits) -> str:
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
        raise _too_long(
            filename,
            f"unpacks from {len(content):,} to {unpacked:,} bytes",
            f"{limits.max_unpacked_bytes:,} bytes and a factor of {limits.max_ratio:g}",
        )
    try:
        return _squeeze("\n".join(_docx_lines(docx.Document(io.BytesIO(content)))))
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
        yield _row(" ".join(_docx_blocks(_Cell(tc, table))) for tc in cells)
