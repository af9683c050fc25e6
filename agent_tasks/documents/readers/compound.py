"""Compound files (OLE): what old formats of Office, encrypted documents and messages of Outlook are."""

from __future__ import annotations

import io

import olefile

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = (
    ("EncryptedPackage", "encrypted"),
    ("WordDocument", "in the old format of Word (.doc)"),
    ("Workbook", "in the old format of Excel (.xls)"),
    ("Book", "in the old format of Excel (.xls)"),
    ("PowerPoint Document", "in the old format of PowerPoint (.ppt)"),
    ("__properties_version1.0", "a message of Outlook (.msg)"),
)


def is_compound(content: bytes) -> bool:
    """Tell whether this is a compound file."""
    return content.startswith(_MAGIC[:4])


def described_compound(content: bytes) -> str:
    """Say what a compound file is, to follow ``... is``; never fails."""
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            for stream, what in _STREAMS:
                if file.exists(stream):
                    return what
    except Exception:  # a damaged one: olefile raises almost anything
        return "a damaged file in an old format of Office, or encrypted"
    return "in an old format of Office"
