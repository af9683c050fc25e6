"""Write the example documents that are no plain text, and the two that are broken.

The plain-text documents are edited by hand; these are made by `python examples/make_documents.py`, so that a
change of their text can be reviewed. Two runs write the same bytes, given the same python-docx, openpyxl,
Pillow and zlib.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from datetime import UTC, date, datetime
from email.message import EmailMessage
from pathlib import Path

import docx
import openpyxl
from PIL import Image, ImageDraw, ImageFont

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

DELIVERY_NOTE = """\
Oakhollow Freight
Yard 3, Old Tannery Road, Nether Plumley

DELIVERY NOTE

Number: OF-B9-1207
Date: 21 October 2026
To: Tallowmere Joinery Ltd, 7 Chandler's Yard

Two crates of window fittings, sender Zwoelfender Beschlagwerk GmbH.
Crate 1: 48 hinges, 24 handles, 24 espagnolettes. Weight 61 kg.
Crate 2: 12 sliding door sets with tracks. Weight 140 kg.

One corner of crate 2 was dented on arrival. The driver has taken
two photographs and noted the damage on his own copy.

Unloaded at gate 2 by forklift, no pallets to be returned.
"""

ORDER_TITLE = "Order confirmation"
ORDER_HEAD = (
    ("Sender", "Quillfeather Timber Inc., 400 Sawdust Avenue, Pinhook, VT"),
    ("Confirmation number", "OC-2093"),
    ("Customer", "Tallowmere Joinery Ltd"),
    ("Your order", "TJ-PO-388"),
)
ORDER_DATE = date(2026, 10, 19)
ORDER_LINES = (
    ("White oak, quarter sawn, 2 in", 12, 148.5),
    ("Black walnut, select, 1 in", 6, 131.25),
    ("Hard maple, 3 in, for bench tops", 4, 97.0),
    ("Crating and inland freight", 1, 260.0),
)

MAIL = """\
Dear tenants,

this is a friendly reminder that the rent of the workshop for November has not reached our account yet.

Reminder number: MR-118
Date: 6 November 2026
Amount to pay: GBP 2,150.00

Please transfer it within ten days and name the number of this reminder. If the transfer is on its way
already, there is nothing else to do.

Attached you find our invoice for the water that the workshop used in the summer. It is a matter of its own.

Kind regards
Marrowgate Estates LLP
"""

WATER_INVOICE = """\
Marrowgate Estates LLP
1 Ledger Square, Dunmarrow
lettings@marrowgate.example.com

INVOICE

Invoice number: ME-2211
Invoice date: 4 November 2026
Customer: Tallowmere Joinery Ltd

Water and sewerage of the workshop, 7 Chandler's Yard,
from 1 July to 30 September 2026.

Water, 31 cubic metres              92.40
Sewerage                            71.10
Standing charge                     24.90

Total due: GBP 188.40

The meter was read by our caretaker. Payable within 30 days.
"""


def pdf(text: str) -> bytes:
    """A PDF of one A4 page with `text` in Courier: enough for Latin-1 text of up to 60 lines."""
    lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.splitlines()]
    drawn = "\n".join(f"({line}) Tj T*" for line in lines)
    content = f"BT /F1 10 Tf 14 TL 56 786 Td\n{drawn}\nET".encode("latin-1")
    return _pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>",
    )


def scan(text: str) -> bytes:
    """A PDF of one A4 page that is a picture of `text`: black and white, 150 dpi, not quite straight."""
    paper = Image.new("L", (1240, 1754), 255)
    drawing = ImageDraw.Draw(paper)
    font = ImageFont.load_default(26)
    for number, line in enumerate(text.splitlines()):
        drawing.text((130, 160 + 44 * number), line, font=font, fill=0)
    pixels = paper.rotate(0.4, Image.Resampling.BICUBIC, fillcolor=255).convert("1", dither=Image.Dither.NONE)
    picture = zlib.compress(pixels.tobytes(), 9)
    content = b"q 595 0 0 842 0 0 cm /P Do Q"
    return _pdf_of(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /XObject << /P 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 1"
        b" /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (*pixels.size, len(picture), picture),
    )


def _pdf_of(*objects: bytes) -> bytes:
    """A PDF of numbered objects, of which the first is the catalogue."""
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


def order_confirmation() -> bytes:
    """The order confirmation as XLSX: what it is about, and a table with amounts as numbers."""
    book = openpyxl.Workbook()
    book.properties.creator = "Quillfeather Timber Inc."
    book.properties.created = book.properties.modified = WRITTEN_AT.replace(tzinfo=None)
    sheet = book.active
    sheet.title = "Confirmation"
    sheet.append([ORDER_TITLE])
    for row in (*ORDER_HEAD, ("Date", ORDER_DATE)):
        sheet.append(row)
    sheet.append([])
    sheet.append(["Article", "Quantity", "Price, USD", "Amount, USD"])
    for article, quantity, price in ORDER_LINES:
        sheet.append([article, quantity, price, quantity * price])
    sheet.append([])
    sheet.append(["Total in USD", None, None, sum(quantity * price for _, quantity, price in ORDER_LINES)])
    sheet.append(
        ["Leaves our yard in week 45 and takes about five weeks by sea. Paid on arrival of the goods."]
    )
    for cells in sheet.iter_rows():
        for cell in cells:
            if isinstance(cell.value, float):
                cell.number_format = "#,##0.00"
    sheet["B6"].number_format = "mmmm d, yyyy"
    sheet.column_dimensions["A"].width = 36
    sheet.column_dimensions["B"].width = 24
    raw = io.BytesIO()
    book.save(raw)
    return _with_fixed_times(raw.getvalue())


def mail() -> bytes:
    """The reminder as a mail, with an invoice attached."""
    message = EmailMessage()
    message["From"] = "Marrowgate Estates LLP <lettings@marrowgate.example.com>"
    message["To"] = "Tallowmere Joinery Ltd <office@tallowmere.example.com>"
    message["Date"] = "Fri, 06 Nov 2026 09:12:00 +0000"
    message["Subject"] = "Payment reminder MR-118"
    message.set_content(MAIL)
    message.add_attachment(
        pdf(WATER_INVOICE), maintype="application", subtype="pdf", filename="invoice-me-2211.pdf"
    )
    message.set_boundary("=" * 8 + "marrowgate-118")
    return bytes(message)


def _with_fixed_times(archive: bytes) -> bytes:
    """The same zip archive with every entry dated WRITTEN_AT: the time of day would be in it otherwise."""
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
        "order-confirmation-quillfeather-2093.xlsx": order_confirmation(),
        "reminder-marrowgate-118.eml": mail(),
        "scan-0420.pdf": scan(DELIVERY_NOTE),
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
