"""What lies on a page of a PDF: values of form fields, notes, stamps, what a signature shows."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import pypdfium2.raw as pdfium

from agent_tasks.documents.content import Edges
from agent_tasks.documents.layout import Word
from agent_tasks.documents.readers.pdf_page import Frame

_HIDDEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_CHECKED = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_CHOICES = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_MAX_OPTIONS = 10_000  # of one field
_BUTTONS = (pdfium.FPDF_FORMFIELD_PUSHBUTTON, pdfium.FPDF_FORMFIELD_SIGNATURE)
_PASSWORD = 1 << 13
_COMMENTS = {
    pdfium.FPDF_ANNOT_TEXT,
    pdfium.FPDF_ANNOT_HIGHLIGHT,
    pdfium.FPDF_ANNOT_UNDERLINE,
    pdfium.FPDF_ANNOT_STRIKEOUT,
    pdfium.FPDF_ANNOT_SQUIGGLY,
    pdfium.FPDF_ANNOT_STAMP,
    pdfium.FPDF_ANNOT_CARET,
    pdfium.FPDF_ANNOT_LINE,
    pdfium.FPDF_ANNOT_SQUARE,
    pdfium.FPDF_ANNOT_CIRCLE,
}
_WITHOUT_TEXT = {
    pdfium.FPDF_ANNOT_LINK,
    pdfium.FPDF_ANNOT_POPUP,
    pdfium.FPDF_ANNOT_TEXT,
    pdfium.FPDF_ANNOT_HIGHLIGHT,
    pdfium.FPDF_ANNOT_UNDERLINE,
    pdfium.FPDF_ANNOT_STRIKEOUT,
    pdfium.FPDF_ANNOT_SQUIGGLY,
    pdfium.FPDF_ANNOT_CARET,
    pdfium.FPDF_ANNOT_FILEATTACHMENT,
}
"""Annotations whose appearance is a mark."""
_MAX_CHARACTERS = 1_000_000  # of one value


def words_on(page: Any, form: Any, frame: Frame, most: int) -> Iterator[Word]:
    """Yield the words of the values and notes that lie on a page.

    Args:
        page: The page, as pypdfium2 has it.
        form: The form's handle; None if the document has no form.
        frame: How the page is shown.
        most: How many annotations are looked at.
    """
    for i in range(min(pdfium.FPDFPage_GetAnnotCount(page.raw), most)):
        annotation = pdfium.FPDFPage_GetAnnot(page.raw, i)
        if not annotation:
            continue
        try:
            found = _content(annotation, form)
            edges = _edges(annotation, frame)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
        if found is not None and edges is not None:
            yield from _words(*found, edges, frame)


def draw_appearances(page: Any, form: Any, frame: Frame, most: int) -> list[Edges]:
    """Make what annotations show a part of their page: signatures, stamps, whatever has no value of its own.

    Args:
        page: The page. It has to be loaded anew afterwards.
        form: The form's handle; None if the document has no form.
        frame: How the page is shown.
        most: How many annotations are looked at.

    Returns:
        Where they are, in points of the page as it is shown; nothing, if there are none.
    """
    count = pdfium.FPDFPage_GetAnnotCount(page.raw)
    if count > most:
        return []
    shown = [_shows_more(page, i, form, frame) for i in range(count)]
    if not any(shown):
        return []
    for i in reversed(range(count)):
        if shown[i] is None:  # it is read by its value, or not to be seen
            pdfium.FPDFPage_RemoveAnnot(page.raw, i)
    if pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_NORMALDISPLAY) != pdfium.FLATTEN_SUCCESS:
        return []
    return [edges for edges in shown if edges is not None]


def _shows_more(page: Any, i: int, form: Any, frame: Frame) -> Edges | None:
    """Return where an annotation is drawn, if what is drawn may hold text that its value has not."""
    annotation = pdfium.FPDFPage_GetAnnot(page.raw, i)
    if not annotation:
        return None
    try:
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        if kind in _WITHOUT_TEXT or pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            return None
        if not pdfium.FPDFAnnot_HasKey(annotation, b"AP"):
            return None
        if kind != pdfium.FPDF_ANNOT_STAMP and _content(annotation, form) is not None:
            return None
        return _edges(annotation, frame)
    finally:
        pdfium.FPDFPage_CloseAnnot(annotation)


def _content(annotation: Any, form: Any) -> tuple[str, str] | None:
    """Return the part that an annotation is and its text; None if it shows none."""
    if pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
        return None
    kind = pdfium.FPDFAnnot_GetSubtype(annotation)
    if kind == pdfium.FPDF_ANNOT_WIDGET:
        return _field(annotation, form) if form is not None else None
    text = _entry(annotation, b"Contents").strip()
    if not text:
        return None
    if kind == pdfium.FPDF_ANNOT_FREETEXT:
        return "note", text
    if kind in _COMMENTS:
        author = _entry(annotation, b"T").strip()
        return (f"comment by {author[:100]}" if author else "comment"), text
    return None


def _field(annotation: Any, form: Any) -> tuple[str, str] | None:
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    name = _text(lambda *to: pdfium.FPDFAnnot_GetFormFieldName(form, annotation, *to)).strip()
    part = f"form field {name[:200]}".strip()
    if kind in _CHECKED:
        return part, "[x]" if pdfium.FPDFAnnot_IsChecked(form, annotation) else "[ ]"
    if kind in _BUTTONS or pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
        return None
    value = (_chosen(annotation, form) if kind in _CHOICES else "") or _text(
        lambda *to: pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, *to)
    ).strip()
    return (part, value) if value else None


def _chosen(annotation: Any, form: Any) -> str:
    """Return what a field shows of its choices: their labels, where the values that it sends are others."""
    options = range(min(pdfium.FPDFAnnot_GetOptionCount(form, annotation), _MAX_OPTIONS))
    return "\n".join(
        _text(lambda *to, i=i: pdfium.FPDFAnnot_GetOptionLabel(form, annotation, i, *to)).strip()
        for i in options
        if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, i)
    )


def _edges(annotation: Any, frame: Frame) -> Edges | None:
    found = pdfium.FS_RECTF()
    if not pdfium.FPDFAnnot_GetRect(annotation, found):
        return None
    left, right = sorted((found.left, found.right))
    bottom, top = sorted((found.bottom, found.top))
    return frame.shown(left, bottom, right, top)


def _words(part: str, text: str, edges: Edges, frame: Frame) -> Iterator[Word]:
    """Yield the words of a text; all stand in its rectangle, each line in a share of it."""
    left, top, right, bottom = edges
    box = frame.share(*edges)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    height = (bottom - top) / max(len(lines), 1)
    for number, line in enumerate(lines):
        upper = top + number * height
        for i, word in enumerate(line):
            yield Word(word, left, upper, right, upper + height, box, is_set_apart=i == 0, part=part)


def _entry(annotation: Any, key: bytes) -> str:
    return _text(lambda *to: pdfium.FPDFAnnot_GetStringValue(annotation, key, *to))


def _text(write: Callable[[Any, int], int]) -> str:
    """Return a text that PDFium writes as UTF-16, after it has said how long it is."""
    size = min(int(write(None, 0)), 2 * _MAX_CHARACTERS)
    if size <= 2:
        return ""
    buffer = (ctypes.c_ushort * (size // 2))()
    write(buffer, size)
    return bytes(buffer)[: size - 2].decode("utf-16-le", "replace")
