"""Numbers that are words, or end in one: 三百五十, 12万3千, 3억 5천, 12.5 million, 3,5 Mio."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import regex

from agent_tasks.documents.grounding.folding import fold
from agent_tasks.documents.grounding.names import currency_spellings, multipliers, unit_spellings

MAX_LENGTH = 40
"""Characters of a number in words; longer ones are none."""

_HAN_DIGITS = "〇零一二三四五六七八九壹贰貳叁參肆伍陆陸柒捌玖壱弐参两兩"
_HAN_POWERS = "十百千拾佰仟万萬億亿兆"
_HANGUL_POWERS = {"십": 10, "백": 100, "천": 1000, "만": 10**4, "억": 10**8, "조": 10**12}
_NUMBER = r"\d+(?:[.,]\d+)*+ ?"
_HAN = re.compile(
    rf"(?:[{_HAN_DIGITS}{_HAN_POWERS}]|{_NUMBER}(?=[{_HAN_POWERS}])|(?<=[{_HAN_POWERS}])\d+(?:[.,]\d+)*+)++"
)
# Hangul is read so after a digit only: its syllables are parts of other words. 제3조 is the third article.
_POWERS = "".join(_HANGUL_POWERS)
_HANGUL = re.compile(
    rf"(?<!제)(?<![\d.,])(?:{_NUMBER}[{_POWERS}]++ ?)++(?:(?<=[{_POWERS}])\d+(?:[.,]\d+)*+)?"
)
_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|\S")
_OWN_DIGITS = {"两": 2, "兩": 2, "参": 3}

_WORD = regex.compile(r" ?([\p{L}\p{M}]{1,16})")
_SOUTH_ASIAN = {
    3: "ஆயிரம் వేలు వేల ಸಾವಿರ ആയിരം হাজার હજાર ਹਜ਼ਾਰ हज़ार हजार ہزار هزار ألف آلاف",
    5: "லட்சம் లక్ష లక్షల లక్షలు ಲಕ್ಷ ലക്ഷം লক্ষ লাখ લાખ ਲੱਖ लाख लक्ष ලක්ෂ لاکھ",
    7: "கோடி కోటి కోట్ల కోట్లు ಕೋಟಿ കോടി কোটি કરોડ ਕਰੋੜ करोड़ कोटी کروڑ",
}
_SURE_WORDS = frozenset(fold(word) for words in _SOUTH_ASIAN.values() for word in words.split())
_SCALES = {"k": 3, "t": 3, "m": 6, "mio": 6, "mn": 6, "md": 9, "mrd": 9, "b": 9, "bn": 9}
"""What is written before the code or sign of a currency: TEUR, MSEK, k€."""
_SCALED_CODES_WORDS = (
    "eur usd gbp chf sek nok dkk isk pln czk huf ron bgn rsd rub uah try ils aed sar egp zar ngn kes inr "
    "pkr bdt idr myr php sgd thb vnd cny hkd twd jpy krw aud nzd cad mxn brl ars clp cop pen"
)
_SCALED_CODES = frozenset(_SCALED_CODES_WORDS.split())
"""Not of all currencies: MWST is a tax."""
_OWN_WORDS = {
    **{fold(word): power for power, words in _SOUTH_ASIAN.items() for word in words.split()},
    **{"k": 3, "m": 6, "mm": 6, "b": 9, "t": 12, "tkr": 3, "mkr": 6, "mdkr": 9},
    **{"hundred": 2, "hundert": 2, "ngàn": 3},
    "mn": 6,
    "bn": 9,
    "lakh": 5,
    "lakhs": 5,
    "lac": 5,
    "crore": 7,
    "crores": 7,
    "millions": 6,
    "mln": 6,
}
_SIGN_AFTER = regex.compile(r"\p{Sc}")
_SIGN_BEFORE = regex.compile(r"\p{Sc} ?[\d.,]+\Z")
_ATTACHED_ONLY = frozenset(("k", "m", "mm", "b", "t"))
# Short words that mean nothing else beside a number: the number without them is not in the text.
_SURE = re.compile(
    "mil|mila|tkr|mkr|mdkr|bln|mio|mrd|mln|mld|mlrd|bn|tsd|тыс|млн|млрд|lakh|lac|juta|tỷ|ล้าน|mn|tys|tis"
)
_SURE_SIZE = 5
_SCALED_BEFORE = regex.compile(r"(?<![\p{L}\p{M}\d])(?:([ktm])(\p{Sc})|([a-z]{4,6})) ?\Z")
_UNSPACED = regex.compile(r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")


class Multiplier(NamedTuple):
    """A word that multiplies the number before it."""

    powers: frozenset[int]
    end: int
    is_sure: bool
    """It means nothing else."""


def mixed(folded: str) -> Iterator[tuple[int, int, Decimal]]:
    """Numbers in Chinese, Japanese and Korean words, and digits with such words: start, end, number."""
    for pattern, powers in ((_HAN, _HAN_POWERS), (_HANGUL, _HANGUL_POWERS)):
        if not any(power in folded for power in powers):
            continue
        for match in pattern.finditer(folded):
            text = match[0].rstrip()
            if not 2 <= len(text) <= MAX_LENGTH or not _has_power(text):
                continue
            number = _number(text)
            if number:
                yield match.start(), match.start() + len(text), number


def _has_power(text: str) -> bool:
    return any(char in _HAN_POWERS or char in _HANGUL_POWERS for char in text)


def _number(text: str) -> Decimal:
    total = section = Decimal(0)
    current: Decimal | None = None
    for token in _TOKEN.findall(text):
        power = _power(token)
        if power is None:
            digit = _digit(token)
            current = digit if current is None or len(token) > 1 else current * 10 + digit
        elif power < 10**4:
            section += (1 if current is None else current) * power
            current = None
        else:
            total += (section + (current or 0) or 1) * power
            section, current = Decimal(0), None
    return total + section + (current or 0)


def _power(token: str) -> int | None:
    if token in _HANGUL_POWERS:
        return _HANGUL_POWERS[token]
    return int(unicodedata.numeric(token)) if token in _HAN_POWERS else None


def _digit(token: str) -> Decimal:
    if not token[0].isascii():
        return Decimal(_OWN_DIGITS.get(token) or int(unicodedata.numeric(token)))
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", token):
        token = token.replace(",", "")
    plain = token.replace(",", ".")
    return Decimal(plain) if plain.count(".") <= 1 else Decimal(0)


def multiplier_at(folded: str, end: int) -> Multiplier | None:
    """The word after a number, if it multiplies it.

    Args:
        folded: The folded text.
        end: Where the number ends.
    """
    match = _WORD.match(folded, end)
    if match is None or match[1][0] in _HAN_POWERS or match[1][0] in _HANGUL_POWERS:  # `mixed` reads them
        return None
    word = match[1]
    if _UNSPACED.match(word):
        return _unspaced(word, match.start(1))
    scale = _scale(word) or (word == "t" and _SIGN_AFTER.match(folded, match.end(1)) and 3)
    if scale:
        return Multiplier(frozenset((scale,)), match.end(1), True)
    if word in _OWN_WORDS:
        if word in _ATTACHED_ONLY and match.start(1) > end and not _SIGN_AFTER.match(folded, match.end(1)):
            return None
        powers = frozenset((_OWN_WORDS[word],))
    else:
        powers = multipliers().get(word, frozenset())
    is_other = word in unit_spellings() or word in currency_spellings()
    is_sure = (
        word in _SURE_WORDS
        or _SURE.fullmatch(word) is not None
        or len(word) >= _SURE_SIZE
        or (word in multipliers() and word != "cr" and not is_other)
    )
    if not powers or (not is_sure and is_other and word not in _OWN_WORDS):
        return None
    if word in _ATTACHED_ONLY:  # 5m may be metres, £5m are millions
        is_money = (
            _SIGN_AFTER.match(folded, match.end(1)) is not None
            or _SIGN_BEFORE.search(folded[max(0, end - 16) : end]) is not None
        )
        if not is_money and word not in ("k", "m"):
            return None
        is_sure = is_money or word == "k"
    return Multiplier(powers, match.end(1), is_sure)


def _scale(word: str) -> int | None:
    """The power of a letter before a currency's code: TEUR, MSEK."""
    code = word[-3:]
    if word in currency_spellings() or code not in _SCALED_CODES:
        return None
    return _SCALES.get(word[:-3])


def scale_before(folded: str, start: int) -> int | None:
    """The power of a letter before the currency that stands before a number: TEUR 418."""
    match = _SCALED_BEFORE.search(folded[max(0, start - 10) : start])
    if match is None:
        return None
    return _SCALES[match[1]] if match[2] else _scale(match[3])


def _unspaced(word: str, start: int) -> Multiplier | None:
    """In a script without blanks the word may go on."""
    for length in range(len(word), 1, -1):
        powers = multipliers().get(word[:length])
        if powers:
            return Multiplier(powers, start + length, True)
    return None
