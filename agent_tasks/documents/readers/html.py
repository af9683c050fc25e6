"""HTML: the text that a browser shows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bs4 import BeautifulSoup
from bs4.dammit import EncodingDetector
from bs4.element import NavigableString, PreformattedString, Tag

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.lines import SPACES, tidy
from agent_tasks.documents.readers.plain import BYTE_ORDER_MARKS, decode

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


def read_html(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the visible text of a page of HTML."""
    declared = EncodingDetector.find_declared_encoding(content, is_html=True, search_entire_document=False)
    has_bom = any(content.startswith(bom) for bom, _ in BYTE_ORDER_MARKS)
    try:
        if declared and not has_bom and declared.lower().replace("-", "") not in ("utf8", "utf16"):
            markup = content.decode(declared)
        else:
            markup = decode(content, filename)
    except (LookupError, UnicodeDecodeError):  # an unknown or untrue declaration
        markup = decode(content, filename)
    pieces = _html_pieces(BeautifulSoup(markup, "lxml"))
    return DocumentContent(tidy(_GAP.sub(_gap, "".join(pieces))))


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
                yield str(node) if preformatted else SPACES.sub(" ", node.replace("\n", " "))
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
