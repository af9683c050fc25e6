"""A part of something longer is not the value: of a number, a date, an identifier, an address, a name."""

from __future__ import annotations

from typing import Any

import pytest

from agent_tasks.documents.grounding import Ground, GroundingStatus, SourceText


def is_found(text: str, kind: Ground, value: Any) -> bool:
    found = SourceText(f"Angabe {text} dort").look_up("x", kind, value)
    return found.status is GroundingStatus.FOUND


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("Version 3.11.4", 11), ("v2.5", 2.5), ("IP 192.168.10.4", 168)],
        *[("14:30 Uhr", 14), ("07:45:10", 45), ("14h30", 30)],
        *[("12/03/2026", 12), ("2026-11-27", 27), ("27.11.2026", 11), ("27 November 2026", 27)],
        *[("INV/2026/0418", 2026), ("INV-418", 418), ("418-227-19", 227), ("418-0227", 418)],
        *[("+49 30 901820", 49), ("(030) 901820", 901820), ("030 90 18 20", 90), ("030-901820", 901820)],
        *[("DE89 3704 0044 0532 0130 00", 3704), ("4111 1111 1111 1234", 1234)],
        *[("3100 6618 0418 2271 903", 6618), ("10 00418 22719", 22719), ("値引 ▲32,000", 32000)],
        *[("合計 ¥605,000 から 32,000", 32), ("$605,000 and €1,000 and 32,000", 32)],
        *[("1st place", 1), ("12th of 418", 12), ("49°52'12\"", 52), ("5'11\"", 11)],
        *[("10^6", 6), ("10⁶", 10), ("2 hundred", 2), ("5k", 5), ("$5MM", 5)],
        *[("5 T€", 5), ("5 MEUR", 5), ("TEUR 418", 418), ("k€ 418", 418), ("5 tkr", 5)],
        *[("5 mil", 5), ("5 mila", 5), ("5 ezer Ft", 5), ("5 ribu", 5), ("5 bln", 5)],
        *[("1 250.00", 250), ("1 250,500 kg", 250.5), ("1 250 pcs", 250)],
        *[("-50,00 EUR", 50), ("€-50", 50), ("EUR -50", 50), ("(-50)", 50)],
    ],
)
def test_parts_of_other_things_are_no_numbers(text: str, value: float) -> None:
    assert not is_found(text, "number", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("27.11.2026", 2026), ("27 November 2026", 2026), ("120/80 mmHg", 80), ("10-20", 20)],
        *[("1-3/8", 1.375), ("TEUR 418", 418_000), ("5 MEUR", 5_000_000), ("10⁶", 1_000_000)],
        *[("2 hundred", 200), ("1 250.00", 1250), ("- 50 pcs", 50), ("MWST 8,1", 8.1)],
        *[("1,250.00 and 2 150.00", 150)],
    ],
)  # fmt: skip
def test_what_is_a_number_stays_one(text: str, value: float) -> None:
    assert is_found(text, "number", value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("Berlin-Mitte", "Berlin"), ("non-smoking", "smoking"), ("Carmichael-\nBoyd", "Boyd")],
        *[("Liefer-\nschein", "Liefer"), ("a.berg@x.com", "berg@x.com"), ("shop.acme.com", "acme.com")],
        *[("info@acme.com.br", "info@acme.com"), ("info@acme.com", "acme.com")],
        *[("A. J. Berg", "J. Berg"), ("Anna Berg Hansen", "Anna Berg")],
        *[("Name: Anna Maria Berg", "Maria Berg")],
        *[("John Smith Jr.", "John Smith"), ("Henry IV", "Henry"), ("Acme Tools Ltd", "Acme")],
        *[("1 250 EUR", "250 EUR"), ("4500 123 456", "4500 123")],
        *[("4500 123 456", "123")],
        *[("QQ 12 34 56 C", "QQ 12 34 56"), ("10 00418 22719", "00418 22719")],
        *[("INV-2024 A", "INV-2024"), ("M AB 1234", "AB 1234")],
    ],
)  # fmt: skip
def test_parts_of_names_and_identifiers_are_not_found(text: str, value: str) -> None:
    assert not is_found(text, "exact", value)
    assert is_found(text, "exact", text)


def test_a_quantity_after_a_minus_is_another() -> None:
    assert not is_found(": -50 EUR", "exact", "50 EUR")
    assert is_found(": -50 EUR", "exact", "-50 EUR")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("Name: Anna Berg, Date", "Anna Berg"), ("Anna Berg Date: 1", "Anna Berg")],
        *[("Acme GmbH-val", "Acme GmbH")],
        *[("Client: Mr Anna Berg", "Anna Berg"), ("Acme Tools Ltd Invoice", "Acme Tools Ltd")],
        *[("Anna Berg November 2026", "Anna Berg"), ("https://www.acme.com/legal", "www.acme.com")],
        *[("Щербань Ґалина Їжаківна", "Щербань Ґалина"), ("l'Oréal Paris.", "Oréal Paris")],
    ],
)  # fmt: skip
def test_what_ends_where_others_begin_is_found(text: str, value: str) -> None:
    assert is_found(text, "exact", value)


@pytest.mark.parametrize(
    ("text", "value", "is_there"),
    [
        *[("not paid", "paid", False), ("nicht bezahlt", "bezahlt", False), ("未払い", "払い", False)],
        *[("ödenmiş değil", "ödenmiş", False), ("not paid, then paid", "paid", True)],
        *[("☐ paid ☑ open", "paid", False), ("☐ paid ☑ open", "open", True), ("paid ☐ open ☑", "open", True)],
    ],
)  # fmt: skip
def test_a_choice_that_the_text_denies_is_not_found(text: str, value: str, is_there: bool) -> None:
    found = SourceText(f"Status: {text}\n").look_up("x", "enum", value)
    assert (found.status is GroundingStatus.FOUND) is is_there


@pytest.mark.parametrize(
    ("text", "there", "absent"),
    [
        ("27/11/2026, 03/04/2026", "2026-04-03", "2026-03-04"),
        ("11/27/2026, 03/04/2026", "2026-03-04", "2026-04-03"),
        ("20261127, RE-20261128-04", "2026-11-27", "2026-11-28"),
    ],
)
def test_dates_that_leave_no_doubt_tell_the_order_of_the_others(text: str, there: str, absent: str) -> None:
    assert is_found(text, "date", there)
    assert not is_found(text, "date", absent)
    assert is_found("11/27/2026, 27/11/2026, 03/04/2026", "date", "2026-04-03")


def test_a_code_in_the_text_tells_which_currency_a_sign_means() -> None:
    assert not is_found("Total CAD, due $12", "currency", "USD")
    assert is_found("Total CAD, due $12", "currency", "CAD")
    assert is_found("due $12", "currency", "USD")
    assert not is_found("5 l/100 km", "unit", "l")
