"""Parts of a document that fit into a prompt."""

from __future__ import annotations

import random
import time

import pytest

from agent_tasks.batch.processing import estimate_tokens
from agent_tasks.documents.content import DocumentContent, Place, Section
from agent_tasks.documents.excerpts import Topic, passages, ranges

FILLER = "The parties agree that nothing in this clause limits what is said elsewhere in this document. "


def paged(*pages: str, kind: str = "page") -> DocumentContent:
    text, sections = "", []
    for number, page in enumerate(pages, 1):
        text += "\n\n" if text else ""
        place = Place(sheet=f"S{number}") if kind == "sheet" else Place(**{kind: number})
        sections.append(Section(len(text), len(text) + len(page), place))
        text += page
    return DocumentContent(text, tuple(sections))


class TestRanges:
    def test_a_document_that_fits_is_one_part(self) -> None:
        [part] = ranges(paged("one", "two"), 100, estimate_tokens)
        assert (part.name, part.text, part.pages, part.is_whole) == (
            "whole",
            "one\n\ntwo",
            ("one", "two"),
            True,
        )

    @pytest.mark.parametrize("kind", ["page", "slide", "sheet"])
    def test_pages_go_together_as_far_as_they_fit(self, kind: str) -> None:
        read = paged(*(f"{n} {FILLER}" for n in range(7)), kind=kind)
        parts = ranges(read, 75, estimate_tokens)
        assert [part.name for part in parts] == [
            f"{kind}s-1-3", f"{kind}s-4-6", f"{kind}-7",
        ]  # fmt: skip
        assert [page for part in parts for page in part.pages] == read.pages()
        assert all(part.text in read.text for part in parts)

    def test_a_page_that_is_too_large_is_cut_at_the_ends_of_lines(self) -> None:
        read = paged("small", f"{FILLER}\n" * 9, "last")
        parts = ranges(read, 75, estimate_tokens)
        assert [part.name for part in parts] == [
            "page-1", "page-2-part-1", "page-2-part-2", "page-2-part-3", "page-3",
        ]  # fmt: skip
        assert all(part.text.endswith("\n") for part in parts[1:4])

    @pytest.mark.parametrize("seed", range(20))
    def test_nothing_is_lost_and_every_part_fits(self, seed: int) -> None:
        chance = random.Random(seed)
        signs = [*"ab1.,- \n", "\n\n", "漢", "é", "😀", "word "]
        pages = ["".join(chance.choices(signs, k=chance.randrange(1, 900))) or "x" for _ in range(9)]
        read = paged(*pages) if seed % 2 else DocumentContent("".join(pages))
        most = chance.choice([20, 60, 200])
        parts = ranges(read, most, estimate_tokens)
        assert all(estimate_tokens(part.text) <= most for part in parts)
        assert "".join("".join(part.pages) for part in parts) == "".join(read.pages())
        assert len({part.name for part in parts}) == len(parts)

    def test_millions_of_characters_take_seconds(self) -> None:
        begun = time.process_time()
        assert len(ranges(DocumentContent(FILLER * 40_000), 50_000, estimate_tokens)) > 10
        assert time.process_time() - begun < 8


class TestPassages:
    READ = paged(
        f"Contract of sale\n{FILLER * 20}",
        *(FILLER * 30 for _ in range(20)),
        f"{FILLER * 10}\n\nThe invoices are to be paid within 30 days.\n\n{FILLER * 10}",
        *(FILLER * 30 for _ in range(20)),
        f"{FILLER * 9}\n请求书 付款条件：三十日以内\n{FILLER * 9}",
    )

    @pytest.mark.parametrize(
        ("words", "wanted", "page"),
        [("invoice payment", "within 30 days", 22), ("付款", "三十日以内", 43)],
    )
    def test_what_speaks_of_a_topic_is_shown_under_its_page(self, words: str, wanted: str, page: int) -> None:
        shown = passages(self.READ, [Topic(words)], 2_000, estimate_tokens)
        assert wanted in shown.text
        assert f"[page {page}]\n" in shown.text
        assert shown.text.startswith("[page 1]\nContract of sale")
        assert estimate_tokens(shown.text) <= 2_000
        assert not shown.is_whole

    def test_what_fits_comes_before_what_only_speaks_of_it(self) -> None:
        pages = [
            f"total amount {n} of the bill is discussed here. {FILLER * 8}" for n in "abcdefghijklmnopqrst"
        ]
        read = paged(*pages, f"total: 1,250.00 {FILLER * 8}", *pages)
        topic = Topic("total amount bill", lambda passage: any(char.isdigit() for char in passage))
        assert "1,250.00" in passages(read, [topic], 900, estimate_tokens).text

    def test_stretches_that_are_named_are_shown_first(self) -> None:
        start = self.READ.text.index("within 30")
        shown = passages(self.READ, [], 420, estimate_tokens, around=[(start, start + 9)])
        assert "within 30 days" in shown.text

    def test_all_topics_have_a_passage_before_one_has_more(self) -> None:
        read = paged(*(f"apple {n} {FILLER * 7}" for n in range(30)), f"pear {FILLER * 7}")
        shown = passages(read, [Topic("apple"), Topic("pear")], 700, estimate_tokens)
        assert "pear" in shown.text

    @pytest.mark.parametrize("words", ['"', "NEAR(a b)", "text:x OR *", "", "AND", "a" * 10_000])
    def test_no_words_are_an_expression(self, words: str) -> None:
        assert passages(self.READ, [Topic(words)], 500, estimate_tokens).text


def test_pages_of_a_document_that_has_notes_but_no_pages_are_its_text() -> None:
    read = DocumentContent("Body\n[1] note\nmore", (Section(5, 13, Place(part="footnote 1")),))
    assert read.pages() == ["Body\n[1] note\nmore"]
