"""Values looked up in the text of their document."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_tasks.documents.grounding import GroundingStatus, SourceText
from agent_tasks.documents.grounding.dates import find_dates

TEXT = unicodedata.normalize(
    "NFC",
    """INVOICE No. HX-30077
Hexley & Sons Ltd.
12 Mill Lane, York
Date: 12.03.2026   Due: April 11, 2026

3 x Oak board, planed      1.234,50 EUR
1 x Screws (box of 200)       12,05
Discount                     -50,00
VAT 19 %                    227,38
Total EUR 1 423,93
Liefer-
schein 4711, Straße 5
""",
)


@pytest.mark.parametrize(
    "value",
    [
        "HX-30077",
        "hx 30077",
        "Hexley & Sons Ltd",
        "HEXLEY AND SONS".replace("AND ", ""),
        "12 Mill Lane York",
        "Lieferschein 4711",
        "STRASSE 5",
        "Ｈｅｘｌｅｙ & Sons Ltd",
        "Oak board, planed",
    ],
)
def test_text_is_found_whatever_case_spaces_punctuation_and_hyphenation(value: str) -> None:
    found = SourceText(TEXT).find_text(value)
    assert found is not None


@pytest.mark.parametrize(
    "value", ["Hexley & Daughters", "exley", "3007", "Mill Lan", "4712", "Oak  boards", "€€"]
)
def test_text_that_is_not_there_is_not_found(value: str) -> None:
    assert SourceText(TEXT).find_text(value) is None


@pytest.mark.parametrize(
    "value",
    [1234.5, 12.05, -50.0, 227.38, 1423.93, 19, 0.19, 200, "EUR 12.05", "1,423.93", 2026],
)
def test_numbers_are_found_in_any_spelling(value: object) -> None:
    assert SourceText(TEXT).find_number(value) is not None


@pytest.mark.parametrize(
    "value", [1234.51, 1.2345, -12.05, 423.931, 0.5, 123, 50, 30077, "EUR 7", "none", 12.5, float("inf")]
)
def test_other_numbers_are_not(value: object) -> None:
    assert SourceText(TEXT).find_number(value) is None


@pytest.mark.parametrize(
    "text",
    [
        "1234.5", "1,234.50", "1.234,50", "1 234,5", "1\u202f234.50", "1'234.50", "1’234.50", "EUR1234.50",
        "1.234,50€", "$1,234.5", "total:1234.500;", "(1234.50)", "1,234.50-", "₹1,234.50",
    ],
)  # fmt: skip
def test_one_amount_in_many_spellings(text: str) -> None:
    assert SourceText(text).find_number(1234.5) is not None


@pytest.mark.parametrize("text", ["12,34,567.00", "1.234.567", "1,234,567.0", "1 234 567"])
def test_large_numbers(text: str) -> None:
    assert SourceText(text).find_number(1234567) is not None


@pytest.mark.parametrize("text", ["3 1,234.50", "12 345 67", "2026-03-12", "99  100"])
def test_neighbours_stay_numbers_of_their_own(text: str) -> None:
    first = text.split()[0].split(".")[0].split("-")[0]
    assert SourceText(text).find_number(int(first)) is not None


@pytest.mark.parametrize(
    "text", ["-12.5", "−12.5", "- 12.5", "-€12.5", "EUR -12.50", "-EUR 12.50", "(12.5)", "12.5-"]
)
def test_a_negative_number_needs_its_sign(text: str) -> None:
    assert SourceText(text).find_number(-12.5) is not None
    assert SourceText("12.5").find_number(-12.5) is None


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-12", "12.03.2026", "12.3.26", "12/03/2026", "03/12/2026", "12-03-2026", "2026/03/12",
        "20260312",
        "12 March 2026", "12th of March, 2026", "March 12, 2026", "Mar. 12 2026",
        "Thursday, March 12th, 2026",
        "12. März 2026", "12 mars 2026", "12 de marzo de 2026", "12 marzo 2026", "12 maart 2026",
        "12-Mar-2026",
        "den 12 mars 2026", "12 marca 2026", "12. 3. 2026", "2026年3月12日", "12 MARCH 2026", "12. Mär. 2026",
        "12 mar 26", "2026 March 12",
    ],
)  # fmt: skip
def test_one_date_in_many_spellings(text: str) -> None:
    assert SourceText(f"on {text} in York").find_date("2026-03-12") is not None


@pytest.mark.parametrize(
    "text", ["13.03.2026", "March 2026", "12 March", "112.03.2026", "12.13.2026", "12 Marble 2026"]
)
def test_other_dates_are_not(text: str) -> None:
    assert SourceText(text).find_date("2026-03-12") is None


def test_the_match_is_shown_with_offset_and_excerpt() -> None:
    grounding = SourceText(TEXT).look_up("total", "number", 1423.93)
    assert grounding.status is GroundingStatus.FOUND
    assert grounding.offset is not None
    assert TEXT[grounding.offset :].startswith("1 423,93")
    assert grounding.excerpt is not None
    assert "Total EUR 1 423,93" in grounding.excerpt
    assert "\n" not in grounding.excerpt
    assert SourceText(TEXT).look_up("kind", "none", "x").status is GroundingStatus.NOT_CHECKED
    assert SourceText(TEXT).look_up("x", "date", "2020-01-01").status is GroundingStatus.NOT_FOUND


@settings(max_examples=150, deadline=None)
@given(
    st.decimals(min_value=0, max_value=10**9, places=2, allow_nan=False),
    st.sampled_from([(",", "."), (".", ","), (" ", ","), ("'", "."), ("", "."), ("", ",")]),
    st.sampled_from(["{}", "EUR {}", "{} €", "Total:{}", "a {} b 7", "${}."]),
)
def test_any_amount_is_found_as_anybody_writes_it(
    amount: object, separators: tuple[str, str], frame: str
) -> None:
    written = f"{amount:,.2f}".replace(",", "T").replace(".", separators[1]).replace("T", separators[0])
    assert SourceText(frame.format(written)).find_number(float(str(amount))) is not None


@settings(max_examples=150, deadline=None)
@given(
    st.dates(min_value=date(1970, 1, 1), max_value=date(2069, 12, 31)),
    st.sampled_from(
        ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d %B %Y", "%B %d, %Y", "%b %d %Y", "%d-%b-%y", "%Y%m%d"]
    ),
)
def test_any_date_is_found_as_anybody_writes_it(day: date, form: str) -> None:
    assert SourceText(f"x {day.strftime(form)}, y").find_date(day.isoformat()) is not None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(min_size=1, max_size=8))
def test_looking_up_never_fails_and_offsets_lie_in_the_text(text: str, value: str) -> None:
    text = unicodedata.normalize("NFC", text)
    source = SourceText(text)
    for kind in ("exact", "number", "date"):
        found = source.look_up("x", kind, value)  # type: ignore[arg-type]
        assert found.offset is None or 0 <= found.offset < len(text)
    assert all(0 <= written.start < written.end <= len(text) for written in find_dates(text))


def test_a_large_text_is_quick() -> None:
    import time

    source = SourceText(TEXT * 2000)  # 650,000 characters
    started = time.process_time()
    assert source.find_text("nowhere in there") is None
    assert source.find_number(987654.32) is None
    assert source.find_date("1999-01-01") is None
    assert time.process_time() - started < 5
