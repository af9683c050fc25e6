"""Makes `names.json`: months, multipliers, currencies and units in the languages that the CLDR knows.

Run by `make generate`. Asking Babel at run time would load several hundred locales (a second, and tens of
megabytes) for every process that looks a date up.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import babel
from babel import Locale, localedata
from babel.languages import get_official_languages
from babel.numbers import get_territory_currencies

NAMES = Path(__file__).with_name("names.json")
_SINCE = date(2013, 1, 1)
"""Currencies that were given up later are known."""

LANGUAGES = [
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "nl",
    "da",
    "nb",
    "sv",
    "fi",
    "is",
    "et",
    "lv",
    "lt",
    "pl",
    "cs",
    "sk",
    "sl",
    "hr",
    "sr",
    "bs",
    "mk",
    "bg",
    "ro",
    "hu",
    "el",
    "sq",
    "tr",
    "az",
    "kk",
    "uk",
    "ru",
    "be",
    "hy",
    "ka",
    "ar",
    "fa",
    "ur",
    "he",
    "hi",
    "mr",
    "ne",
    "bn",
    "pa",
    "gu",
    "ta",
    "te",
    "kn",
    "ml",
    "si",
    "th",
    "lo",
    "km",
    "my",
    "vi",
    "id",
    "ms",
    "fil",
    "sw",
    "am",
    "zh",
    "zh_Hant",
    "ja",
    "ko",
    "mn",
    "af",
    "zu",
    "ca",
    "eu",
    "gl",
    "cy",
    "ga",
]
"""Whose units and short names of months are taken."""

UNITS = frozenset(
    [
        "mass-gram",
        "mass-kilogram",
        "mass-milligram",
        "mass-tonne",
        "mass-pound",
        "mass-ounce",
        "length-meter",
        "length-kilometer",
        "length-centimeter",
        "length-millimeter",
        "length-inch",
        "length-foot",
        "length-yard",
        "length-mile",
        "area-square-meter",
        "area-square-kilometer",
        "area-square-centimeter",
        "area-square-foot",
        "area-hectare",
        "area-acre",
        "volume-liter",
        "volume-milliliter",
        "volume-centiliter",
        "volume-hectoliter",
        "volume-cubic-meter",
        "volume-cubic-centimeter",
        "volume-gallon",
        "duration-second",
        "duration-minute",
        "duration-hour",
        "duration-day",
        "duration-week",
        "duration-month",
        "duration-year",
        "energy-kilowatt-hour",
        "energy-joule",
        "energy-kilojoule",
        "energy-kilocalorie",
        "power-watt",
        "power-kilowatt",
        "power-megawatt",
        "electric-volt",
        "electric-ampere",
        "frequency-hertz",
        "temperature-celsius",
        "temperature-fahrenheit",
        "concentr-percent",
        "concentr-permille",
        "digital-megabyte",
        "digital-gigabyte",
        "digital-kilobyte",
        "speed-kilometer-per-hour",
        "pressure-bar",
        "graphics-pixel",
    ]
)

# A pattern of the CLDR for large numbers: zeros for the digits kept, and a word.
_ZEROS = re.compile(r"0+")


def names() -> dict[str, Any]:
    """What the file holds."""
    return {
        "source": f"Unicode CLDR by way of Babel {babel.__version__}. Copyright 1991-2026 Unicode, Inc., "
        "licensed under the Unicode License v3 (https://www.unicode.org/license.txt).",
        "months": _months(),
        "multipliers": _multipliers(),
        "currencies": _currencies(),
        "units": _units(),
    }


def _all_locales() -> Iterator[Locale]:
    for identifier in sorted(localedata.locale_identifiers()):
        yield Locale.parse(identifier)


def _months() -> dict[str, list[int]]:
    """Each month's names; those of several months (listopad) have several."""
    found: dict[str, set[int]] = defaultdict(set)
    common = {language.split("_")[0] for language in LANGUAGES}
    for locale in _all_locales():
        for context in ("format", "stand-alone"):
            for width in ("wide", "abbreviated"):
                for month, name in locale.months[context][width].items():
                    name = name.strip(" .\u200f").lower()
                    if _is_month_word(name, is_common=locale.language in common):
                        found[name].add(month)
    return {name: sorted(months) for name, months in sorted(found.items())}


def _is_month_word(name: str, *, is_common: bool) -> bool:
    """Not "3月", which is no word, nor the short names of small languages: "de" is a word in large ones."""
    if re.search(r"[\d\u6708]", name):
        return False
    return len(name) > 3 or (is_common and len(name) > 1 and (len(name) > 2 or not name.isascii()))


