"""Text out of documents: what comes out, and what is refused."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import docx
import pytest

from agent_tasks.documents import reading
from agent_tasks.documents.content import DocumentContent, Place, Section, WordBoxes, in_units
from agent_tasks.documents.limits import DEFAULT_LIMITS
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import (
    ConfigurationError,
    DocumentTooLongError,
    EmptyDocumentError,
    UnsupportedDocumentError,
)
from tests.support.pdf_files import pdf


def text_of(content: bytes, name: str, **options: Any) -> str:
    return read_document(content, name, **options).text


def saved(document: docx.document.Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


class TestEveryFormat:
    @pytest.mark.parametrize("name", ["a.exe", "a", "a.doc", ".txt/../x.zip"])
    def test_is_refused_if_unknown(self, name: str) -> None:
        with pytest.raises(UnsupportedDocumentError, match=r"\.docx, .*\.go"):
            text_of(b"text", name)

    @pytest.mark.parametrize(
        ("content", "name"),
        [
            (b"", "a.txt"),
            (b" \n\t\n ", "a.txt"),
            (b"", "a.pdf"),
            (b"<html><script>x</script><p> </p></html>", "a.html"),
            (pdf([]), "a.pdf"),
            (saved(docx.Document()), "a.docx"),
        ],
    )
    def test_without_text_is_an_error_of_its_own(self, content: bytes, name: str) -> None:
        with pytest.raises(EmptyDocumentError) as caught:
            text_of(content, name)
        assert caught.value.document == name

    def test_is_chosen_by_the_extension_in_any_case(self) -> None:
        assert text_of(b"<p>x</p>", "A.HTML") == "x"
        assert text_of(b"<p>x</p>", "a.txt") == "<p>x</p>"

    def test_is_limited_in_bytes_and_characters(self) -> None:
        with pytest.raises(DocumentTooLongError, match="the limit is 3 bytes"):
            text_of(b"text", "a.txt", limits=replace(DEFAULT_LIMITS, max_bytes=3))
        with pytest.raises(DocumentTooLongError, match="the limit is 3 characters"):
            text_of(b"text", "a.txt", limits=replace(DEFAULT_LIMITS, max_characters=3))


class _Package:
    """An entry point of another package."""

    def __init__(self, name: str, value: object) -> None:
        self.name = name
        self.value = repr(value)
        self.dist = None
        self._loaded = value

    def load(self) -> object:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


class TestReadersOfOthers:
    @pytest.fixture
    def offer(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
        def clear() -> None:
            reading._reader.cache_clear()
            reading._readers_of_others.cache_clear()

        def offer(*points: _Package) -> None:
            monkeypatch.setattr("importlib.metadata.entry_points", lambda group: list(points))
            clear()

        yield offer
        clear()

    def test_read_their_kind(self, offer: Callable[..., None]) -> None:
        offer(_Package("dwg", lambda content, name, limits: DocumentContent(f"{name} {len(content)}")))
        assert text_of(b"abc", "a.DWG") == "a.DWG 3"
        assert ".dwg" in reading.document_extensions()

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([_Package("pdf", len)], r"for \.pdf, which has a built-in reader"),
            ([_Package("dwg", len), _Package(".dwg", str)], r"both for \.dwg"),
            ([_Package("dwg", ImportError("no cad"))], "cannot be loaded: ImportError: no cad"),
            ([_Package("dwg", "text")], "is not a function"),
        ],
    )
    def test_that_are_broken_are_everybodys_failure(
        self, offer: Callable[..., None], points: list[_Package], message: str
    ) -> None:
        offer(*points)
        with pytest.raises(ConfigurationError, match=message):
            text_of(b"abc", "a.dwg")

    def test_that_give_odd_text_are_put_right(self, offer: Callable[..., None]) -> None:
        words = WordBoxes()
        words.add(0, 5, (0, 0, 1, 1))
        words.add(6, 8, (0, 0, 1, 1))
        sections = (Section(6, 8, Place(page=2)),)
        offer(_Package("dwg", lambda *_: DocumentContent("cafe\u0301 \ud83dx", sections, words)))
        found = read_document(b"abc", "a.dwg")
        assert found.text == "café \ufffdx"
        assert [found.text[part.start : part.end] for part in found.sections] == ["\ufffdx"]
        assert found.words is not None
        assert list(found.words.ends) == [4, 7]


def test_boxes_of_words_over_the_edge_end_there() -> None:
    words = WordBoxes()
    words.add_row([0, 2], [1, 3], in_units([0.0, 0.25, 0.5, 1.0, -0.1, 0.0, 1.2, 1.0]))
    assert list(words.edges) == [0, 16384, 32768, 65535, 0, 0, 65535, 65535]
