"""HTML: the text that a browser shows, parsed as browsers parse it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.plain import BYTE_ORDER_MARKS, Decoded, decode
from agent_tasks.documents.readers.tables import Cell, Line, Row
from agent_tasks.documents.readers.text_builder import TextBuilder, shifted

# fmt: off
_DROPPED = frozenset((
    "head", "script", "style", "template", "noscript", "iframe", "object", "canvas", "audio", "video", "rp",
    "rt", "datalist", "title", "desc", "metadata", "annotation", "annotation-xml", "-comment",
))
_LINES = frozenset((
    "address", "body", "caption", "center", "dd", "details", "dialog", "div", "dt", "fieldset", "figcaption",
    "form", "hr", "legend", "li", "option", "pre", "summary", "tbody", "tfoot", "thead",
))
_PARAGRAPHS = frozenset((
    "article", "aside", "blockquote", "dl", "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "main", "menu", "nav", "ol", "p", "section", "table", "ul",
))
_ENDLESS = frozenset((  # elements that have no end, or need none
    "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option",
    "p", "source", "tbody", "td", "tfoot", "th", "thead", "tr", "track", "wbr",
))
# fmt: on
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_COLUMNS = re.compile(r"[ \t]{2,}|\t")
_TAGS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)[^<>]*?(/?)>")
_EMPTY = re.compile(r"<([a-zA-Z][\w:-]*)((?:\s[^<>]*?)?)/>")
_HIDING = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)"
    r"|(?:opacity|font-size)\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:!|;|$))",
    re.IGNORECASE,
)
_DECLARED = re.compile(
    rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]+)|^\s*<\?xml[^>]{0,100}encoding=["']([\w.:-]+)""",
    re.I,
)
_AS_BROWSERS_DO = {
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "ascii", "us-ascii"), "cp1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "x-user-defined": "cp1252",
}
_EAST_ASIAN = ("gb18030", "cp932", "cp949", "big5", "big5hkscs", "euc-jp", "iso-2022-jp")
MAX_DEPTH = 10_000


