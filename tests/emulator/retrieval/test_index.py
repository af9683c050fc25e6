"""Search over files: what is found, in which order, and what a hostile query cannot do."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_tasks.errors import EmptyDocumentError, UnsupportedDocumentError
from agents_emulator.retrieval import RetrievalIndex
from agents_emulator.retrieval.index import match_expression

INVOICE = b"Invoice 2026-114\nNordlicht Pumps AS, Oslo\nTotal due: EUR 1,240.50\nPay within 30 days."
NOTE = b"Delivery note DN-88\nFjord Logistics\n14 pallets of insulation wool for the site in Bergen."
LEASE = b"Lease contract\nThe monthly rent of the warehouse is NOK 42,000. The notice period is six months."


@pytest.fixture
def index(tmp_path: Path) -> Iterator[RetrievalIndex]:
    opened = RetrievalIndex(tmp_path / "retrieval.db")
    yield opened
    opened.close()


@pytest.fixture
def filled(index: RetrievalIndex) -> RetrievalIndex:
    for number, content in enumerate((INVOICE, NOTE, LEASE)):
        index.add_file("vs_a", f"file-{number}", f"{number}.txt", content)
    return index


def found(index: RetrievalIndex, query: str, store: str = "vs_a") -> list[str]:
    return [hit.file_id for hit in index.search([store], query)]


@pytest.mark.parametrize(
    ("query", "file_id"),
    [
        ("What is the total of the pump invoices?", "file-0"),
        ("1,240.50", "file-0"),
        ("goods brought by a haulier", "file-1"),
        ("DN-88", "file-1"),
        ("What is the rent of the storage building?", "file-2"),
    ],
)
def test_finds_by_words_by_numbers_and_by_meaning(filled: RetrievalIndex, query: str, file_id: str) -> None:
    assert found(filled, query)[0] == file_id


def test_hits_carry_their_file_and_a_score_that_falls(filled: RetrievalIndex) -> None:
    hits = filled.search(["vs_a"], "notice period")
    assert (hits[0].file_name, hits[0].chunk_index, hits[0].text) == ("2.txt", 0, LEASE.decode())
    assert hits[0].score == pytest.approx(1.0)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert len(filled.search(["vs_a"], "notice period", limit=1)) == 1


def test_stores_are_apart_and_can_be_searched_together(filled: RetrievalIndex) -> None:
    filled.add_file("vs_b", "file-9", "9.md", b"# Rent\nThe rent of the flat is EUR 900.")
    assert found(filled, "rent", "vs_b") == ["file-9"]
    assert {hit.file_id for hit in filled.search(["vs_b", "vs_a"], "rent")} >= {"file-2", "file-9"}
    assert found(filled, "rent", "vs_c") == []


def test_removed_files_and_dropped_stores_are_not_found_again(filled: RetrievalIndex) -> None:
    assert "file-2" in found(filled, "rent")
    filled.remove_file("vs_a", "file-2")
    filled.remove_file("vs_a", "never-there")
    assert "file-2" not in found(filled, "rent")
    filled.drop_store("vs_a")
    assert found(filled, "invoice") == []


def test_adding_a_file_again_replaces_it(filled: RetrievalIndex) -> None:
    filled.add_file("vs_a", "file-2", "2.txt", b"Nothing about that any more: only bananas.")
    hits = filled.search(["vs_a"], "rent bananas")
    assert [hit.text for hit in hits if hit.file_id == "file-2"] == [
        "Nothing about that any more: only bananas."
    ]


def test_a_file_that_cannot_be_read_leaves_nothing_behind(index: RetrievalIndex) -> None:
    with pytest.raises(EmptyDocumentError):
        index.add_file("vs_a", "file-0", "a.txt", b"  ")
    with pytest.raises(UnsupportedDocumentError):
        index.add_file("vs_a", "file-0", "a.dwg", b"a,b")
    assert found(index, "a b") == []


def test_long_files_are_cut_into_overlapping_chunks(index: RetrievalIndex) -> None:
    text = "\n".join(f"Line {number} tells of article A{number}." for number in range(200))
    usage = index.add_file("vs_a", "f", "f.txt", text.encode(), max_chunk_tokens=100, overlap_tokens=30)
    assert usage > len(text)
    hits = index.search(["vs_a"], "article A150")
    assert "A150" in hits[0].text
    assert len({hit.chunk_index for hit in hits}) == len(hits) == 20


def test_the_index_survives_being_opened_again(tmp_path: Path) -> None:
    first = RetrievalIndex(tmp_path / "r.db")
    first.add_file("vs_a", "f", "f.txt", LEASE)
    first.close()
    second = RetrievalIndex(tmp_path / "r.db")
    assert found(second, "rent") == ["f"]
    second.close()


def test_another_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "r.db") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(sqlite3.DatabaseError, match=r"version 99 .* delete the file"):
        RetrievalIndex(tmp_path / "r.db")


def test_threads_can_add_and_search_at_once(index: RetrievalIndex) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                index.add_file("vs_a", f"f{number}-{turn}", "a.txt", LEASE)
                index.search(["vs_a"], "rent")
        except BaseException as error:  # reported by the test itself
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert len(index.search(["vs_a"], "rent", limit=50)) == 20


@pytest.mark.parametrize(
    "query", ['"', "a AND", "NEAR(a b", "text:*", "'; DROP TABLE chunks", "___", "-", "^ rent *"]
)
def test_no_query_is_read_as_search_syntax(filled: RetrievalIndex, query: str) -> None:
    filled.search(["vs_a"], query)


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_gives_an_expression_that_sqlite_accepts(query: str) -> None:
    expression = match_expression(query)
    with sqlite3.connect(":memory:") as db:
        db.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
        if expression:
            db.execute("SELECT * FROM words WHERE words MATCH ?", (expression,)).fetchall()


def test_function_words_do_not_decide_a_search() -> None:
    assert match_expression("What is the rent of it?") == '"rent"'
    assert match_expression("what is it") == '"what" OR "is" OR "it"'
