"""Write the binary example documents: one PDF, one DOCX, one damaged PDF and one empty file.

The plain-text documents are edited by hand; these four are made by `python examples/make_documents.py`, so
that a change of their text can be reviewed. Two runs write the same bytes, given the same python-docx and
zlib.
"""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import docx

FOLDER = Path(__file__).parent / "documents"
WRITTEN_AT = datetime(2026, 8, 17, 9, 0, tzinfo=UTC)

INVOICE = """\
Hexley Electric Supply plc
Capacitor House, 60 Ohm Road, Dunmarrow
sales@hexley.example.com

INVOICE

Invoice number: HX-30077
Invoice date: 24 September 2026
Customer: Tallowmere Joinery Ltd

Article                      Qty     Price     Amount
LED ceiling panel 40 W        16     54.00     864.00
Motor contactor 18 A           4     31.20     124.80
Cable H07RN-F, per metre     200      1.42     284.00
Carriage                       1     34.80      34.80

Total due: GBP 1,307.60

Delivered on 22 September 2026. Due date: 24 October 2026.
All prices in pounds sterling, zero-rated for VAT.
"""

CONTRACT_TITLE = "Maintenance contract"
CONTRACT_TABLE = (
    ("Contract number", "WV-0615"),
    ("Date", "17.08.2026"),
    ("Contractor", "Pinnacourt Lift Service AG, Seilgasse 2, 0000 Obergrat, Switzerland"),
    ("Customer", "Tallowmere Joinery Ltd"),
    ("Yearly fee", "CHF 1'860.00"),
)
CONTRACT_CLAUSES = (
    "The contractor maintains the goods lift in the customer's workshop, rated load 1,200 kg, twice yearly.",
    "Faults are repaired within two working days after the report. Spare parts are invoiced separately.",
    "The contract begins on 1 September 2026 and runs for three years. It is prolonged by one year at a time "
    "unless one of the parties ends it with a notice period of three months.",
    "The contractor is liable for damage caused by its own staff. It does not replace the yearly inspection "
    "by the authorities.",
)


def pdf(text: str) -> bytes:
    """A PDF of one A4 page with `text` in Courier: enough for Latin-1 text of up to 60 lines."""
    lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.splitlines()]
    drawn = "\n".join(f"({line}) Tj T*" for line in lines)
    content = f"BT /F1 10 Tf 14 TL 56 786 Td\n{drawn}\nET".encode("latin-1")
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    )
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def contract() -> bytes:
    """The maintenance contract as DOCX: a heading, a table and numbered clauses."""
    document = docx.Document()
    properties = document.core_properties
    properties.author, properties.title, properties.comments = (
        "Pinnacourt Lift Service AG",
        CONTRACT_TITLE,
        "",
    )
    properties.created = properties.modified = WRITTEN_AT
    document.add_heading(CONTRACT_TITLE, level=1)
    table = document.add_table(rows=0, cols=2)
    for name, value in CONTRACT_TABLE:
        cells = table.add_row().cells
        cells[0].text, cells[1].text = name, value
    for number, clause in enumerate(CONTRACT_CLAUSES, start=1):
        document.add_paragraph(f"{number}. {clause}")
    raw = io.BytesIO()
    document.save(raw)
    return _with_fixed_times(raw.getvalue())


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip archive with every entry dated WRITTEN_AT: python-docx writes the time of day."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            info = zipfile.ZipInfo(entry.filename, WRITTEN_AT.timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, source.read(entry))
    return out.getvalue()


def documents() -> dict[str, bytes]:
    """The file name and content of each generated document."""
    invoice = pdf(INVOICE)
    return {
        "invoice-hexley-30077.pdf": invoice,
        "contract-pinnacourt-lift.docx": contract(),
        # A scan whose transfer broke off: it begins like a PDF and holds no page.
        "scan-0412.pdf": invoice[:120],
        "notes-from-the-yard.txt": b"",
    }


def main() -> None:
    """Write the documents into `examples/documents`."""
    for name, content in documents().items():
        (FOLDER / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
