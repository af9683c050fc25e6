"""RTF: text with control words, read by the rules of its specification (1.9.1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.docx.symbols import symbol
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.rtf_lists import RtfLists
from agent_tasks.documents.readers.tables import Line
from agent_tasks.documents.readers.text_builder import TextBuilder, cell_text, row_text
from agent_tasks.errors import UnreadableDocumentError

_TOKEN = re.compile(
    rb"\\([A-Za-z]+)(-?[0-9]{1,10})?[ ]?|\\'([0-9A-Fa-f]{2})|\\([^A-Za-z])|([{}])|[\r\n\0]+|([^\\{}\r\n\0]+)",
    re.DOTALL,
)
# fmt: off
_CHARACTERS = {
    "tab": "\t", "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“",
    "rdblquote": "”", "bullet": "•", "enspace": " ", "emspace": " ", "line": "\n", "softline": "\n",
}
_SKIPPED = frozenset((
    "aftncn", "aftnsep", "aftnsepc", "atndate", "atnid", "atnparent", "atnref", "atrfend", "atrfstart",
    "bkmkend", "bkmkstart", "colorschememapping", "colortbl", "datastore", "falt", "filetbl", "fldinst",
    "ftncn", "ftnsep", "ftnsepc", "generator", "info", "latentstyles", "listpicture", "mmathPr",
    "nonesttables", "nonshppict", "objclass", "objdata",
    "objname", "panose", "pgptbl", "pict", "pnseclvl", "revtbl", "rsidtbl", "sp", "stylesheet",
    "template", "themedata", "upr", "wgrffmtfilter", "xmlnstbl",
))
_STARRED = frozenset((
    "annotation", "atnauthor", "fldrslt", "footnote", "nesttableprops", "shpinst", "shptxt", "ud",
))
_MARGINS = {
    "header": "header", "headerl": "header", "headerr": "header", "headerf": "first-page header",
    "footer": "footer", "footerl": "footer", "footerr": "footer", "footerf": "first-page footer",
}
_CODE_PAGES = {
    0: 1252, 77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254, 163: 1258,
    177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437,
}
# fmt: on
_LISTS = frozenset(("listtable", "listoverridetable"))
_OWN_LABELS = frozenset(("listtext", "pntext"))
"""Groups with the number of a paragraph, as it was last shown."""
_SYMBOL = 2
_NAMES = {10000: "mac_roman", 936: "gb18030", 1361: "johab", 65001: "utf-8", 708: "iso8859_6"}


def read_rtf(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a document in the Rich Text Format."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:5] != rb"{\rtf":
        raise UnreadableDocumentError(
            f"{filename} is not an RTF document; give it the extension of its real format", document=filename
        )
    with reading(filename, "an RTF document", "save it again as .rtf or .docx"):
        builder = TextBuilder(filename, limits)
        for line in rtf_lines(content):
            builder.line(line.text, line.place)
        return builder.content()


def rtf_lines(content: bytes) -> list[Line]:
    """Return the lines of a document: headers, text, footers."""
    return _Rtf().lines(content)


@dataclass(frozen=True, slots=True)
class _Group:
    """What holds until a brace closes."""

    skipped: bool = False
    hidden: bool = False
    fonts: bool = False
    font: int | None = None
    fallback: int = 1
    """How many characters stand for one in Unicode, for old readers."""
    opens: str | None = None
    """The note, header or box that begins with this group."""
    in_html: bool = False
    lists: bool = False
    """Whether it is of the tables of lists."""
    list: int | None = None
    """The list of its paragraphs."""
    level: int = 0


class _Flow:
    """Lines that belong together: the body, a note, a header."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.beside: list[Line] = []
        self.pieces: list[str] = []
        self.cell: list[str] = []
        self.nested: list[str] = []
        self.row: list[str] = []
        self.in_table = False
        self.has_label = False
        """Whether the paragraph has brought its number along."""

    def paragraph(self, label: str = "") -> None:
        text = self.taken(label)
        if self.in_table:
            self.cell.append(text)
        else:
            self.lines.append(Line(text))
            self.put_beside()

    def taken(self, label: str = "") -> str:
        text = "".join(self.pieces)
        self.pieces.clear()
        if label and text.strip():
            text = f"{label} {text}"
        if any("\ud800" <= char <= "\udfff" for char in text):  # halves of characters beyond 16 bits
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return text

    def end_cell(self, label: str = "") -> None:
        self.cell.append(self.taken(label))
        self.row.append(cell_text(self.cell))
        self.cell = []

    def end_row(self) -> None:
        if text := row_text(self.row):
            self.lines.append(Line(text))
        self.row = []
        self.put_beside()

    def put_beside(self) -> None:
        self.lines += self.beside
        self.beside.clear()

    def finish(self) -> list[Line]:
        if self.cell or self.row:
            self.end_cell()
        elif text := self.taken():
            self.lines.append(Line(text))
        self.end_row()
        return self.lines


