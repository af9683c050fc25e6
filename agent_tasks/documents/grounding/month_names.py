"""Words that name a month, in any of the calendars, and which stand where in a text."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import regex

from agent_tasks.documents.grounding.calendars import Era
from agent_tasks.documents.grounding.folding import fold
from agent_tasks.documents.grounding.names import months

_WORD = regex.compile(r"[\p{L}\p{M}]{2,40}(?:-\n {0,8}[\p{L}\p{M}]{2,12})?")
_UNSPACED = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_THAI_SHORT = re.compile("[ก-ฮ]{1,2}\\.[ก-ฮ]{1,2}\\.?")
_LONGEST = 32
"""Letters of a name of two or three words."""
_STEM = 5
"""Letters of a name to which endings are written; shorter ones are the beginnings of other words."""
_LONGEST_STEM = 14
# Endings of languages that decline by them, where the CLDR has the bare name.
_ENDINGS = frozenset(
    fold(ending)
    for endings in (
        "n ssa lla ta tta",  # Finnish
        "an ban ben ba be ig tól től án én i ei ra re",  # Hungarian
        "da de ta te dan den in un ün nin nda nde ga",  # Turkish and its kin
        "нын нің да де дан ден дың дің ға ге ті у",
        "aren ean koa ko",  # Basque
        "il ist ini ks k st s",  # Estonian
        "ე ს ში ის იდან ამდე მდე ით",  # Georgian
        "ին ի ից ում",  # Armenian
        "ی",  # Persian and Kurdish
        "ம் ல் இல் ில் లో ರಂದು ന്",  # languages of India
        "လ",  # Burmese
    )
    for ending in endings.split()
)

_OTHER_CALENDARS = {
    Era.PERSIAN: (
        "فروردین|حمل|وری",
        "اردیبهشت|ثور|غویی",
        "خرداد|جوزا|غبرګولی",
        "تیر|سرطان|چنګاښ",
        "مرداد|امرداد|اسد|زمری",
        "شهریور|سنبله|وږی",
        "مهر|میزان|تله",
        "آبان|عقرب|لړم",
        "آذر|قوس|لیندۍ",
        "دی|جدی|مرغومی",
        "بهمن|دلو|سلواغه",
        "اسفند|حوت|کب",
    ),
    Era.HIJRI: (
        "محرم|muharram|muharrem",
        "صفر|safar|safer",
        "ربیع الاول|ربيع الأول|rabi al-awwal|rabiulawal|rebiülevvel",
        "ربیع الثانی|ربيع الآخر|ربیع الآخر|rabi al-thani|rabi al-akhir|rabiulakhir|rebiülahir",
        "جمادی الاولی|جمادى الأولى|جمادى الاولى|jumada al-ula|jumada al-awwal|jamadilawal|cemaziyelevvel",
        "جمادی الثانیه|جمادى الآخرة|جمادى الثانية|جمادی الثانی|jumada al-akhirah|jumada al-thani|jamadilakhir|"
        "cemaziyelahir",
        "رجب|rajab|rejab|recep",
        "شعبان|shaban|sha'ban|syaaban|şaban",
        "رمضان|ramadan|ramadhan|ramazan",
        "شوال|shawwal|syawal|şevval",
        "ذو القعدة|ذوالقعدة|ذو القعده|ذی القعده|ذیقعده|dhu al-qadah|dhu al-qi'dah|zulkaedah|zilkade",
        "ذو الحجة|ذوالحجة|ذو الحجه|ذی الحجه|ذیحجه|dhu al-hijjah|zulhijjah|zilhicce",
    ),
    Era.ETHIOPIAN: (
        "መስከረም",
        "ጥቅምት",
        "ኅዳር|ህዳር",
        "ታኅሣሥ|ታህሳስ|ታኅሳስ|ታህሣሥ",
        "ጥር",
        "የካቲት",
        "መጋቢት",
        "ሚያዝያ|ሚያዚያ",
        "ግንቦት",
        "ሰኔ",
        "ሐምሌ|ሀምሌ|ኃምሌ",
        "ነሐሴ|ነሃሴ|ነሀሴ",
        "ጳጉሜን|ጳጉሜ|ጳጉሜት",
    ),
}


class Month(NamedTuple):
    """A month's name in a text."""

    start: int
    end: int
    numbers: frozenset[int]
    """Which months the name means; a few mean two."""
    era: Era | None = None
    """The calendar that the name belongs to, if it is not the common one."""


