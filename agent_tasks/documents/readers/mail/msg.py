"""Mail as Outlook stores it: files with the extension .msg, properties in the streams of a compound file."""

from __future__ import annotations

import datetime
import email.policy
import email.utils
import io
import struct
from dataclasses import dataclass
from email.header import Header
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import olefile

from agent_tasks.documents.content import Attachment, DocumentContent
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.compound import described_compound, is_compound
from agent_tasks.documents.readers.html import decode_html
from agent_tasks.documents.readers.mail import Body, Mail
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.plain import decode
from agent_tasks.documents.readers.rtf import rtf_lines
from agent_tasks.errors import UnreadableDocumentError

MAX_ATTACHMENTS = 2_000
MAX_DEPTH = 10  # of messages within messages
_REMEDY = "save the message again in Outlook"
_PROPERTIES = "__properties_version1.0"
_UNICODE, _STRING, _BINARY, _OBJECT = 0x001F, 0x001E, 0x0102, 0x000D
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)
_PACKED = 0x75465A4C
_WINDOW = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans"
    b" SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
"""What the window of packed RTF begins with."""
_RECIPIENTS = {1: "To", 2: "Cc", 3: "Bcc"}


def read_msg(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a message of Outlook."""
    with reading(filename, "a message of Outlook", _REMEDY):
        if not is_compound(content):
            raise UnreadableDocumentError(
                f"{filename} is not a message of Outlook; if it is a mail, rename it to .eml",
                document=filename,
            )
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            if not file.exists(_PROPERTIES):
                raise UnreadableDocumentError(
                    f"{filename} is not a message of Outlook: it is {described_compound(content)}; {_REMEDY}",
                    document=filename,
                )
            return _Message(_Storage(file, ()), filename).mail().content(filename, limits)


@dataclass(frozen=True)
class _Storage:
    """A folder of a compound file that holds properties."""

    file: olefile.OleFileIO
    path: tuple[str, ...]

    def read(self, name: str) -> bytes | None:
        path = [*self.path, name]
        return self.file.openstream(path).read() if self.file.exists(path) else None

    def inner(self, prefix: str) -> list[_Storage]:
        depth = len(self.path)
        names = {
            entry[depth]
            for entry in self.file.listdir(streams=True, storages=True)
            if len(entry) > depth and tuple(entry[:depth]) == self.path and entry[depth].startswith(prefix)
        }
        return [_Storage(self.file, (*self.path, name)) for name in sorted(names)]

    def binary(self, number: int) -> bytes | None:
        return self.read(f"__substg1.0_{number:04X}{_BINARY:04X}")

    def text(self, number: int, encoding: str, filename: str) -> str:
        wide = self.read(f"__substg1.0_{number:04X}{_UNICODE:04X}")
        if wide is not None:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        narrow = (self.read(f"__substg1.0_{number:04X}{_STRING:04X}") or b"").rstrip(b"\0")
        try:
            return narrow.decode(encoding)
        except (LookupError, ValueError):
            return decode(narrow, filename).text

    def fixed(self, number: int, head: int) -> int | None:
        """Return a property of a fixed size, from behind the head of the list of properties."""
        listed = self.read(_PROPERTIES) or b""
        for offset in range(head, len(listed) - 15, 16):
            kind, found = struct.unpack_from("<HH", listed, offset)
            if found == number:
                (value,) = struct.unpack_from("<q" if kind == 0x0040 else "<i", listed, offset + 8)
                return int(value)
        return None


class _Message:
    """A message: the outermost one, or one within it."""

    def __init__(self, storage: _Storage, filename: str, depth: int = 0) -> None:
        self._storage = storage
        self._filename = filename
        self._depth = depth
        self._head = 32 if depth == 0 else 24
        page = storage.fixed(0x3FFD, self._head) or storage.fixed(0x3FDE, self._head) or 1252
        self._encoding = {65001: "utf-8", 20127: "ascii", 28591: "latin-1"}.get(page, f"cp{page}")

    def mail(self) -> Mail:
        mail = Mail(headers=self._headers())
        self._take_body(mail)
        attachments = self._storage.inner("__attach_version1.0_#")
        if len(attachments) > MAX_ATTACHMENTS:
            raise too_long(
                self._filename, f"has {len(attachments):,} attachments", f"{MAX_ATTACHMENTS:,} attachments"
            )
        for number, attachment in enumerate(attachments, 1):
            self._take_attachment(attachment, number, mail)
        return mail

    def _text(self, *numbers: int, storage: _Storage | None = None) -> str:
        """Return the first of these properties that is there."""
        texts = (
            (storage or self._storage).text(number, self._encoding, self._filename) for number in numbers
        )
        return next((text for text in texts if text.strip()), "")

    def _headers(self) -> dict[str, str]:
        name, address = self._text(0x0C1A, 0x0042), self._text(0x5D01, 0x5D02, 0x0C1F, 0x0065)
        headers = {"From": _person(name, address), "Subject": self._text(0x0037)}
        for kind, listed in (("To", 0x0E04), ("Cc", 0x0E03), ("Bcc", 0x0E02)):
            headers[kind] = "; ".join(self._recipients().get(kind, ())) or self._text(listed)
        sent = self._storage.fixed(0x0039, self._head) or self._storage.fixed(0x0E06, self._head)
        if sent:
            try:
                headers["Date"] = email.utils.format_datetime(
                    _EPOCH + datetime.timedelta(microseconds=sent // 10)
                )
            except OverflowError:
                headers["Date"] = ""
        return headers

    def _recipients(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for recipient in self._storage.inner("__recip_version1.0_#")[:MAX_ATTACHMENTS]:
            kind = _RECIPIENTS.get(recipient.fixed(0x0C15, 8) or 1, "To")
            person = _person(
                self._text(0x3001, storage=recipient), self._text(0x39FE, 0x3003, storage=recipient)
            )
            if person:
                found.setdefault(kind, []).append(person)
        return found

    def _take_body(self, mail: Mail) -> None:
        html = self._storage.binary(0x1013)
        if html is not None and html.strip(b"\0 \r\n"):
            mail.bodies.append(Body(decode_html(html, self._filename).text, is_html=True))
        elif text := self._text(0x1013):
            mail.bodies.append(Body(text, is_html=True))
        elif text := self._text(0x1000):
            mail.bodies.append(Body(text))
        elif packed := self._storage.binary(0x1009):
            mail.bodies.append(Body("\n".join(line.text for line in rtf_lines(unpacked_rtf(packed)))))

    def _take_attachment(self, attachment: _Storage, number: int, mail: Mail) -> None:
        name = self._text(0x3707, 0x3704, 0x3001, storage=attachment) or f"attachment {number}.bin"
        if (content := attachment.binary(0x3701)) is not None:
            mail.attachments.append(Attachment(name.strip(), content))
            return
        inner = _Storage(attachment.file, (*attachment.path, f"__substg1.0_3701{_OBJECT:04X}"))
        if self._depth >= MAX_DEPTH:
            mail.notes.append(
                f"Messages within it are nested more than {MAX_DEPTH} deep: the rest was not read."
            )
        elif inner.read(_PROPERTIES) is not None:
            message = _Message(inner, self._filename, self._depth + 1).mail()
            subject = message.headers.get("Subject") or "message"
            mail.attachments.append(Attachment(f"{subject.strip()}.eml", _as_eml(message)))
        else:
            mail.notes.append(
                f"The attachment {name.strip()} is an object of another program, which was not read."
            )


def unpacked_rtf(packed: bytes) -> bytes:
    """Unpack RTF as Outlook packs it (MS-OXRTFCP)."""
    size, raw_size, kind, _ = struct.unpack_from("<IIII", packed)
    if kind != _PACKED:
        return packed[16 : 16 + raw_size]
    window = bytearray(_WINDOW.ljust(4096, b"\0"))
    write, position, end = len(_WINDOW), 16, min(size + 4, len(packed))
    out = bytearray()
    while position < end:
        flags, position = packed[position], position + 1
        for bit in range(8):
            if position >= end or not flags >> bit & 1:
                piece, position = packed[position : position + 1], position + 1
            else:
                reference, position = int.from_bytes(packed[position : position + 2], "big"), position + 2
                if reference >> 4 == write:
                    return bytes(out)
                piece = b""
                for offset in range((reference & 15) + 2):
                    byte = window[((reference >> 4) + offset) % 4096]
                    window[(write + offset) % 4096] = byte
                    piece += bytes((byte,))
            for byte in piece:
                window[write] = byte
                write = (write + 1) % 4096
            out += piece
    return bytes(out)


def _person(name: str, address: str) -> str:
    name, address = name.strip("\0 '\""), address.strip("\0 ")
    if not address or address == name or "@" not in address:  # an address of Exchange's own says nothing
        return name or address
    return f"{name} <{address}>" if name else address


def _as_eml(mail: Mail) -> bytes:
    """Write a message as mail, to be a document of its own."""
    message = MIMEMultipart(policy=email.policy.compat32)
    for name, value in mail.headers.items():
        if cleaned := " ".join(value.split()):
            message[name] = Header(cleaned, "utf-8").encode()
    for body in mail.bodies:
        text = body.text.encode("utf-8", "replace").decode()
        message.attach(MIMEText(text, "html" if body.is_html else "plain", "utf-8"))
    for attachment in mail.attachments:
        part = MIMEApplication(attachment.content)
        part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", attachment.name))
        message.attach(part)
    return message.as_bytes()