def _multipliers() -> dict[str, list[int]]:
    """Words such as million, with the power of ten that they stand for; those of two have two."""
    found: dict[str, set[int]] = defaultdict(set)
    for locale in _all_locales():
        for patterns in locale.compact_decimal_formats.values():
            for by_size in patterns.values():
                for size, pattern in by_size.items():
                    zeros = _ZEROS.match(pattern.pattern)
                    if zeros is None:
                        continue
                    word = pattern.pattern.split(";")[0][zeros.end() :].replace("'", "")
                    word = word.strip(" .\u00a0\u200f").lower()
                    if (word and " " not in word and "\u00a0" not in word and not word.isascii()) or len(
                        word
                    ) > 1:
                        found[word].add(len(size) - len(zeros[0]))
    return {word: sorted(powers) for word, powers in sorted(found.items())}


def _currencies() -> dict[str, dict[str, list[str]]]:
    """Of each currency in use, or lately so: its signs in any language, its names where it is paid with."""
    english = Locale("en")
    codes = {code for territory in english.territories for code in _currencies_of(str(territory))}
    signs: dict[str, set[str]] = defaultdict(set)
    words: dict[str, set[str]] = defaultdict(set)
    for locale in _all_locales():
        for code, sign in locale.currency_symbols.items():
            if code in codes:
                signs[code].add(sign.strip(" \u00a0\u200f\u200e"))
    for code, languages in _spoken_where_paid(english).items():
        for language in sorted({"en", "de", "fr", "es"} | languages):
            locale = Locale.parse(language)
            plurals = locale._data["currency_names_plural"]
            full = {locale.currencies.get(code, ""), *plurals.get(code, {}).values()}
            full = {name for name in full if not re.search(r"\d", name)}  # "Ouguiya (1973-2017)"
            # "dollars" for "Canadian dollars": what it shares with others is found out where it is read.
            words[code] |= full | {
                name.split()[-1].lower() for name in full if name and language in languages
            }
    return {
        code: {"signs": sorted(signs[code] - {code, ""}), "names": sorted(words[code] - {code, ""})}
        for code in sorted(codes)
    }


def _currencies_of(territory: str) -> list[str]:
    """What is paid with there, and what was not long ago: papers are kept for years."""
    return list(get_territory_currencies(territory, start_date=_SINCE, end_date=date.max))


def _spoken_where_paid(english: Locale) -> dict[str, set[str]]:
    """The official languages of the territories that each currency is paid in."""
    found: dict[str, set[str]] = defaultdict(lambda: {"en"})
    known = set(localedata.locale_identifiers())
    for territory in english.territories:
        for code in _currencies_of(str(territory)):
            found[code] |= known & set(get_official_languages(str(territory), de_facto=True))
    return found


def _units() -> dict[str, list[str]]:
    """Of each unit its names and signs in `LANGUAGES`; what English calls a unit by is no other's."""
    english = _unit_words("en")
    found: dict[str, set[str]] = defaultdict(set)
    for language in LANGUAGES:
        for unit, words in _unit_words(language).items():
            found[unit] |= words - set().union(*(english[other] for other in english if other != unit))
    return {unit: sorted(filter(None, _distinct(unit, words))) for unit, words in sorted(found.items())}


def _unit_words(language: str) -> dict[str, set[str]]:
    return {
        # The narrow names are those of a list of its own: "m" for a month.
        unit: {word for size in ("long", "short") for word in _words_of(lengths.get(size, {}))}
        for unit, lengths in Locale.parse(language)._data["unit_patterns"].items()
        if unit in UNITS
    }


def _distinct(unit: str, words: set[str]) -> set[str]:
    """Without the single letters by which some language or other calls a month or a minute."""
    return {
        word for word in words if len(word.strip(".")) > 1 or not unit.startswith("duration") or word in "hs"
    }


def _words_of(forms: Any) -> Iterator[str]:
    # "per" is what follows another unit: /m for a month.
    for form in (forms[key] for key in forms if key != "per") if hasattr(forms, "values") else ():
        if isinstance(form, str):
            yield form.replace("{0}", "").strip(" \u00a0\u202f\u200f\u200e./")
        else:
            yield from _words_of(form)


def main() -> None:
    """Write the file."""
    text = json.dumps(names(), ensure_ascii=False, indent=0, separators=(",", ":"))
    # One name a line where a line is long, so that a change of the CLDR can be read as a difference.
    NAMES.write_text(
        re.sub(r"\[\n([^\[\]{}]*?)\n\]", lambda m: f"[{m[1].replace(chr(10), '')}]", text) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
