"""The rules of grounding, one by one: what counts in each script, and what does not."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest

from agent_tasks.documents.grounding import FieldGrounding, Ground, GroundingStatus, How, SourceText


def look_up(text: str, kind: Ground, value: Any) -> FieldGrounding:
    return SourceText(unicodedata.normalize("NFC", text)).look_up("x", kind, value)


def is_found(text: str, kind: Ground, value: Any) -> bool:
    return look_up(text, kind, value).status is GroundingStatus.FOUND


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("契約者は山田太郎である", "山田太郎"),
        ("お支払いはサービス料を含む", "サービス料"),
        ("上海市浦东新\n区", "上海市浦东新区"),
        ("ลูกค้าคือบริษัทไม้สักทองจำกัด", "ไม้สักทอง"),
        ("ລູກຄ້າແມ່ນບໍລິສັດໄມ້ສັກຈຳກັດ", "ໄມ້ສັກ"),
        ("អតិថិជនក្រុមហ៊ុនអង្គរសំណង់នៅភ្នំពេញ", "អង្គរសំណង់"),
        ("Hello世界", "Hello"),
        ("Hello世界", "世界"),
        ("型番7A3を注文", "7A3"),
        ("第 3 条", "第3条"),
    ],
)
def test_scripts_without_blanks_have_values_within_a_sentence(text: str, value: str) -> None:
    assert is_found(text, "exact", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("กาแฟ", "ก"),
        ("การค้า", "ก"),
        ("ハイライト", "ライト"),
        ("トヨタホーム", "トヨタ"),
        ("ကျောက်", "ကျော"),
        ("上海。市", "上海市"),
        ("Hello世界", "Hell"),
        ("東京、大阪", "東京大阪"),
    ],
)
def test_but_not_within_a_syllable_or_a_foreign_word(text: str, value: str) -> None:
    assert not is_found(text, "exact", value)


@pytest.mark.parametrize("particle", ["는", "에서", "으로", "의", "입니다", "까지", "께서", ""])
def test_korean_particles_are_no_part_of_a_value(particle: str) -> None:
    found = look_up(f"담당 김민수{particle} 확인", "exact", "김민수")
    assert found.status is GroundingStatus.FOUND
    assert found.quote == "김민수"
    assert found.how is (How.PARTICLE if particle else How.EXACT)


def test_other_korean_words_are() -> None:
    assert not is_found("김민수산 확인", "exact", "김민수")
    assert not is_found("대한민국", "exact", "민국")


@pytest.mark.parametrize(
    ("text", "value"), [("בירושלים", "ירושלים"), ("والشركة", "شركة"), ("לחברת אלון", "חברת אלון")]
)
def test_arabic_and_hebrew_words_have_particles_before_them(text: str, value: str) -> None:
    found = look_up(f"( {text} )", "exact", value)
    assert (found.status is GroundingStatus.FOUND) is (len(value) >= 5)
    assert found.how is (How.PARTICLE if len(value) >= 5 else None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("कमल", "कोमल"),
        ("कोमल", "कमल"),
        ("কামাল", "কমল"),
        ("முருகன்", "மரகன்"),
        ("ọkọ̀", "ọkọ"),
        ("ọkọ́", "ọkọ̀"),
        ("Muñoz", "Munoz"),
        ("कमला", "कमल"),
    ],
)
def test_combining_marks_count(text: str, value: str) -> None:
    assert not is_found(text, "exact", value)
    assert is_found(text, "exact", unicodedata.normalize("NFD", text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("INV-2024A", "INV-2024"),
        ("7A3B9C", "7A3"),
        ("7A3B9C", "3B9C"),
        ("RE-2026-0815", "RE-2026"),
        ("RE-2026-0815", "2026-0815"),
        ("INV-2024/7", "INV-2024"),
        ("XINV-2024", "INV-2024"),
        ("INV-2024-B", "INV-2024"),
        ("INV2024", "2024"),
        ("12.345.678/0001-95", "12.345.678"),
        ("DE89 3704 0044 0532 0130 00", "DE89 3704 0044"),
        ("30 99 17 44", "309917"),
        ("3 1234", "31234"),
        ("DE89 3704 0044", "DE89 3704 0045"),
    ],
)
def test_identifiers_are_found_whole_or_not_at_all(text: str, value: str) -> None:
    assert not is_found(f"No. {text} of", "exact", value)
    assert is_found(f"No. {text} of", "exact", text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
        ("COBA DE FF XXX", "COBADEFFXXX"),
        ("+49 30 901820", "+4930901820"),
        ("+49 (0)30 / 90 18 20", "+4930901820"),
        ("0049 30 901820", "+4930901820"),
        ("4500 123 456", "4500123456"),
        ("DE89 3704 0044\n0532 0130 00", "DE89370400440532013000"),
        ("INV-\n2024", "INV-2024"),
        ("inv 2024", "INV-2024"),
    ],
)
def test_blanks_in_identifiers_do_not_matter(text: str, value: str) -> None:
    found = look_up(f"No. {text} of", "exact", value)
    assert found.status is GroundingStatus.FOUND
    assert found.quote == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("25,285.00", "number", 252.85),
        ("25,285.00", "exact", "252.85"),
        ("4.2", "number", 42),
        ("4.2", "exact", "42"),
        ("4.2", "exact", "2"),
        ("1/12/2026", "exact", "11/2/2026"),
        ("1/12/2026", "date", "2026-02-11"),
        ("3500\nEUR", "exact", "3500 EUR"),
        ("EUR\n3500", "exact", "EUR 3500"),
        ("10-20", "number", -20),
        ("10-20", "number", -10),
        ("10 - 20", "number", -20),
        ("10–20", "exact", "-20"),
        ("INV-77", "number", -77),
        ("INV-77", "exact", "-77"),
        ("12:30", "exact", "1230"),
        ("1.2.3", "exact", "12.3"),
        ("C#", "exact", "C++"),
        ("12 $", "exact", "12 €"),
        ("Rabatt -50", "exact", "Rabatt 50"),
        ("Mill. Lane", "exact", "Mill Lane"),
        ("Anna\n\nBerg", "exact", "Anna Berg"),
    ],
)
def test_signs_that_say_something_count(text: str, kind: Ground, value: Any) -> None:
    assert not is_found(f"a {text} b", kind, value)


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("İSTANBUL", "istanbul", How.FORM),
        ("IĞDIR", "Iğdır", How.FORM),
        ("ΑΘΗΝΑ", "Αθήνα", How.FORM),
        ("STRASSE", "Straße", How.FORM),
        ("ＡＢＣ－１２", "ABC-12", How.FORM),
        ("ﾄｳｷｮｳﾄﾞｰﾑ", "トウキョウドーム", How.FORM),
        ("٢٠٢٦-٠١٧", "2026-017", How.FORM),
        ("क-१२८", "क-128", How.FORM),
        ("oﬃce ﬂoor", "office floor", How.FORM),
        ("Con\u00adsul\u00adting", "Consulting", How.FORM),
        ("œuvre", "oeuvre", How.FORM),
        ("Liefer-\nschein", "Lieferschein", How.LINE),
        ("Liefer\u00ad\nschein", "Lieferschein", How.LINE),
        ("semi-\nfinished", "semi-finished", How.LINE),
        ("Oak\nboard", "Oak board", How.LINE),
        ("Oak, board", "Oak board", How.SIGNS),
        ("S.A.R.L.", "SARL", How.SIGNS),
        ("می\u200cخواهم", "میخواهم", How.FORM),
        ("حُرِّر العقد", "حرر العقد", How.FORM),
        ("12½", "12½", How.EXACT),
    ],
)
def test_forms_of_the_same_letters_are_found(text: str, value: str, how: How) -> None:
    found = look_up(f"a {text} b", "exact", value)
    assert found.status is GroundingStatus.FOUND
    assert found.how is how


@pytest.mark.parametrize(
    ("text", "value"),
    [("kıl", "kil"), ("πότε", "ποτέ"), ("عَلِم", "عُلِم"), ("12²", "122"), ("Hexley™x", "Hexleytm")],
)
def test_what_a_reader_tells_apart_stays_apart(text: str, value: str) -> None:
    assert not is_found(f"a {text} b", "exact", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (".50", 0.5),
        (".05", 0.05),
        ("½", 0.5),
        ("10½", 10.5),
        ("10 ½", 10.5),
        ("2 1/2", 2.5),
        ("1.5e6", 1500000),
        ("1.5E-3", 0.0015),
        ("3 × 10^6", 3000000),
        ("4·10⁶", 4000000),
        ("12.5m", 12500000),
        ("3,5 Mio. EUR", 3500000),
        ("2 million", 2000000),
        ("2.5 lakh", 250000),
        ("3.5 करोड़", 35000000),
        ("1,2 млн", 1200000),
        ("3.2bn", 3200000000),
        ("12万3千", 123000),
        ("3億5,000万円", 350000000),
        ("三百五十万", 3500000),
        ("壹拾贰万叁仟", 123000),
        ("12만 5천원", 125000),
        ("1.25亿", 125000000),
        ("٣٬٤٥٦٫٧٨", 3456.78),
        ("१२,३४,५६७.५०", 1234567.5),
        ("１，２３４", 1234),
        ("12.50 CR", -12.5),
        ("12.50 EUR CR", -12.5),
        ("12.50-", -12.5),
        ("12,50 €-", -12.5),
        ("(12.50)", -12.5),
        ("−12.50", -12.5),
        ("1,234.\n50", 1234.5),
        ("1,234.  \n  50", 1234.5),
        ("%20", 0.2),
        ("5 ‰", 0.005),
        ("EUR120", 120),
        ("120kg", 120),
        ("Menge12Stück", 12),
        ("3x4", 4),
    ],
)
def test_numbers_in_spellings_of_the_world(text: str, value: float) -> None:
    assert is_found(f"a {text} b", "number", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (".50", 50),
        ("10½", 10),
        ("12万3千", 12),
        ("12万3千", 3),
        ("2 million", 2),
        ("12.50", -12.5),
        ("1.5e6", 1.5),
        ("7A3B9C", 7),
        ("7A3B9C", 3),
        ("A4", 4),
        ("INV2024", 2024),
        ("제3조", 3 * 10**12),
        ("M8x40", 40),
        ("€45,000", 45),
        ("1 250 000", 250),
        ("4 920,00", 920),
        ("00042", 42),
        ("12.50 DR", -12.5),
        ("12-month", -12),
        ("3½", 0.5),
        ("5 km", 5000),
    ],
)
def test_numbers_that_are_not_there(text: str, value: float) -> None:
    assert not is_found(f"a {text} b", "number", value)


def test_each_number_of_a_text_value_has_to_be_there() -> None:
    assert is_found("3 x 12.50 EUR", "number", "3 x 12.50")
    assert not is_found("3 x 12.51 EUR", "number", "3 x 12.50")


def test_a_number_that_can_be_read_in_two_ways_says_so() -> None:
    assert look_up("weight 1.250 in all", "number", 1250).note == "1.250 may be 1.25 or 1250"
    assert look_up("weight 1.250,00 in all", "number", 1250).note is None


@pytest.mark.parametrize(
    "text",
    [
        "2026/3/5",
        "2026-3-5",
        "5.3.2026",
        "5/3/2026",
        "3/5/2026",
        "5-3-26",
        "2026.3.5",
        "2026年3月5日",
        "2026 年 3 月 5 日",
        "二〇二六年三月五日",
        "令和8年3月5日",
        "令和８年三月五日",
        "R8.3.5",
        "2026년 3월 5일",
        "中華民國115年3月5日",
        "2026. 3. 5.",
        "5.III.2026",
        "5 III 2026",
        "5/III-2026",
        "the 5th day of March, 2026",
        "March 5th, 2026",
        "5 de marzo de 2026",
        "5. maaliskuuta 2026",
        "2026. március 5.",
        "2026 m. kovo 5 d.",
        "2026. gada 5. martā",
        "5 марта 2026 г.",
        "5 березня 2026 року",
        "5 мар. 2026",
        "ngày 5 tháng 3 năm 2026",
        "5 มีนาคม 2569",
        "๕ มีนาคม พ.ศ. ๒๕๖๙",
        "٥ مارس ٢٠٢٦",
        "٥ آذار ٢٠٢٦",
        "5 במרץ 2026",
        "5 मार्च 2026",
        "৫ মার্চ ২০২৬",
        "5 மார்ச் 2026",
        "2026 മാർച്ച് 5",
        "5 Mar\u00adch 2026",
        "5 Mar-\nch 2026",
        "5\nMarch 2026",
        "05.03.\n2026",
        "5 Μαρτίου 2026",
        "5 ΜΑΡΤΙΟΥ 2026",
        "5 mart 2026-cı il",
        "2026 жылғы 5 наурыз",
        "Ika-5 ng Marso 2026",
        "5 Mawrth 2026",
        "៥ ខែមីនា ឆ្នាំ២០២៦",
        "2026ko martxoaren 5a",
        "5 mars 2026",
        "20260305",
        "2026-03-05T17:00Z",
    ],
)
def test_one_date_in_the_worlds_spellings(text: str) -> None:
    found = look_up(f"({text}) ", "date", "2026-03-05")
    assert found.status is GroundingStatus.FOUND
    assert found.quote is not None
    assert found.quote.strip("()., ") != ""


@pytest.mark.parametrize(
    "text",
    [
        "192.2026.3.5.1",
        "1/12/2026",
        "5 items, March 2026",
        "5 March 20261",
        "2026/13/5",
        "15 March 2026",
        "5.3.2026.1",
        "令和7年3月5日",
        "平成8年3月5日",
        "03.05.2026",
        "5 May 2026",
        "2026年3月15日",
        "12-2026/3/5",
        "March 2026",
        "5 March",
        "2569-03-05",
    ],
)
def test_other_dates(text: str) -> None:
    assert not is_found(f"({text}) ", "date", "2026-03-05")


@pytest.mark.parametrize("value", ["2026-04-03", "2026-03-04"])
def test_an_ambiguous_date_is_found_under_either_reading_and_says_so(value: str) -> None:
    found = look_up("Date: 03/04/2026", "date", value)
    assert found.how is How.AMBIGUOUS
    assert found.note == "03/04/2026 may be 2026-03-04 or 2026-04-03"
    assert look_up("Date: 13/04/2026", "date", "2026-04-13").how is How.DATE
    assert look_up("12. listopada 2026", "date", "2026-10-12").how is How.AMBIGUOUS


def test_the_less_likely_century_is_said() -> None:
    assert look_up("on 13/04/26", "date", "2026-04-13").how is How.DATE
    assert look_up("on 13/04/26", "date", "1926-04-13").how is How.AMBIGUOUS


@pytest.mark.parametrize(
    ("text", "value", "how"),
    [
        ("12,50 EUR", "EUR", How.EXACT),
        ("€12.50", "EUR", How.NAME),
        ("12,50 Euro", "EUR", How.NAME),
        ("3,5 Mio. Euro", "EUR", How.NAME),
        ("12 €", "€", How.EXACT),
        ("Amount (EUR)", "EUR", How.EXACT),
        ("100円", "JPY", How.NAME),
        ("١٠٠ ريال سعودي", "SAR", How.NAME),
        ("100 บาท", "THB", How.NAME),
        ("5 zł", "PLN", How.NAME),
        ("$5", "USD", How.AMBIGUOUS),
        ("12 kr", "SEK", How.AMBIGUOUS),
        ("3 dollars", "CAD", How.AMBIGUOUS),
    ],
)
def test_a_currency_beside_a_number(text: str, value: str, how: How) -> None:
    assert look_up(f"a {text}\n", "currency", value).how is how


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12 EUR", "USD"),
        ("TRY it", "TRY"),
        ("12 EUROPALETTEN", "EUR"),
        ("€", "EUR"),
        ("12 CAD", "AUD"),
        ("12\nEUR", "EUR"),
    ],
)
def test_a_currency_that_is_not_there(text: str, value: str) -> None:
    assert not is_found(f"a {text} b", "currency", value)


@pytest.mark.parametrize(
    ("text", "value", "is_there"),
    [
        ("12 kg", "kg", True),
        ("12kg", "kilogram", True),
        ("12 Kilogramm", "kg", True),
        ("63,4 m²", "m2", True),
        ("12 Stück", "Stück", True),
        ("5 hours", "h", True),
        ("12 kg", "g", False),
        ("63 m³", "m²", False),
        ("kg of", "kg", False),
        ("12 kgm", "kg", False),
        ("12 mm", "m", False),
    ],
)
def test_a_unit_beside_a_number(text: str, value: str, is_there: bool) -> None:
    assert is_found(f"a {text} b", "unit", value) is is_there


def test_words_of_an_enum_are_looked_for_as_words() -> None:
    assert is_found("DELIVERY NOTE 12", "enum", "delivery_note")
    assert not is_found("DELIVERY 12, NOTED", "enum", "delivery_note")


def test_the_first_match_is_kept_and_all_are_counted() -> None:
    found = look_up("York, Yorkshire, YORK, york", "exact", "York")
    assert (found.offset, found.end, found.quote, found.how, found.occurrences) == (
        0,
        4,
        "York",
        How.EXACT,
        3,
    )
    assert look_up("12 and 12.0 and 120", "number", 12).occurrences == 2
    assert look_up("2026-03-05, 5 March 2026, 6 March 2026", "date", "2026-03-05").occurrences == 2
    assert look_up("York " * 1000, "exact", "York").occurrences == 100
    assert look_up("12 " * 1000, "number", 12).occurrences == 100


def test_rows_of_before_are_still_read() -> None:
    row = {"path": "x", "kind": "exact", "status": "found", "value": "a", "offset": 3, "excerpt": "b a"}
    entry = FieldGrounding.model_validate(row)
    assert (entry.offset, entry.end, entry.quote, entry.how, entry.note) == (3, None, None, None, None)
