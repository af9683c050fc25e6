"""Dates that say only in part what they mean: ranges, other calendars, declined names."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from agent_tasks.documents.grounding import GroundingStatus, How, SourceText
from agent_tasks.documents.grounding.calendars import (
    ethiopian_day,
    hebrew_day,
    hijri_day,
    is_hebrew_leap,
    persian_day,
)


def is_found(text: str, value: str) -> bool:
    return SourceText(text).look_up("x", "date", value).status is GroundingStatus.FOUND


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("12.–14. Juni 2026", "2026-06-12", "2026-06-14"),
        ("5-9 October 2026", "2026-10-05", "2026-10-09"),
        ("October 5–9, 2026", "2026-10-05", "2026-10-09"),
        ("2026. október 5–9.", "2026-10-05", "2026-10-09"),
        ("du 14 au 16 juin 2027", "2027-06-14", "2027-06-16"),
        ("с 1 по 15 декабря 2026 года", "2026-12-01", "2026-12-15"),
        ("1er septembre au 30 septembre 2026", "2026-09-01", "2026-09-30"),
        ("od 2. ledna do 31. března 2027", "2027-01-02", "2027-03-31"),
        ("28 December to 3 January 2027", "2026-12-28", "2027-01-03"),
        ("October 28 to November 13, 2026", "2026-10-28", "2026-11-13"),
        ("2026. december 28. – január 3.", "2026-12-28", "2027-01-03"),
        ("28 Dec 2026 to 3 Jan", "2026-12-28", "2027-01-03"),
        ("01.10.–31.12.2026", "2026-10-01", "2026-12-31"),
        ("12.-14.06.2026", "2026-06-12", "2026-06-14"),
        ("01.10.2026-31.12.2026", "2026-10-01", "2026-12-31"),
        ("2026-10-01/2026-12-31", "2026-10-01", "2026-12-31"),
        ("2026年11月28日至12月2日", "2026-11-28", "2026-12-02"),
        ("2026년 10월 5일부터 9일까지", "2026-10-05", "2026-10-09"),
    ],
)
def test_both_ends_of_a_range_are_dates_and_what_lies_between_is_none(
    text: str, first: str, last: str
) -> None:
    assert is_found(f"a {text} b", first)
    assert is_found(f"a {text} b", last)
    between = date.fromisoformat(first) + timedelta(1)
    assert not is_found(f"a {text} b", between.isoformat())


def test_days_of_a_list_are_dates() -> None:
    text = "on 5, 12 and 19 January 2027"
    assert all(is_found(text, f"2027-01-{day}") for day in ("05", "12", "19"))
    assert not is_found(text, "2027-01-20")


@pytest.mark.parametrize(
    "text",
    [
        "12 items to 14 June 2026",
        "Flat 12B, June 2026",
        "Art. 12, 14. Juni 2026, S. 3",
        "page 12/14 June 2026",
        "1.12.14 June 2026",
    ],
)
def test_other_numbers_before_a_date_are_no_days(text: str) -> None:
    assert not is_found(text, "2026-06-12")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2 جمادى الآخرة 1448 هـ",
            "٢ جمادى الثانية ١٤٤٨",
            "02/06/1448هـ",
            "۲۱ آبان ۱۴۰۵ پارس",
            "۱۴۰۵/۰۸/۲۱ پارس",
        ),
        *("ב׳ בכסלו תשפ״ז", "ב' כסלו ה'תשפ\"ז", "ኅዳር 3 ቀን 2019 ዓ.ም", "03/03/2019 ዓ.ም.", "12 พ.ย. 69"),
        *("中華民國115年11月12日", "R8.11.12", "令和8年11月12日", "2 Jumada al-Thani 1448"),
    ],
)
def test_other_calendars(text: str) -> None:
    assert is_found(f"({text})", "2026-11-12")
    assert not is_found(f"({text})", "2026-11-13")


def test_a_date_of_another_calendar_is_none_of_the_common_one() -> None:
    assert not is_found("03/04/2019 ዓ.ም.", "2019-04-03")
    found = SourceText("فاكتور 1405/08/21 پارس").look_up("x", "date", "2026-11-12")
    assert (found.how, found.note) == (How.DATE, None)


def test_known_days_of_other_calendars() -> None:
    assert persian_day(1403, 1, 1) == date(2024, 3, 20)
    assert persian_day(1357, 11, 22) == date(1979, 2, 11)
    assert persian_day(1403, 12, 30) == date(2025, 3, 20)
    assert persian_day(1404, 12, 30) is None
    assert ethiopian_day(2000, 1, 1) == date(2007, 9, 12)
    assert ethiopian_day(2015, 13, 6) == date(2023, 9, 11)
    assert ethiopian_day(2016, 13, 6) is None
    assert hijri_day(1445, 9, 1) == date(2024, 3, 11)
    assert hijri_day(1445, 9, 31) is None
    assert hebrew_day(5708, 2, 5) == date(1948, 5, 14)
    assert hebrew_day(5784, 7, 1) == date(2023, 9, 16)
    assert hebrew_day(5785, 13, 1) is None


@pytest.mark.parametrize("calendar", [persian_day, ethiopian_day])
def test_each_day_of_arithmetic_calendars_is_followed_by_the_next(calendar: object) -> None:
    first = 1390 if calendar is persian_day else 2000
    days = [
        found
        for year in range(first, first + 40)
        for month in range(1, 14)
        for number in range(1, 32)
        if (found := calendar(year, month, number))  # type: ignore[operator]
    ]
    assert days == [days[0] + timedelta(n) for n in range(len(days))]


def test_each_day_of_the_hebrew_calendar_is_followed_by_the_next() -> None:
    days = [
        found
        for year in range(5780, 5800)
        for month in (*range(7, 14 if is_hebrew_leap(year) else 13), *range(1, 7))
        for number in range(1, 31)
        if (found := hebrew_day(year, month, number))
    ]
    assert days == [days[0] + timedelta(n) for n in range(len(days))]


def test_the_second_adar_is_meant_where_the_text_does_not_say() -> None:
    found = SourceText("ט״ו באדר תשפ״ז").look_up("x", "date", "2027-03-24")
    assert found.how is How.AMBIGUOUS