class _Rtf:
    def __init__(self) -> None:
        self._groups = [_Group()]
        self._flows = [_Flow()]
        self._lists = RtfLists()
        self._document = self._groups[0]
        """The outermost group, when it has been closed."""
        self._margins: dict[str, list[Line]] = {}
        self._fonts: dict[int, int] = {}
        self._defining: int | None = None
        self._code_page = 1252
        self._raw = bytearray()
        self._to_skip = 0
        self._starred = False
        self._notes = 0
        self._author = ""

    def lines(self, content: bytes) -> list[Line]:
        position, end = 0, len(content)
        while position < end:
            match = _TOKEN.match(content, position)
            if match is None:
                position += 1
                continue
            position = match.end() + self._token(match)
        self._flush()
        while len(self._flows) > 1:
            self._end_flow(replace(self._groups[-1], opens="text box"))
        if self._flows[0].pieces and not self._flows[0].in_table:
            self._groups.append(self._document)  # in which the last paragraph ends without a mark of its own
            self._end_paragraph(None)
        body = self._flows[0].finish()
        above = [line for kind, lines in self._margins.items() if "header" in kind for line in lines]
        return (
            above
            + body
            + [line for kind, lines in self._margins.items() if "footer" in kind for line in lines]
        )

    def _token(self, match: re.Match[bytes]) -> int:
        """Take a token; return how many bytes after it are to be passed over."""
        word, parameter, code, sign, brace, text = match.groups()
        if word is not None:
            number = int(parameter) if parameter is not None else None
            if word == b"bin":
                return max(number or 0, 0)
            self._word(word.decode(), number)
        elif code is not None:
            self._byte(int(code, 16))
        elif sign is not None:
            self._sign(sign)
        elif brace is not None:
            self._brace(brace)
        elif text is not None:
            self._text(text)
        return 0

    # --- groups ---

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._starred, self._to_skip = False, 0
        if brace == b"{":
            self._groups.append(replace(self._groups[-1], opens=None))
        elif len(self._groups) > 1:
            closed = self._groups.pop()
            if len(self._groups) == 1:
                self._document = closed
            if closed.lists:
                self._lists.end()
            if closed.opens is not None:
                self._end_flow(closed)

    def _open(self, kind: str) -> None:
        self._groups[-1] = replace(self._groups[-1], opens=kind, hidden=False)
        self._flows.append(_Flow())

    def _end_flow(self, group: _Group) -> None:
        lines = [line for line in self._flows.pop().finish() if line.text.strip()]
        kind = group.opens or ""
        if kind in _MARGINS:
            place = Place(part=_MARGINS[kind])
            known = {line.text for found in self._margins.values() for line in found}
            self._margins.setdefault(_MARGINS[kind], []).extend(
                Line(line.text, place) for line in lines if line.text not in known
            )
        elif kind == "atnauthor":
            self._author = " ".join(line.text for line in lines)
        elif kind == "annotation":
            by = f" by {self._author}" if self._author else ""
            said = " ".join(line.text for line in lines)
            if said:
                self._flows[-1].beside.append(Line(f"[Comment{by}: {said}]", Place(part=f"comment{by}")))
        else:
            place = Place(part=f"footnote {self._notes}" if kind == "footnote" else "text box")
            self._flows[-1].beside += [Line(line.text, line.place or place) for line in lines]

    # --- control words ---

    def _word(self, word: str, number: int | None) -> None:
        group = self._groups[-1]
        starred, self._starred = self._starred, False
        if word == "u" and number is not None:
            self._unicode(number)
            return
        self._flush()
        if self._to_skip:
            self._to_skip -= 1
            return
        if group.lists:
            self._lists.word(word, number)
            return
        if word == "ud":
            self._groups[-1] = replace(group, skipped=len(self._groups) > 2 and self._groups[-3].skipped)
        elif word == "fonttbl":
            self._groups[-1] = replace(group, fonts=True)
        elif word in _SKIPPED or word in _LISTS or (starred and word not in _STARRED):
            self._groups[-1] = replace(group, skipped=True, lists=word in _LISTS)
        elif group.skipped:
            return
        elif word in _MARGINS or word in ("footnote", "annotation", "atnauthor", "shptxt"):
            self._notes += word == "footnote"
            self._open(word)
        elif word in _OWN_LABELS:
            self._flows[-1].has_label = True
        elif word in _FORMATS:
            _FORMATS[word](self, number)
        elif word in _CHARACTERS:
            self._write(_CHARACTERS[word])

    def _font(self, number: int | None) -> None:
        if self._groups[-1].fonts:
            self._defining = number
        else:
            self._groups[-1] = replace(self._groups[-1], font=number)

    def _charset(self, number: int | None) -> None:
        if self._defining is not None and number is not None and len(self._fonts) < 10_000:
            self._fonts[self._defining] = number

    def _set_code_page(self, number: int | None) -> None:
        self._code_page = number or 1252

    def _hide(self, number: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], hidden=number != 0)

    def _plain(self, _: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], hidden=False, font=None)

    def _set_fallback(self, number: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], fallback=min(max(number or 0, 0), 100))

    def _html(self, number: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], in_html=number != 0)

    def _paragraph_formats(self, _: int | None) -> None:
        self._flows[-1].in_table = False
        self._groups[-1] = replace(self._groups[-1], list=None, level=0)

    def _set_list(self, number: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], list=number or None)

    def _set_level(self, number: int | None) -> None:
        self._groups[-1] = replace(self._groups[-1], level=max(number or 0, 0))

    def _label(self) -> str:
        """Count a paragraph that ends; return its number, unless it has brought that along."""
        group, flow = self._groups[-1], self._flows[-1]
        has_label, flow.has_label = flow.has_label, False
        label = self._lists.label(group.list, group.level) if group.list is not None else ""
        return "" if has_label else label

    def _table(self, _: int | None) -> None:
        self._flows[-1].in_table = True

    def _end_paragraph(self, _: int | None) -> None:
        if not self._groups[-1].in_html:
            self._flows[-1].paragraph(self._label())

    def _end_cell(self, _: int | None) -> None:
        flow = self._flows[-1]
        flow.end_cell(self._label() if flow.pieces else "")

    def _end_row(self, _: int | None) -> None:
        self._flows[-1].end_row()

    def _end_nested_cell(self, _: int | None) -> None:
        flow = self._flows[-1]
        label = self._label() if flow.pieces else ""
        flow.nested.append(cell_text([*flow.cell, flow.taken(label)]))
        flow.cell = []

    def _end_nested_row(self, _: int | None) -> None:
        flow = self._flows[-1]
        flow.cell.append(row_text(flow.nested))
        flow.nested = []

    def _note_mark(self, _: int | None) -> None:
        inside = any(group.opens == "footnote" for group in self._groups)
        self._write(f"[{self._notes if inside else self._notes + 1}]")

    # --- text ---

    def _text(self, text: bytes) -> None:
        if self._to_skip:
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            text = text[skipped:]
        if self._groups[-1].lists:
            self._lists.text(text.decode("latin-1"))
            return
        self._raw += text
        if len(self._raw) > 4096 or not self._raw.isascii():
            return
        self._flush()

    def _byte(self, byte: int) -> None:
        if self._to_skip:
            self._to_skip -= 1
        elif self._groups[-1].lists:
            self._lists.text(chr(byte))
        else:
            self._raw.append(byte)

    def _sign(self, sign: bytes) -> None:
        if sign == b"*":
            self._starred = True
        elif sign in b"\\{}":
            self._text(sign)
        elif sign in b"\r\n":
            self._word("par", None)
        elif sign == b"~":
            self._text(b" ")
        elif sign == b"_":
            self._text(b"-")

    def _unicode(self, number: int) -> None:
        self._flush()
        code = number % 0x10000 if number < 0x10000 else number
        if 0 < code < 0x110000 and self._groups[-1].lists:
            self._lists.text(chr(code))
        elif 0 < code < 0x110000:
            self._write(symbol(code, "Symbol") if 0xF000 <= code <= 0xF0FF else chr(code))
        self._to_skip = self._groups[-1].fallback

    def _flush(self) -> None:
        if not self._raw:
            return
        raw, group = bytes(self._raw), self._groups[-1]
        self._raw.clear()
        charset = self._fonts.get(group.font) if group.font is not None else None
        if charset == _SYMBOL:
            self._write(
                "".join(symbol(0xF000 + byte, "Symbol") if byte > 0x20 else chr(byte) for byte in raw)
            )
            return
        page = (
            _CODE_PAGES.get(charset, self._code_page)
            if charset is not None and charset > 1
            else self._code_page
        )
        self._write(raw.decode(_codec(page), "replace"))

    def _write(self, text: str) -> None:
        group = self._groups[-1]
        if not (group.skipped or group.hidden or group.fonts or group.in_html):
            self._flows[-1].pieces.append(text)


