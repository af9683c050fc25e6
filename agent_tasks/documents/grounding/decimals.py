"""Digits with signs between them: what they can mean, and which sign a text has before its decimals."""

from __future__ import annotations

import functools
import re
from decimal import Decimal

_GROUPED = re.compile(
    r"\d{1,3}(?:(?:,\d{3})+\.\d+|(?:\.\d{3})+,\d+|(?:'\d{3})+(?:[.,]\d+)?|(?:,\d{3}){2,}|(?:\.\d{3}){2,})"
)
_ENOUGH_TELL = 2
_OTHER = {",": ".", ".": ","}
_MONEY = r"[$¥€£₩₫₹₺₽₱฿円元원đ]"
_GROUPING_MONEY = re.compile(
    rf"{_MONEY} ?\d{{1,3}}([.,])\d{{3}}(?![\d.,])|(?<![\d.,])\d{{1,3}}([.,])\d{{3}} ?{_MONEY}"
)
_EAST_ASIAN = re.compile("[\u3041-\u30fa\uac00-\ud7a3]")
"""Japan and Korea write a point before decimals."""
_TELLING = re.compile(r"\d++(?:[.,']\d++)++\.?")


class Decimals:
    """Which sign parts whole numbers from decimals in a text, if all numbers that tell it agree.

    Args:
        folded: The folded text.
    """

    def __init__(self, folded: str) -> None:
        self._folded = folded

    @functools.cached_property
    def sign(self) -> str | None:
        """The sign; None if too few numbers tell it, or they differ."""
        told = dict.fromkeys(",.", 0)
        for piece in set(_TELLING.findall(self._folded)):
            for sign, other in ((",", "."), (".", ",")):
                told[sign] += _tells(piece, sign, other)
        for before, after in _GROUPING_MONEY.findall(self._folded):
            told[_OTHER[before or after]] += 1
        if _EAST_ASIAN.search(self._folded):
            told["."] += _ENOUGH_TELL
        for sign, other in ((",", "."), (".", ",")):
            if told[sign] >= _ENOUGH_TELL and told[other] == 0:
                return sign
        return None

    @functools.cached_property
    def has_groups(self) -> bool:
        """Whether a sign groups the thousands of a number of the text: 1,250.00, 1'250, 1.234.567."""
        return any(_GROUPED.fullmatch(piece.rstrip(".")) for piece in set(_TELLING.findall(self._folded)))


def _tells(piece: str, sign: str, other: str) -> int:
    """How surely a number has the sign before its decimals: 0.125 and 1,234,567 leave no doubt."""
    whole, _, decimals = piece.partition(sign)
    if decimals.isdigit() and (len(decimals) <= 2 or whole == "0"):
        return _ENOUGH_TELL if whole == "0" else 1 if _are_groups(whole.split(other)) else 0
    groups = piece.split(other)
    return (
        _ENOUGH_TELL if len(groups) > 2 and piece.replace(other, "").isdigit() and _are_groups(groups) else 0
    )


def plain(piece: str, decimal: str | None = None) -> list[Decimal]:
    """What digits with signs between them can mean as one number; nothing, if they cannot be one.

    Args:
        piece: Digits, points, commas and apostrophes.
        decimal: The sign of decimals, where it is known; of two readings the one that uses it is meant.
    """
    separators = [char for char in piece if not char.isdigit()]
    if not separators:
        return [Decimal(piece)]
    groups = re.split(r"[.,']", piece)
    last = separators[-1]
    found: list[Decimal] = []
    whole, fraction = "".join(groups[:-1]), groups[-1]
    is_decimal = last != "'" and separators.count(last) == 1 and len(set(separators[:-1])) <= 1
    if is_decimal and _are_groups(groups[:-1]):
        found.append(Decimal(f"{whole}.{fraction}"))
    is_grouped = len(set(separators)) == 1 or (set(separators[:-1]) == {"'"} and last != "'")
    if is_grouped and _are_groups(groups):  # also 1'250.000, as millions are written in Latin America
        found.append(Decimal(whole + fraction))
    if decimal and len(found) > 1:
        return found[:1] if last == decimal else found[1:]
    return found


def _are_groups(groups: list[str]) -> bool:
    """Whether digits are grouped as thousands are (the Indian way has pairs before the last three)."""
    if len(groups) == 1:
        return True
    return (
        1 <= len(groups[0]) <= 3
        and groups[0][0] != "0"
        and len(groups[-1]) == 3
        and all(2 <= len(group) <= 3 for group in groups[1:-1])
    )