def read_html(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read the text that a browser shows of a page; nothing that hides itself."""
    decoded = decode_html(content, filename)
    builder = TextBuilder(filename, limits)
    markup = as_html(decoded.text) if decoded.text.lstrip().startswith("<?xml") else decoded.text
    for line in html_lines(markup, filename):
        builder.line(line.text)
    return builder.content(notes=decoded.notes)


def decode_html(content: bytes, filename: str, declared: str | None = None) -> Decoded:
    """Decode a page: by its mark, as UTF-8 if it is, as declared, else by what its letters are.

    Args:
        content: The page.
        filename: For errors.
        declared: The encoding that was declared outside of it, which counts more than what it says itself.
    """
    if any(content.startswith(mark) for mark, _ in BYTE_ORDER_MARKS):
        return decode(content, filename)
    if declared is None and (found := _DECLARED.search(content[:4096])):
        declared = (found[1] or found[2]).decode("ascii", "replace")
    encoding = _AS_BROWSERS_DO.get((declared or "").lower(), (declared or "").lower())
    for tried in (encoding, "utf-8") if encoding in _EAST_ASIAN else ("utf-8", encoding):
        try:
            if tried and b"\0" not in content:
                return Decoded(content.decode(tried))
        except (LookupError, ValueError):  # an unknown or untrue declaration
            continue
    return decode(content, filename)


def as_html(markup: str) -> str:
    """Return XHTML in the syntax of HTML, where ``<title/>`` makes a title of all that follows."""
    return _EMPTY.sub(
        lambda match: match[0] if match[1].lower() in _ENDLESS else f"<{match[1]}{match[2]}></{match[1]}>",
        markup,
    )


def html_lines(markup: str, filename: str) -> list[Line]:
    """Return the lines of a page; an empty one where a paragraph begins or ends."""
    with reading(filename, "HTML", "save it again as HTML"):
        if _depth(markup) > MAX_DEPTH:
            raise too_long(filename, "has elements nested too deep", f"{MAX_DEPTH:,} levels")
        lowered = markup.lower()
        if ("<td" in lowered or "<th" in lowered) and "<table" not in lowered:
            markup = f"<table>{markup}"  # cells alone: without a table, browsers join them
        return _Page().lines(LexborHTMLParser(markup.encode("utf-8", "replace").decode()))


def _depth(markup: str) -> int:
    """Return how deep elements are nested at most; the parser takes a time that grows with its square."""
    depth = deepest = 0
    for end, name, empty in _TAGS.findall(markup):
        if empty or name.lower() in _ENDLESS:
            continue
        depth = max(depth - 1, 0) if end else depth + 1
        deepest = max(deepest, depth)
    return deepest


class _Page:
    """Text in document order; no recursion, nesting is free."""

    def __init__(self) -> None:
        self._cells = [Cell()]
        self._rows: list[Row] = []
        self._buffer: list[str] = []
        self._preformatted = 0
        self._shifts: list[str] = []

    def lines(self, parser: LexborHTMLParser) -> list[Line]:
        root = parser.root
        node = root.child if root is not None and root.tag != "html" else root
        while node is not None:
            child = node.child if self._enter(node) else None
            if child is not None:
                node = child
                continue
            node = self._next(node)
        self._flush()
        return self._cells[0].lines

    def _next(self, node: LexborNode) -> LexborNode | None:
        while True:
            self._leave(node)
            if (following := node.next) is not None:
                return following
            parent = node.parent
            if parent is None or parent.tag in ("-document", "-undef", None):
                return None
            node = parent

    # --- elements ---

    def _enter(self, node: LexborNode) -> bool:
        """Take what an element shows itself; tell whether its children are to be read."""
        name = node.tag or ""
        if name == "-text":
            self._text(node.text_content or "")
            return False
        if name in _DROPPED or _is_hidden(node, name):
            return False
        if name == "br":
            self._buffer.append("\n")
        elif name == "img":
            self._buffer.append(f" {node.attributes.get('alt') or ''} ")
        elif name == "input":
            self._buffer.append(f" {_value(node)} ")
        elif name == "select":
            self._buffer.append(f" {', '.join(_chosen(node))} ")
            return False
        elif name in ("textarea", "button"):
            self._buffer.append(" ")
        elif name == "tr":
            self._flush()
            self._rows.append(Row(len(self._cells)))
        elif name in ("td", "th"):
            self._start_cell()
        else:
            self._block(name)
        if name in ("pre", "textarea"):
            self._preformatted += 1
        elif name in ("sup", "sub"):
            self._shifts.append(name)
        return True

    def _leave(self, node: LexborNode) -> None:
        name = node.tag or ""
        if name == "-text" or name in _DROPPED or _is_hidden(node, name):
            return
        if name in ("pre", "textarea"):
            self._preformatted -= 1
        elif name in ("sup", "sub"):
            self._shifts.pop()
        if name == "tr":
            self._end_row()
        elif name in ("td", "th"):
            self._end_cell()
        elif name in ("textarea", "button", "text"):
            self._buffer.append(" ")
        elif name not in ("br", "select"):
            self._block(name)
        if (
            name in ("mn", "mi", "mo", "mrow")
            and (parent := node.parent) is not None
            and parent.tag == "mfrac"
        ):
            self._buffer.append("/" if node.next is not None else "")

    def _block(self, name: str) -> None:
        if name in _PARAGRAPHS:
            self._flush()
            self._cells[-1].lines.append(Line(""))
        elif name in _LINES:
            self._flush()

    # --- text and tables ---

    def _text(self, text: str) -> None:
        if self._shifts:
            text = shifted(text, raised=self._shifts[-1] == "sup")
        if self._preformatted:
            self._buffer.append(_COLUMNS.sub("\t", text))
        else:
            self._buffer.append(_BLANKS.sub(" ", text))

    def _flush(self) -> None:
        text = "".join(self._buffer)
        self._buffer.clear()
        if text.strip():
            self._cells[-1].lines.append(Line(text))

    def _start_cell(self) -> None:
        self._flush()
        if not self._rows or self._rows[-1].depth != len(self._cells):
            self._rows.append(Row(len(self._cells), implied=True))
        cell = Cell()
        self._rows[-1].cells.append(cell)
        self._cells.append(cell)

    def _end_cell(self) -> None:
        self._flush()
        self._cells.pop()
        if self._rows[-1].implied:
            self._end_row()

    def _end_row(self) -> None:
        self._flush()
        self._cells[-1].lines += self._rows.pop().lines()


def _is_hidden(node: LexborNode, name: str) -> bool:
    """Tell whether an element says itself that it is not shown.

    ``aria-hidden`` is no such word: it hides from those who listen, not from those who look.
    """
    attributes = node.attributes
    if "hidden" in attributes or (name == "dialog" and "open" not in attributes):
        return True
    style = attributes.get("style")
    return bool(style) and _HIDING.search(style or "") is not None


def _value(node: LexborNode) -> str:
    attributes = node.attributes
    kind = (attributes.get("type") or "").lower()
    if kind in ("checkbox", "radio"):
        return "☒" if "checked" in attributes else "☐"
    if kind == "image":
        return attributes.get("alt") or ""
    if kind in ("hidden", "password", "file"):
        return ""
    return attributes.get("value") or ""  # a type that is not known is a text


def _chosen(select: LexborNode) -> Iterator[str]:
    """Yield the options that are shown: the chosen one, all of a list."""
    options = [node for node in select.traverse() if node.tag == "option"]
    size = select.attributes.get("size") or "1"
    if "multiple" in select.attributes or size != "1":
        shown = options
    else:
        shown = [option for option in options if "selected" in option.attributes][-1:] or options[:1]
    for option in shown:
        yield _BLANKS.sub(" ", option.text() or option.attributes.get("label") or "").strip()
