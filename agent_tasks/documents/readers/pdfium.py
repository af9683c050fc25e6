"""PDFium, by the few functions that take the text from every PDF.

To load pypdfium2 takes almost as long as to read ten pages. It is loaded for a document with a form, with
annotations, attachments or pages without text: see `Document.full`.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from ctypes import c_char_p, c_float, c_int, c_size_t, c_uint, c_void_p
from types import SimpleNamespace
from typing import Any

ERR_PASSWORD, ERR_SECURITY = 4, 5
FORMTYPE_NONE, FORMTYPE_XFA_FULL = 0, 2
PAGEOBJ_IMAGE = 3
_FILES = ("libpdfium.so", "libpdfium.dylib", "pdfium.dll")
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "FPDF_InitLibrary": (None,),
    "FPDF_LoadMemDocument64": (c_void_p, c_char_p, c_size_t, c_char_p),
    "FPDF_GetLastError": (ctypes.c_ulong,),
    "FPDF_CloseDocument": (None, c_void_p),
    "FPDF_GetPageCount": (c_int, c_void_p),
    "FPDF_GetFormType": (c_int, c_void_p),
    "FPDFDoc_GetAttachmentCount": (c_int, c_void_p),
    "FPDF_LoadPage": (c_void_p, c_void_p, c_int),
    "FPDF_ClosePage": (None, c_void_p),
    "FPDF_GetPageBoundingBox": (c_int, c_void_p, c_void_p),
    "FPDFPage_GetRotation": (c_int, c_void_p),
    "FPDFPage_GetAnnotCount": (c_int, c_void_p),
    "FPDFText_LoadPage": (c_void_p, c_void_p),
    "FPDFText_ClosePage": (None, c_void_p),
    "FPDFText_CountChars": (c_int, c_void_p),
    "FPDFText_GetText": (c_int, c_void_p, c_int, c_int, c_void_p),
    "FPDFText_GetUnicode": (c_uint, c_void_p, c_int),
    "FPDFText_IsGenerated": (c_int, c_void_p, c_int),
    "FPDFText_HasUnicodeMapError": (c_int, c_void_p, c_int),
    "FPDFText_GetLooseCharBox": (c_int, c_void_p, c_int, c_void_p),
    "FPDFText_GetCharAngle": (c_float, c_void_p, c_int),
}
"""What a function returns, and what it takes."""


class PdfiumError(RuntimeError):
    """PDFium does not do what it is asked for; that of pypdfium2 is a RuntimeError too.

    Args:
        message: What it does not do.
        err_code: Its number for the reason.
    """

    def __init__(self, message: str, err_code: int = 0) -> None:
        super().__init__(message)
        self.err_code = err_code


def errors() -> tuple[type[RuntimeError], ...]:
    """Return the errors by which PDFium refuses: that of here, and that of pypdfium2 if it is loaded."""
    full = sys.modules.get("pypdfium2")
    return (PdfiumError,) if full is None else (PdfiumError, full.PdfiumError)


def _loaded() -> Any:
    """Return the functions of PDFium, ready for use: that pypdfium2 makes it ready once more does nothing."""
    package = importlib.util.find_spec("pypdfium2_raw")
    folders = package.submodule_search_locations if package is not None else None
    files = [f"{folders[0]}/{name}" for name in _FILES] if folders else []
    if file := next(filter(os.path.exists, files), None):
        library: Any = ctypes.CDLL(file)
    else:  # a build that has it elsewhere
        library = importlib.import_module("pypdfium2_raw.bindings")._libs["pdfium"]
    functions = {name: library[name] for name in _SIGNATURES}  # by attribute they were those of pypdfium2 too
    for function, (result, *arguments) in zip(functions.values(), _SIGNATURES.values(), strict=True):
        function.restype, function.argtypes = result, arguments
    functions["FPDF_InitLibrary"]()
    return SimpleNamespace(**functions)


raw: Any = _loaded()
"""The functions, by their names."""


class TextPage:
    """The text of a page, for `raw`."""

    def __init__(self, page: Page) -> None:
        self.raw: int | None = raw.FPDFText_LoadPage(page.raw)
        if self.raw is None:
            raise PdfiumError("The text of a page cannot be loaded.")


class Page:
    """A page, with the methods of a page of pypdfium2 that take a text from it."""

    def __init__(self, document: Document, index: int) -> None:
        self.raw: int | None = raw.FPDF_LoadPage(document.raw, index)
        if self.raw is None:
            raise PdfiumError("A page cannot be loaded.")
        self._texts: list[TextPage] = []

    def get_bbox(self) -> tuple[float, float, float, float]:
        """Return left, bottom, right and top of what is shown of it."""
        edges = (c_float * 4)()
        if not raw.FPDF_GetPageBoundingBox(self.raw, edges):
            raise PdfiumError("A page does not say how large it is.")
        left, top, right, bottom = edges
        return left, bottom, right, top

    def get_rotation(self) -> int:
        """Return by how many degrees it is turned, clockwise."""
        return 90 * int(raw.FPDFPage_GetRotation(self.raw))

    def get_textpage(self) -> TextPage:
        """Return its text, which lives as long as the page."""
        self._texts.append(TextPage(self))
        return self._texts[-1]

    def close(self) -> None:
        """Close it; nothing, if it is closed."""
        for text in self._texts:
            raw.FPDFText_ClosePage(text.raw)
        if self.raw is not None:
            raw.FPDF_ClosePage(self.raw)
        self._texts, self.raw = [], None


class Document:
    """A document.

    Args:
        content: Its bytes.

    Raises:
        PdfiumError: It cannot be opened.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content  # PDFium reads from it
        self.raw: int | None = raw.FPDF_LoadMemDocument64(content, len(content), None)
        if self.raw is None:
            raise PdfiumError("A document cannot be opened.", raw.FPDF_GetLastError())
        self.form_type: int = raw.FPDF_GetFormType(self.raw)
        self.attachments: int = raw.FPDFDoc_GetAttachmentCount(self.raw)
        """How many there are."""

    def __len__(self) -> int:
        return int(raw.FPDF_GetPageCount(self.raw))

    @functools.cached_property
    def full(self) -> Any:
        """The document as pypdfium2 has it, with its form."""
        import pypdfium2

        full = pypdfium2.PdfDocument(self._content)
        full.init_forms()  # if there is one
        return full

    def page(self, index: int) -> Any:
        """Return a page, from 0; one of `full` if there are annotations on it, or if others needed that.

        Raises:
            RuntimeError: It is damaged.
        """
        if "full" in vars(self):
            return self.full[index]
        page = Page(self, index)
        if raw.FPDFPage_GetAnnotCount(page.raw) <= 0:
            return page
        page.close()
        return self.full[index]

    def close(self) -> None:
        """Close it."""
        if "full" in vars(self):
            self.full.close()
        raw.FPDF_CloseDocument(self.raw)
