"""Mail as it travels (RFC 5322 and MIME): files with the extension .eml."""

from __future__ import annotations

import email
import email.policy
import mimetypes
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import collapse_rfc2231_value

from agent_tasks.documents.content import Attachment, DocumentContent
from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.html import decode_html
from agent_tasks.documents.readers.mail import HEADERS, Body, Mail
from agent_tasks.documents.readers.packages import reading
from agent_tasks.documents.readers.plain import decode
from agent_tasks.errors import DocumentError, UnreadableDocumentError

MAX_PARTS = 2_000
_REMEDY = "save the mail again as .eml"
_SIGNS_OF_MAIL = ("From", "To", "Subject", "Date", "Received", "Message-ID", "MIME-Version", "Content-Type")
_CONTENT_ID = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)


def read_eml(content: bytes, filename: str, limits: ReadingLimits) -> DocumentContent:
    """Read a mail."""
    with reading(filename, "a mail", _REMEDY):
        message = email.message_from_bytes(content.lstrip(), policy=email.policy.compat32)
        if not any(message.get(name) for name in _SIGNS_OF_MAIL):
            raise UnreadableDocumentError(
                f"{filename} is not a mail: it has no headers; {_REMEDY}", document=filename
            )
        return _MimeMail(message, filename).mail.content(filename, limits)


class _MimeMail:
    """The parts of a MIME message, sorted into text and attachments."""

    def __init__(self, message: Message, filename: str) -> None:
        self.mail = Mail(headers={name: _header(message, name, filename) for name in HEADERS})
        self._filename = filename
        self._pictures: list[tuple[str, Attachment]] = []
        parts = list(_leaves(message))
        if len(parts) > MAX_PARTS:
            raise too_long(filename, f"has {len(parts):,} parts", f"{MAX_PARTS:,} parts")
        for part in parts:
            self._take(part)
        self._sort_pictures()

    def _take(self, part: Message) -> None:
        kind = part.get_content_type()
        if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted") and (
            part.get_param("smime-type") != "signed-data"
        ):
            raise UnreadableDocumentError(
                f"{self._filename} is encrypted; save it decrypted", document=self._filename
            )
        if kind == "message/rfc822":
            self._take_message(part)
        elif part.get_content_maintype() == "text" and not _is_attached(part):
            self._take_text(part, kind)
        elif kind == "message/delivery-status":
            self.mail.bodies.append(Body("\n".join(str(inner) for inner in _payloads(part))))
        else:
            content = _bytes_of(part)
            attachment = Attachment(self._name(part, kind), content)
            if part.get_content_maintype() == "image" and part.get("Content-ID"):
                self._pictures.append((str(part["Content-ID"]).strip("<> "), attachment))
            elif content and kind != "application/pkcs7-signature":
                self.mail.attachments.append(attachment)

    def _take_text(self, part: Message, kind: str) -> None:
        content = _bytes_of(part)
        if not content.strip():
            return
        charset = _parameter(part.get_content_charset())
        if kind == "text/html":
            self.mail.bodies.append(Body(decode_html(content, self._filename, charset).text, is_html=True))
            return
        text = _text(content, charset, self._filename)
        if str(part.get_param("format", "")).lower() == "flowed":
            text = _unfolded(text, delete_blank=str(part.get_param("delsp", "")).lower() == "yes")
        self.mail.bodies.append(Body(text))

    def _take_message(self, part: Message) -> None:
        for inner in _payloads(part):
            subject = _header(inner, "Subject", self._filename) or "message"
            name = self._file_name(part) or f"{subject}.eml"
            self.mail.attachments.append(Attachment(name, inner.as_bytes(policy=email.policy.compat32)))

    def _sort_pictures(self) -> None:
        """Keep pictures that the text does not show as attachments; those that it shows belong to it."""
        shown = {
            found for body in self.mail.bodies if body.is_html for found in _CONTENT_ID.findall(body.text)
        }
        inside = 0
        for content_id, attachment in self._pictures:
            if content_id in shown:
                inside += 1
            else:
                self.mail.attachments.append(attachment)
        if inside:
            self.mail.notes.append(
                f"The text of {inside} picture{'s' if inside > 1 else ''} in it was not read."
            )

    def _name(self, part: Message, kind: str) -> str:
        return self._file_name(part) or (
            f"attachment {len(self.mail.attachments) + 1}{mimetypes.guess_extension(kind) or '.bin'}"
        )

    def _file_name(self, part: Message) -> str:
        """Return the name that an attachment has; mailers encode it in one of three ways."""
        for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
            value = part.get_param(parameter, None, header)
            if value:
                name = value if isinstance(value, str) else _collapsed(value)
                return _decoded(name, self._filename).strip()
        return ""


