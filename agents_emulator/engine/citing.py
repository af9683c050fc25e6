"""What an answer may refer to: passages of files, sources that tools found, files that code wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents_emulator.engine.file_search import SearchOutcome
from agents_emulator.store import Record
from agents_emulator.tools.code_interpreter import PREFIX, Workspace

if TYPE_CHECKING:
    from agents_emulator.retrieval import SearchHit


class Citable:
    """Passages that the model was given, each with the mark and the annotation that cite it."""

    def __init__(self, outcome: SearchOutcome | None, sources: Sequence[Record]) -> None:
        from agents_emulator.retrieval import SearchHit

        self._outcome = outcome
        self.passages: list[SearchHit] = list(outcome.passages) if outcome is not None else []
        self._first_source = len(self.passages)
        self._sources = list(sources)
        self.passages += [
            SearchHit(source["url"], source["title"], source["text"], 1.0, 0) for source in sources
        ]

    def annotation(self, index: int, start: int) -> Record:
        """Return the annotation of a passage for a mark that begins at `start`; its `text` is the mark."""
        passage = self.passages[index]
        if self._outcome is not None and index < self._first_source:
            mark = f"【4:{self._outcome.result_index(passage)}†source】"
            cited: Record = {"type": "file_citation", "file_citation": {"file_id": passage.file_id}}
        else:
            number = index - self._first_source
            source = self._sources[number]
            return url_annotation(number, source["url"], source["title"], start)
        place = {"text": mark, "start_index": start, "end_index": start + len(mark)}
        return {"type": cited.pop("type"), **place, **cited}


def url_annotation(number: int, url: str, title: str, start: int) -> Record:
    """Return the annotation of an address for a mark that begins at `start`; its `text` is the mark."""
    mark = f"【3:{number}†source】"
    place = {"text": mark, "start_index": start, "end_index": start + len(mark)}
    return {"type": "url_citation", **place, "url_citation": {"url": url, "title": title}}


def with_sources(text: str, sources: Iterable[tuple[str, str]]) -> tuple[str, list[Record]]:
    """Return a text with marks of addresses (each with a title) at its end, and their annotations."""
    annotations: list[Record] = []
    for number, (url, title) in enumerate(sources):
        annotation = url_annotation(number, url, title, len(text))
        annotations.append(annotation)
        text += annotation["text"]
    return text, annotations


@dataclass
class FileMentions:
    """Finds `sandbox:/mnt/data/NAME` in a streamed text, for the files that there are.

    The name may be percent-encoded, as links are, wholly or in part.
    """

    workspace: Workspace
    names: Sequence[str]
    _held: str = ""

    def feed(self, text: str) -> list[tuple[str, str | None]]:
        """Take the next part of a text; returns what is certain by now, mentions with the file's name."""
        self._held += text
        return self._cut(final=False)

    def finish(self) -> list[tuple[str, str | None]]:
        """The rest of the text."""
        return self._cut(final=True)

    def _cut(self, *, final: bool) -> list[tuple[str, str | None]]:
        pieces: list[tuple[str, str | None]] = []
        while self._held:
            at = self._held.find(PREFIX)
            if at < 0:
                keep = 0 if final else _overlap(self._held)
                at = len(self._held) - keep
                pieces.append((self._held[:at], None))
                self._held = self._held[at:]
                break
            if at:
                pieces.append((self._held[:at], None))
                self._held = self._held[at:]
            rest = self._held[len(PREFIX) :]
            found = {name: _written(name, rest) for name in self.names}
            if not final and None in found.values():
                break
            name, length = max(found.items(), key=lambda item: item[1] or 0, default=(None, 0))
            end = len(PREFIX) + (length or 0)
            name = name if length else None
            pieces.append((self._held[:end], name))
            self._held = self._held[end:]
        return [piece for piece in pieces if piece[0]]


def _written(name: str, text: str) -> int | None:
    """How many characters of `text` are the name; 0 if it does not begin with it, None if it may yet."""
    if text.startswith(name):
        return len(name)
    if name.startswith(text):
        return None
    at = 0
    for character in name:
        encoded = "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
        rest = text[at : at + len(encoded)].upper()
        if rest == encoded:
            at += len(encoded)
        elif text.startswith(character, at):
            at += 1
        else:
            return None if encoded.startswith(rest) and at + len(rest) == len(text) else 0
    return at


def _overlap(text: str) -> int:
    """How many characters at the end of a text may begin a mention."""
    for length in range(min(len(text), len(PREFIX) - 1), 0, -1):
        if PREFIX.startswith(text[-length:]):
            return length
    return 0


@dataclass
class References:
    """All that the next answer of a run may show or refer to.

    `images` are files to show before its text.
    """

    images: Sequence[str] = ()
    citable: Citable | None = None
    mentions: FileMentions | None = None
    annotations: list[Record] = field(default_factory=list)