def _codec(page: int) -> str:
    name = _NAMES.get(page, f"cp{page}")
    try:
        codecs.lookup(name)
    except LookupError:
        return "cp1252"
    return name


_FORMATS: dict[str, Callable[[_Rtf, int | None], None]] = {
    "f": _Rtf._font,
    "fcharset": _Rtf._charset,
    "ansicpg": _Rtf._set_code_page,
    "mac": lambda rtf, _: rtf._set_code_page(10000),
    "pc": lambda rtf, _: rtf._set_code_page(437),
    "pca": lambda rtf, _: rtf._set_code_page(850),
    "uc": _Rtf._set_fallback,
    "v": _Rtf._hide,
    "deleted": _Rtf._hide,
    "plain": _Rtf._plain,
    "htmlrtf": _Rtf._html,
    "pard": _Rtf._paragraph_formats,
    "intbl": _Rtf._table,
    "ls": _Rtf._set_list,
    "ilvl": _Rtf._set_level,
    "par": _Rtf._end_paragraph,
    "sect": _Rtf._end_paragraph,
    "page": _Rtf._end_paragraph,
    "cell": _Rtf._end_cell,
    "row": _Rtf._end_row,
    "nestcell": _Rtf._end_nested_cell,
    "nestrow": _Rtf._end_nested_row,
    "chftn": _Rtf._note_mark,
}
