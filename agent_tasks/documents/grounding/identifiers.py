"""Numbers of invoices, accounts, orders and telephones: found whole, wherever blanks stand in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent_tasks.documents.grounding.folding import Folded, fold
from agent_tasks.documents.grounding.records import MAX_OCCURRENCES, How, Match

# Also the beginning of one: it goes on, then, and is not found.
_IBAN = re.compile(r"[a-z]{2}\d{2}[a-z0-9]{4,30}")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")
_PHONE = re.compile(r"[+(0][\d ()./-]{6,24}")
_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}")
_DECIMAL = re.compile(r"0[.,]\d+")
_QUANTITY = re.compile(r"-?[\d.,' ]*\d ?[^\W\d_]{1,4}\.?|[^\W\d_]{1,4}\.? ?\d[\d.,' ]*")
_ADDRESS = re.compile(r"\S@\S|://|\bwww\.")

GROUPED_SIZE = 7
"""Digits of a number that the text may write with signs, and that is looked for so."""
JOINED_SIZE = 7
"""Letters and digits of an identifier in which blanks don't matter: "3 1234" is not 31234."""
UNSIGNED_SIZE = 9
"""And of one whose points and hyphens may be missing in the value."""
BROKEN_SIZE = 12
"""And of one that may be broken over a line without a hyphen."""


@dataclass(frozen=True)
class Traits:
    """What kind of value it is, as far as the look-up minds."""

    has_digit: bool
    is_digits: bool
    """Digits alone, and what stands between them."""
    is_code: bool
    """Of capitals and digits: blanks in it do not matter."""
    is_unsigned: bool
    """Nothing but letters, digits and blanks: a number that the text may have with points and hyphens."""
    is_pointless: bool
    """Without points and commas: the text may have points between its digits."""
    is_iban: bool
    is_phone: bool
    is_quantity: bool
    """A number with a unit: they stand on one line."""
    is_address: bool
    """Of mail or the web: its signs are part of it."""
    size: int
    """Letters and digits."""

    @property
    def is_grouped(self) -> bool:
        """Whether the text may group the digits with signs that the value does not have."""
        return self.is_digits and self.is_unsigned and self.size >= GROUPED_SIZE


def traits(value: str, folded: str) -> Traits:
    """Look at a value.

    Args:
        value: The value as it is.
        folded: The same, folded, without signs around it.
    """
    value = value.strip()
    plain = re.sub(r"[\W_]", "", folded)
    has_digit = re.search(r"\d", plain) is not None
    is_iban = _IBAN.fullmatch(plain) is not None
    is_bic = _BIC.fullmatch(value.replace(" ", "")) is not None
    is_upper = value == value.upper()
    return Traits(
        has_digit=has_digit,
        is_digits=plain.isdigit(),
        is_code=is_bic or is_iban or (has_digit and is_upper and len(plain) >= JOINED_SIZE - 1),
        is_unsigned=re.search(r"[^\w\s]|_", folded) is None,
        is_pointless=re.search(r"[.,]", folded) is None,
        is_iban=is_iban,
        is_phone=_is_phone(fold(value)),
        is_quantity=_QUANTITY.fullmatch(folded) is not None,
        is_address=_ADDRESS.search(value) is not None,
        size=len(plain),
    )


def _is_phone(value: str) -> bool:
    digits = re.sub(r"\D", "", value)
    return (
        _PHONE.fullmatch(value) is not None
        and 8 <= len(digits) <= 15
        and not _DATE.fullmatch(value)
        and not _DECIMAL.fullmatch(value)
    )


_PHONE_SIGNS = r"[ ()./-]{0,3}"


def find_phone(value: str, text: Folded) -> Match | None:
    """Find a telephone number, whatever stands between its digits; (0) after the country's may be there."""
    digits = re.sub(r"\D", "", fold(value))
    lead = r"\+ ?" if value.strip().startswith("+") else r"(?<!\d )\(?"
    if digits.startswith("00") and not value.strip().startswith("+"):
        digits, lead = digits[2:], r"(?:\+|(?<!\d )00) ?"
    elif lead == r"\+ ?":
        lead = r"(?:\+|(?<!\d )00) ?"
    between = rf"(?: ?\(0\))?{_PHONE_SIGNS}"
    return _first(re.compile(rf"{_BEFORE_DIGITS}{lead}{between.join(digits)}{_AFTER_DIGITS}"), text)


def find_grouped(value: str, text: Folded) -> Match | None:
    """Find a row of digits that the text writes with signs: a tax number, an account, a telephone's."""
    between = r"(?:[.-]| ?[()] ?)?"
    digits = re.sub(r"\D", "", fold(value))
    return _first(
        re.compile(
            rf"{_BEFORE_DIGITS}(?<![^\W_])(?<!\d )\(?{between.join(digits)}"
            rf"(?![^\W_]|-[^\W\d_]{{1,2}}(?![^\W_])){_AFTER_DIGITS}"
        ),
        text,
    )


_BEFORE_DIGITS = r"(?<![\d+])(?<!\d[-./])"
_AFTER_DIGITS = r"(?!\d|[ ./-]\d)"


def _first(pattern: re.Pattern[str], text: Folded) -> Match | None:
    first: tuple[int, int] | None = None
    count = 0
    for match in pattern.finditer(text.text):
        if _DATE.fullmatch(match[0]):
            continue
        first = first or text.span(*match.span())
        count += 1
        if count == MAX_OCCURRENCES:
            break
    return Match(*first, How.SIGNS, count) if first else None
