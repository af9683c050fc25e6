"""Mail: what its reader sees (sender, recipients, date, subject, text), and its attachments."""

from __future__ import annotations

from dataclasses import dataclass, field

from agent_tasks.documents.content import Attachment, DocumentContent, Place
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.readers.html import html_lines
from agent_tasks.documents.readers.text_builder import TextBuilder, squeezed

HEADERS = ("From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Date", "Subject")
"""The headers that are read, in this order."""

_HEADER, _BODY = Place(part="header"), Place(part="body")


@dataclass(slots=True)
class Body:
    """A piece of the text of a mail."""

    text: str
    is_html: bool = False


@dataclass(slots=True)
class Mail:
    """A mail, whatever it was stored as."""

    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def content(self, filename: str, limits: ReadingLimits) -> DocumentContent:
        """Return the mail as a document."""
        builder = TextBuilder(filename, limits)
        for name in HEADERS:
            if value := squeezed(self.headers.get(name, "")).replace("\n", " "):
                builder.line(f"{name}: {value}", _HEADER)
        for body in self.bodies:
            builder.gap()
            if body.is_html:
                for line in html_lines(body.text, filename):
                    builder.line(line.text, _BODY)
            else:
                builder.line("")
                for text in body.text.splitlines():
                    builder.line(text, _BODY)
        return builder.content(attachments=self.attachments, notes=self.notes)
