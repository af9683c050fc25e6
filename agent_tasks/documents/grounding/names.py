"""Names of months, currencies, units and large numbers, in the languages of the CLDR (see `_generate`)."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections import defaultdict
from importlib.resources import files
from typing import Any

import regex

from agent_tasks.documents.grounding.folding import fold

_SUPERSCRIPT = str.maketrans("²³", "23")
_WRITTEN_AFTER = re.compile(
    "st|nd|rd|th|er|re|e|eme|ème|o|x|р|nr|cr|dr|am|pm|uhr|h|pcs|pc|stk|stck|szt|ks",
)
_WRITTEN_BEFORE = re.compile("no|nr|n|x|rs")
# Names that the CLDR does not have, and papers do.
_OWN_SIGNS = {
    **{"TRY": "TL", "INR": "Rs ₹ रु रू रुपये रुपया ரூ রুপি", "PKR": "Rs ₨", "JPY": "円 ￥ 圓", "KRW": "원 ￦"},
    **{
        "CNY": "元 RMB 人民币 ￥",
        "TWD": "NT$ 元 新臺幣 新台幣",
        "HKD": "HK$",
        "CHF": "Fr SFr Fr.",
        "BGN": "лв",
    },
    **{"RUB": "руб р ₽", "UAH": "грн ₴", "RON": "lei leu", "BRL": "R$", "TZS": "TSh", "KES": "KSh"},
    **{"SAR": "ريال ﷼ SR", "IRR": "ریال ﷼", "AMD": "դրամ ֏", "GEL": "ლარი ₾", "LAK": "ກີບ ₭", "MMK": "ကျပ်"},
    **{"ETB": "ብር", "KHR": "៛ រៀល", "ILS": '₪ ש"ח', "USD": "US$ $", "NGN": "₦", "VND": "₫ đồng đ"},
    **{"BDT": "৳ টাকা", "KZT": "теңге тенге ₸", "KGS": "сом", "UZS": "so'm сўм сум", "MNT": "төгрөг ₮"},
    **{"MKD": "ден денари", "RSD": "дин динара din dinara", "AZN": "manat ₼", "PLN": "zł zl", "HUF": "Ft"},
}
_OWN_UNITS = {
    "area-square-meter": "qm sqm mq кв.м 平米 平方米",
    "area-square-foot": "sqft",
    "volume-cubic-meter": "cbm cum куб.м",
    "mass-kilogram": "kgs kilo kilos",
    "mass-pound": "lbs",
    "volume-liter": "ltr",
    "duration-hour": "hrs std uur",
}
# Months in cases that the CLDR does not have, or by names that it no longer has.
_OWN_CASES = (
    "јануара фебруара марта априла маја јуна јула августа септембра октобра новембра децембра",
    "januara februara marta aprila maja juna jula augusta septembra oktobra novembra decembra",
    "იანვრის თებერვლის მარტის აპრილის მაისის ივნისის "
    "ივლისის აგვისტოს სექტემბრის ოქტომბრის ნოემბრის დეკემბრის",
    "იანვარს თებერვალს მარტს აპრილს მაისს ივნისს ივლისს აგვისტოს სექტემბერს ოქტომბერს ნოემბერს დეკემბერს",
    # Welsh and Irish change the first letter after "of" and "in".
    "ionawr chwefror fawrth ebrill fai fehefin orffennaf awst fedi hydref dachwedd ragfyr",
    "eanáir feabhra mhárta aibreáin bhealtaine mheithimh iúil lúnasa mheánfómhair dheireadh shamhain nollag",
    "janvāra februāra marta aprīļa maija jūnija jūlija augusta septembra oktobra novembra decembra",
    "janvārim februārim martam aprīlim maijam jūnijam "
    "jūlijam augustam septembrim oktobrim novembrim decembrim",
    "sausį vasarį kovą balandį gegužę birželį liepą rugpjūtį rugsėjį spalį lapkritį gruodį",
    "janvārī februārī martā aprīlī maijā jūnijā jūlijā augustā septembrī oktobrī novembrī decembrī",
    "jaanuaril veebruaril märtsil aprillil mail juunil "
    "juulil augustil septembril oktoobril novembril detsembril",
    "ජනවාරි පෙබරවාරි මාර්තු අප්‍රේල් මැයි ජූනි ජූලි අගෝස්තු සැප්තැම්බර් ඔක්තෝබර් නොවැම්බර් දෙසැම්බර්",
    "urtarrilaren otsailaren martxoaren apirilaren maiatzaren ekainaren "
    "uztailaren abuztuaren irailaren urriaren azaroaren abenduaren",
)
_OWN_MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "de_at": "jänner feber märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "pl": "stycznia lutego marca kwietnia maja czerwca "
    "lipca sierpnia września października listopada grudnia",
}
"""Months whose beginnings of three letters or more are used as abbreviations, too."""


@functools.cache
def _names() -> dict[str, Any]:
    return dict(json.loads(files(__package__).joinpath("names.json").read_text("utf-8")))


@functools.cache
def months() -> dict[str, frozenset[int]]:
    """Folded month names, and their abbreviations; those of several months (listopad) have several."""
    found: dict[str, set[int]] = defaultdict(set)
    for name, numbers in _names()["months"].items():
        for spelling in {fold(name), _unaccented(fold(name))}:
            found[spelling] |= set(numbers)
    for line in _OWN_CASES:
        for number, name in enumerate(map(fold, line.split()), start=1):
            found[name].add(number)
    known = set(found)
    for line in _OWN_MONTHS.values():
        for number, name in enumerate(map(fold, line.split()), start=1):
            for length in range(3, len(name) + 1):
                if name[:length] not in known or length == len(name):
                    found[name[:length]].add(number)
    return {name: frozenset(numbers) for name, numbers in found.items()}


def _unaccented(name: str) -> str:
    """A Latin name as typewriters have it: fevrier, Marz."""
    if not regex.fullmatch(r"[\p{Latin}\p{M}' .-]+", name):
        return name
    return "".join(char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char))


@functools.cache
def multipliers() -> dict[str, frozenset[int]]:
    """Folded words for large numbers, with the powers of ten that they stand for."""
    return {fold(word): frozenset(powers) for word, powers in _names()["multipliers"].items()}


@functools.cache
def currency_spellings() -> dict[str, frozenset[str]]:
    """Folded signs and names, each with the codes of the currencies that are called so."""
    found: dict[str, set[str]] = defaultdict(set)
    for code, names in _names()["currencies"].items():
        for name in (code, *names["signs"], *names["names"], *_OWN_SIGNS.get(code, "").split()):
            found[fold(name).strip(" .")].add(code)
    return {name: frozenset(codes) for name, codes in found.items() if name}


@functools.cache
def currency_codes() -> frozenset[str]:
    """ISO codes of the currencies in use."""
    return frozenset(_names()["currencies"])


@functools.cache
def unit_spellings() -> dict[str, frozenset[str]]:
    """Folded signs and names of units, each with the units that are called so."""
    found: dict[str, set[str]] = defaultdict(set)
    for unit, names in _names()["units"].items():
        for name in (*names, *_OWN_UNITS.get(unit, "").split()):
            folded = fold(name).strip(" .")
            for spelling in (folded, folded.translate(_SUPERSCRIPT)):  # m², m2
                found[spelling].add(unit)
    return {name: frozenset(units) for name, units in found.items() if name}


@functools.cache
def is_written_to_numbers(run: str, *, is_after: bool) -> bool:
    """Whether letters are written to a number without a blank, and are no part of an identifier: EUR120, 5kg.

    Args:
        run: The letters, in the case they have.
        is_after: Whether they follow the number.
    """
    folded = fold(run)
    if run in currency_codes() or (len(run) > 1 and folded in currency_spellings()):
        return True
    if not is_after:
        return _WRITTEN_BEFORE.fullmatch(folded) is not None
    if len(run) == 1 and run.isupper():  # a house number, a version
        return False
    return (
        _WRITTEN_AFTER.fullmatch(folded) is not None
        or folded in unit_spellings()
        or folded in multipliers()
        or folded in ("k", "m")
    )