def find_months(folded: str) -> Iterator[Month]:
    """All names of months in a folded text."""
    # Most words are not looked at one by one: a text has each of its words many times.
    beginnings = {written for word in set(_WORD.findall(folded)) if (written := _beginning(word))}
    if beginnings:
        pattern = regex.compile(r"(?<![\p{L}\p{M}])\L<words>(?![\p{L}\p{M}])", words=sorted(beginnings))
        for match in pattern.finditer(folded):
            yield from _named(folded, match[0], match.start())
    if _UNSPACED.search(folded):
        for match in _unspaced_pattern().finditer(folded):
            yield Month(*match.span(), months()[match[0]])
        for match in _THAI_SHORT.finditer(folded):
            if numbers := months().get(match[0].rstrip(".")):
                yield Month(*match.span(), numbers)


def _beginning(word: str) -> str | None:
    """What of a word, perhaps broken over a line, a month's name may begin with; None if with nothing."""
    if _UNSPACED.match(word):
        return None
    head, _, tail = word.partition("-\n")
    if tail and head + tail.lstrip(" ") in months():
        return word
    if head in months() or head in _other_months() or head in _first_words() or _declined(head):
        return head
    return None


def _named(folded: str, word: str, start: int) -> Iterator[Month]:
    head, _, tail = word.partition("-\n")
    if tail:
        yield Month(start, start + len(word), months()[head + tail.lstrip(" ")])
        return
    longer = _longer(folded, start, _first_words().get(word, []))
    if longer:
        yield longer
        return
    if numbers := months().get(word) or _declined(word):
        yield Month(start, start + len(word), numbers)
    for era, number in _other_months().get(word, ()):
        yield Month(start, start + len(word), frozenset((number,)), era)


def _longer(folded: str, start: int, names: list[str]) -> Month | None:
    """A name of several words: تشرين الثاني."""
    text = folded[start : start + _LONGEST]
    for name in names:
        if text.startswith(name):
            end = start + len(name)
            while regex.match(r"[\p{L}\p{M}]", folded[end : end + 1]):
                end += 1
            if folded[start + len(name) : end] not in _ENDINGS | {""}:
                continue
            if name in months():
                return Month(start, end, months()[name])
            era, number = _other_months()[name][0]
            return Month(start, end, frozenset((number,)), era)
    return None


def _declined(word: str) -> frozenset[int] | None:
    """A name with an ending, or with the "in" that Hebrew writes to it."""
    names = months()
    if word[0] in "בלמ" and word[1:] in names:
        return names[word[1:]]
    for size in range(min(len(word) - 1, _LONGEST_STEM), _STEM - 1, -1):
        if word[:size] in names and word[size:] in _ENDINGS:
            return names[word[:size]]
    return None


@functools.cache
def _other_months() -> dict[str, list[tuple[Era, int]]]:
    found: dict[str, list[tuple[Era, int]]] = defaultdict(list)
    for era, names in _OTHER_CALENDARS.items():
        for number, spellings in enumerate(names, start=1):
            for name in {*map(fold, spellings.split("|"))}:
                found[name].append((era, number))
    return dict(found)


@functools.cache
def _first_words() -> dict[str, list[str]]:
    """Names of several words by their first one, the longest first."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in (*months(), *_other_months()):
        first = regex.match(r"[\p{L}\p{M}]+", name)
        if first and len(first[0]) < len(name) and not re.search("[\u0e00-\u0e7f.]", name):
            found[first[0]].append(name)
    return {first: sorted(names, key=len, reverse=True) for first, names in found.items()}


@functools.cache
def _unspaced_pattern() -> re.Pattern[str]:
    """Names in scripts that put no blanks between words, the longest first."""
    names = [
        name
        for name in months()
        if re.match("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]", name) and len(name) > 2
    ]
    return re.compile("|".join(sorted(map(re.escape, names), key=len, reverse=True)))
