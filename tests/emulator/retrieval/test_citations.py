"""Sentences of an answer get the citation of the hit that supports them, and no other."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agents_emulator.retrieval import CitationMarker, MarkedText, SearchHit, select_passages
from agents_emulator.retrieval.chunking import split_into_chunks
from agents_emulator.retrieval.embeddings import count_tokens
from agents_emulator.retrieval.words import sentences, words

HITS = [
    SearchHit(
        "f0", "invoice.txt", "Invoice no. 2026-114\nNordlicht Pumps AS, Oslo\nTotal: EUR 1,240.50", 1.0, 0
    ),
    SearchHit(
        "f1", "note.txt", "Delivery note DN-88\n14 pallets of wool, received by K. Olsen in Bergen.", 0.9, 0
    ),
    SearchHit(
        "f2",
        "lease.txt",
        "Lease\n3. The monthly rent is NOK 42,000. The notice period is six months.",
        0.8,
        0,
    ),
]


def mark(answer: str, size: int = 7) -> list[MarkedText]:
    marker = CitationMarker(HITS)
    pieces = [piece for i in range(0, len(answer), size) for piece in marker.feed(answer[i : i + size])]
    return pieces + marker.finish()


@pytest.mark.parametrize(
    ("sentence", "hit"),
    [
        ("The notice period is six months.", 2),
        ("The rent is NOK 42 000 a month.", 2),
        ("The total is EUR 1.240,50.", 0),
        ("K. Olsen received 14 pallets in Bergen.", 1),
        ("1. The notice period is six months.", 2),
        ("The rent is NOK 55,000 a month.", None),  # a number that stands nowhere
        ("The notice period is 3 months.", None),  # the 3 of the source numbers a paragraph
        ("I do not know.", None),
        ("Penguins live at the South Pole.", None),
        ("42", None),
    ],
)
def test_a_sentence_is_cited_only_if_a_hit_supports_it(sentence: str, hit: int | None) -> None:
    assert [piece.hit_index for piece in mark(sentence)] == [hit]


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_the_pieces_are_the_answer_however_it_is_streamed(size: int) -> None:
    answer = "  The total of invoice no. 2026-114 is EUR 1,240.50. The rent is NOK 42,000!\n\nBye now \n"
    pieces = mark(answer, size)
    assert "".join(piece.text for piece in pieces) == answer
    assert [piece.hit_index for piece in pieces if piece.text.strip()] == [0, 2, None]


def test_a_sentence_is_given_out_as_soon_as_the_next_one_begins() -> None:
    marker = CitationMarker(HITS)
    assert marker.feed("The notice period is six months.") == []
    assert marker.feed(" I") == [MarkedText("The notice period is six months.", 2)]
    assert marker.finish() == [MarkedText(" I")]
    assert marker.finish() == []


def test_without_hits_nothing_is_cited() -> None:
    marker = CitationMarker([])
    assert marker.feed("The notice period is six months. Yes.") + marker.finish() == [
        MarkedText("The notice period is six months."),
        MarkedText(" Yes."),
    ]


def test_abbreviations_and_initials_do_not_end_a_sentence() -> None:
    assert sentences("Mr. K. Olsen of Acme Inc. paid approx. 3.5 kg. Done! (Really.) ok\nNext line") == [
        "Mr. K. Olsen of Acme Inc. paid approx. 3.5 kg.",
        "Done!",
        "(Really.) ok",
        "Next line",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EUR 1,240.50", ["eur", "1240.5"]),
        ("1.240,50", ["1240.5"]),
        ("42 000", ["42000"]),
        ("42'000.00", ["42000"]),
        ("2026-03-01", ["2026-03-01"]),
        ("12.03.2026", ["12.03.2026"]),
        ("AB-12 x", ["ab-12", "x"]),
    ],
)
def test_amounts_have_one_spelling(text: str, expected: list[str]) -> None:
    assert words(text) == expected


class TestPassages:
    def test_hits_that_fit_are_taken_whole(self) -> None:
        assert select_passages(HITS, "rent", max_tokens=1000) == HITS

    def test_long_hits_are_reduced_to_their_relevant_lines_and_their_heading(self) -> None:
        filler = "\n".join(f"Clause {n} is about something else entirely." for n in range(60))
        hit = SearchHit("f", "c.txt", f"Lease contract\n{filler}\nThe notice period is six months.", 1.0, 0)
        [passage] = select_passages([hit], "How long is the notice period?", max_tokens=40)
        lines = passage.text.splitlines()
        assert lines[0] == "Lease contract"
        assert lines[-1] == "The notice period is six months."
        assert count_tokens([passage.text])[0] <= 40

    @pytest.mark.parametrize("budget", [0, 5, 30, 60, 100])
    def test_the_budget_is_kept(self, budget: int) -> None:
        chosen = select_passages(HITS, "rent in Bergen", max_tokens=budget)
        assert sum(count_tokens([hit.text for hit in chosen])) <= budget

    def test_no_hits_give_no_passages(self) -> None:
        assert select_passages([], "rent", max_tokens=100) == []


class TestChunks:
    def test_chunks_keep_to_their_size_and_cover_the_text(self) -> None:
        text = "\n".join(f"Sentence {n} is here. And another one, {n}, follows." for n in range(60))
        chunks = split_into_chunks(text, max_tokens=80, overlap_tokens=40)
        assert max(count_tokens(chunks)) <= 80
        assert all(f"Sentence {n} is here." in " ".join(chunks) for n in range(60))
        assert all(later.splitlines()[0] in earlier for earlier, later in pairwise(chunks))

    def test_without_overlap_nothing_comes_twice(self) -> None:
        text = "\n".join(f"Line {n}." for n in range(50))
        assert "\n".join(split_into_chunks(text, max_tokens=20, overlap_tokens=0)) == text

    def test_a_text_without_sentence_ends_is_cut_at_blanks(self) -> None:
        chunks = split_into_chunks("word " * 3000, max_tokens=100, overlap_tokens=20)
        assert max(count_tokens(chunks)) <= 100
        assert set(" ".join(chunks).split()) == {"word"}

    def test_a_short_text_is_one_chunk(self) -> None:
        assert split_into_chunks("Hello there.", max_tokens=800, overlap_tokens=400) == ["Hello there."]

    def test_an_overlap_as_large_as_the_chunk_is_refused(self) -> None:
        with pytest.raises(ValueError, match="has to be below"):
            split_into_chunks("a", max_tokens=10, overlap_tokens=10)