def _leaves(message: Message) -> Iterator[Message]:
    """Yield the parts that a reader sees, in order: of alternatives one."""
    todo = [message]
    while todo:
        part = todo.pop()
        if not part.is_multipart() or part.get_content_maintype() == "message":
            yield part
            continue
        inner = _payloads(part)
        if part.get_content_type() == "multipart/alternative" and inner:
            inner = _chosen(inner)
        todo.extend(reversed(inner))


def _chosen(alternatives: list[Message]) -> list[Message]:
    """Take HTML, which is what mail programs show, else the last with text; and what is no text."""
    with_text = [part for part in alternatives if _has(part, "text/")]
    html = [part for part in with_text if _has(part, "text/html")]
    shown = (html or with_text)[-1:]
    return shown + [part for part in alternatives if part not in with_text]


def _has(part: Message, kind: str) -> bool:
    return any(
        inner.get_content_type().startswith(kind) and _bytes_of(inner).strip() != b""
        for inner in part.walk()
        if not inner.is_multipart()
    )


def _payloads(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [inner for inner in payload if isinstance(inner, Message)] if isinstance(payload, list) else []


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment" or (
        part.get_content_disposition() is None and part.get_param("name") is not None
    )


def _text(content: bytes, charset: str | None, filename: str) -> str:
    try:
        return content.decode(charset or "utf-8")
    except (LookupError, ValueError):  # unknown or untrue
        return decode(content, filename).text


def _unfolded(text: str, *, delete_blank: bool) -> str:
    """Join the lines of a text in the format flowed (RFC 3676): a blank ends a line that goes on."""
    lines: list[str] = []
    goes_on = False
    for line in text.splitlines():
        stuffed = line[1:] if line.startswith(" ") else line
        if goes_on:
            lines[-1] += stuffed.lstrip("> ") if lines[-1].startswith(">") else stuffed
        else:
            lines.append(stuffed)
        goes_on = stuffed.endswith(" ") and stuffed != "-- "
        if goes_on and delete_blank:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


# --- headers -----------------------------------------------------------------------------------------------


def _header(message: Message, name: str, filename: str) -> str:
    """Return a header; its raw form, in which bytes that are no ASCII are kept."""
    values = [str(value) for key, value in message.raw_items() if key.lower() == name.lower()]
    return ", ".join(_decoded(value, filename) for value in values[:100])


def _decoded(value: str, filename: str) -> str:
    """Decode a header with encoded words (RFC 2047), or with bytes as they are."""
    try:
        raw = value.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        raw = b""  # decoded already
    if raw and not raw.isascii():
        return _tolerant(raw, None, filename)
    try:
        pieces = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    return "".join(
        piece if isinstance(piece, str) else _tolerant(piece, charset, filename) for piece, charset in pieces
    )


def _tolerant(raw: bytes, charset: str | None, filename: str) -> str:
    try:
        return _text(raw, charset, filename)
    except DocumentError:  # a header that cannot be told is no reason to lose the mail
        return raw.decode("ascii", "replace")


def _collapsed(value: tuple[str | None, str | None, str]) -> str:
    try:
        return collapse_rfc2231_value(value)
    except (LookupError, ValueError):
        return value[2]


def _parameter(charset: str | None) -> str | None:
    return charset.strip("'\" ") if charset else None
