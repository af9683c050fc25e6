"""Documents that are zip archives: opened within limits, parts by name, relationships between parts."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO
from urllib.parse import unquote

from agent_tasks.documents.limits import ReadingLimits, too_long
from agent_tasks.documents.readers.compound import described_compound, is_compound
from agent_tasks.documents.readers.xml_events import Events, follow_xml
from agent_tasks.errors import DocumentError, UnreadableDocumentError

MAX_PARTS = 20_000
_RELATIONSHIPS = {"http://schemas.openxmlformats.org/package/2006/relationships": "r"}


@contextmanager
def reading(filename: str, kind: str, remedy: str) -> Iterator[None]:
    """Turn whatever the code within raises into a failure of this document.

    Args:
        filename: The document.
        kind: Such as ``a DOCX file``; not said where the document is damaged.
        remedy: What a person can do, such as ``save it again as .docx``.
    """
    try:
        yield
    except DocumentError:
        raise
    except zipfile.BadZipFile as error:
        raise UnreadableDocumentError(
            f"{filename} is not {kind}: {error}; {remedy}", document=filename
        ) from error
    except MemoryError:
        raise  # concerns the process that reads; it says which document it was
    except Exception as error:
        raise UnreadableDocumentError(
            f"{filename} is damaged: {str(error) or type(error).__name__}; {remedy}", document=filename
        ) from error


@dataclass(frozen=True, slots=True)
class Relationship:
    """One part's reference to another."""

    kind: str
    """The last word of its type, such as ``header``: Strict and Transitional differ in what is before it."""
    target: str
    """The name of the part; an address if it is external."""
    external: bool


class Package:
    """The parts of a document that is a zip archive. Names are matched without regard to case and slashes."""

    def __init__(self, content: bytes, filename: str, limits: ReadingLimits, remedy: str) -> None:
        """Open a package.

        Raises:
            UnreadableDocumentError: It is no zip archive, or encrypted.
            DocumentTooLongError: It would unpack to more than the limits allow.
        """
        if is_compound(content):
            raise UnreadableDocumentError(
                f"{filename} is {described_compound(content)}; {remedy}", document=filename
            )
        if content.lstrip()[:5] == rb"{\rtf":
            raise UnreadableDocumentError(
                f"{filename} is an RTF document, whatever its name says; rename it to .rtf", document=filename
            )
        self._archive = zipfile.ZipFile(io.BytesIO(content))
        entries = self._archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        # zipfile never unpacks more of an entry than its directory declares, so the sizes can be trusted.
        if unpacked > limits.max_unpacked_bytes or unpacked > limits.max_ratio * len(content):
            raise too_long(
                filename,
                f"unpacks from {len(content):,} to {unpacked:,} bytes",
                f"{limits.max_unpacked_bytes:,} bytes and a factor of {limits.max_ratio:g}",
            )
        if len(entries) > MAX_PARTS:
            raise too_long(filename, f"has {len(entries):,} parts", f"{MAX_PARTS:,} parts")
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnreadableDocumentError(
                f"{filename} is encrypted; save it without a password", document=filename
            )
        self._entries = {_key(entry.filename): entry for entry in entries}

    def __contains__(self, part: object) -> bool:
        return isinstance(part, str) and _key(part) in self._entries

    def parts(self) -> list[str]:
        """Return the names of all parts, as the archive has them."""
        return [entry.filename for entry in self._entries.values()]

    def open(self, part: str) -> IO[bytes]:
        """Open a part for reading; KeyError if there is none of this name."""
        entry = self._entries.get(_key(part))
        if entry is None:
            raise KeyError(f"there is no part {part} in it")
        return self._archive.open(entry)

    def read(self, part: str) -> bytes:
        """Read a part."""
        with self.open(part) as stream:
            return stream.read()

    def follow(self, part: str, events: Events, prefixes: Mapping[str, str]) -> None:
        """Read a part of XML."""
        try:
            with self.open(part) as stream:
                follow_xml(stream, events, prefixes)
        except (zlib.error, EOFError, ValueError) as error:
            raise ValueError(f"{part}: {error}") from error

    def relationships(self, part: str = "") -> dict[str, Relationship]:
        """Return the relationships of a part (of the package, if none is named) by their ids."""
        folder, name = posixpath.split(part)
        listing = posixpath.join(folder, "_rels", f"{name}.rels")
        if listing not in self:
            return {}
        events = _Relationships(folder)
        self.follow(listing, events, _RELATIONSHIPS)
        return events.found

    def main_part(self, usual: str) -> str | None:
        """Return the name of the part that the package is about; `usual` is where most packages have it."""
        for relationship in self.relationships().values():
            if relationship.kind == "officeDocument" and relationship.target in self:
                return relationship.target
        return next((part for part in self.parts() if part.lower().endswith(usual)), None)


class _Relationships:
    def __init__(self, folder: str) -> None:
        self.found: dict[str, Relationship] = {}
        self._folder = folder

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not name.endswith(":Relationship"):
            return
        target = attributes.get("Target", "")
        external = attributes.get("TargetMode") == "External"
        if not external:
            target = posixpath.normpath(posixpath.join("/", self._folder, target.replace("\\", "/"))).lstrip(
                "/"
            )
        kind = attributes.get("Type", "").rpartition("/")[2]
        self.found[attributes.get("Id", "")] = Relationship(kind, target, external)

    def end(self, name: str) -> None:
        pass

    def text(self, data: str) -> None:
        pass


def _key(name: str) -> str:
    return unquote(name).replace("\\", "/").lstrip("/").lower()
