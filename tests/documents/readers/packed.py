"""Making documents of Office part by part, for what no library writes."""

from __future__ import annotations

import io
import zipfile

TRANSITIONAL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT = "http://purl.oclc.org/ooxml/officeDocument/relationships"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT_WORD = "http://purl.oclc.org/ooxml/wordprocessingml/main"
_NAMESPACES = (
    'xmlns:r="{relationships}" xmlns:w="{word}"'
    ' xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    ' xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
    ' xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    ' xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
    ' xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    ' xmlns:v="urn:schemas-microsoft-com:vml"'
)


def zipped(parts: dict[str, str | bytes]) -> bytes:
    """A zip archive of parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def relationships(entries: dict[str, tuple[str, str]], base: str = TRANSITIONAL) -> str:
    """A part of relationships: id to kind and target."""
    listed = "".join(
        f'<Relationship Id="{name}" Type="{base}/{kind}" Target="{target}"/>'
        for name, (kind, target) in entries.items()
    )
    namespace = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{namespace}">{listed}</Relationships>'


def word(body: str, *, strict: bool = False, others: dict[str, bytes] | None = None, **parts: str) -> bytes:
    """A Word document of a body and other parts, each given as the XML within its root.

    Parts are named by the kind of their relationship: ``styles``, ``footnotes``, ``header``; the part
    ``header2`` is another of the kind ``header``. Their ids are their names.
    """
    base = STRICT if strict else TRANSITIONAL
    names = _NAMESPACES.format(relationships=base, word=STRICT_WORD if strict else WORD)
    roots = {"header": "hdr", "footer": "ftr"}
    packed: dict[str, str | bytes] = {
        "_rels/.rels": relationships({"r1": ("officeDocument", "word/document.xml")}, base),
        "word/document.xml": f"<w:document {names}><w:body>{body}</w:body></w:document>",
    }
    entries: dict[str, tuple[str, str]] = {}
    for part, content in parts.items():
        kind = part.rstrip("0123456789")
        root = roots.get(kind, kind)
        packed[f"word/{part}.xml"] = (
            content
            if content.startswith("<c:") or content.startswith("<dgm:")
            else (f"<w:{root} {names}>{content}</w:{root}>")
        )
        entries[part] = (kind, f"{part}.xml")
    for name, content_of_other in (others or {}).items():
        packed[f"word/{name}"] = content_of_other
        entries[name] = ("aFChunk", name)
    packed["word/_rels/document.xml.rels"] = relationships(entries, base)
    return zipped(packed)


def p(*runs: str, properties: str = "") -> str:
    """A paragraph of runs; what is no XML becomes a run of text."""
    inner = "".join(run if run.startswith("<") else r(run) for run in runs)
    return f"<w:p>{f'<w:pPr>{properties}</w:pPr>' if properties else ''}{inner}</w:p>"


def r(text: str, properties: str = "") -> str:
    """A run of text."""
    formats = f"<w:rPr>{properties}</w:rPr>" if properties else ""
    return f'<w:r>{formats}<w:t xml:space="preserve">{text}</w:t></w:r>'


def table(*rows: list[str]) -> str:
    """A table; what is no XML becomes a paragraph."""
    written = "".join(
        "<w:tr>"
        + "".join(f"<w:tc>{cell if cell.startswith('<') else p(cell)}</w:tc>" for cell in row)
        + "</w:tr>"
        for row in rows
    )
    return f"<w:tbl>{written}</w:tbl>"
