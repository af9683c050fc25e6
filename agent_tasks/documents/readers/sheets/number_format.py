"""How a spreadsheet shows a number: by the format code of its cell (ECMA-376, 18.8.31).

Where a code leaves the form to the country of who looks, dates are ISO 8601 and numbers as in English.
"""

from __future__ import annotations

import datetime
import functools
import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction

BUILT_IN = {
    1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: '"$"#,##0', 6: '"$"#,##0', 7: '"$"#,##0.00',
    8: '"$"#,##0.00', 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??", 14: "yyyy-mm-dd",
    15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm",
    21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 27: "yyyy-mm-dd", 30: "yyyy-mm-dd", 31: "yyyy-mm-dd",
    36: "yyyy-mm-dd", 37: "#,##0;(#,##0)", 38: "#,##0;(#,##0)", 39: "#,##0.00;(#,##0.00)",
    40: "#,##0.00;(#,##0.00)", 41: "#,##0", 42: '"$"#,##0', 43: "#,##0.00", 44: '"$"#,##0.00',
    45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@", 50: "yyyy-mm-dd",
    57: "yyyy-mm-dd",
}  # fmt: skip
"""The codes that files name by number only."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<blank>.)|\*(?P<fill>.)|\[\$(?P<currency>[^\]-]*)[^\]]*\]'
    r"|\[(?P<elapsed>h+|m+|s+)\]|\[(?P<bracket>[^\]]*)\]|(?P<noon>AM/PM|A/P)|(?P<general>General)"
    r"|(?P<exponent>E[+-]0+)|(?P<date>y+|m+|d+|h+|s+|e+|g+|b+)|(?P<digits>[0#?](?:[0#?,]*[0#?])?|\.[0#?]*|,)"
    r"|(?P<other>.)",
    re.IGNORECASE | re.DOTALL,
)
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MAX_CODE = 300
_MAX_DECIMALS = 30


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def shown(value: str, code: str, *, since_1904: bool = False) -> str:
    """Write a number as its cell shows it.

    Args:
        value: The number as the file holds it.
        code: The format code; too long or odd ones are taken for ``General``.
        since_1904: Whether days are counted from 1904, as old programs of the Macintosh do.
    """
    if code == "General" and len(value) < 16 and value.isdecimal():
        return value
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    if not number.is_finite() or abs(number.adjusted()) > 308:
        return value
    if number.adjusted() > 20:
        return general(number)
    sections = _sections(code[:_MAX_CODE])
    section, negative = _section_of(sections, number)
    kinds = {token.kind for token in section}
    if kinds & {"date", "elapsed", "noon"}:
        written = _date(number, section, since_1904=since_1904)
        return written if written is not None else general(number)
    if not kinds & {"digits", "general"} and "exponent" not in kinds:
        literal = "".join(_literal(token) for token in section).strip()
        return literal if literal and "@" not in {token.text for token in section} else general(number)
    sign = "-" if negative else ""
    return sign + _number(abs(number), section)


def general(number: Decimal) -> str:
    """Write a number in the format ``General``: to 15 digits, which is as exact as a spreadsheet is."""
    rounded = Decimal(format(number, ".15g")) if number else Decimal(0)
    text = format(rounded, "f") if -12 < rounded.adjusted() < 21 else format(rounded, "E")
    return text.rstrip("0").rstrip(".") if "." in text and "E" not in text else text


@functools.lru_cache(1024)
def _sections(code: str) -> tuple[tuple[_Token, ...], ...]:
    sections: list[list[_Token]] = [[]]
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup or "other"
        text = match[kind]
        if kind == "other" and text == ";":
            sections.append([])
        else:
            sections[-1].append(_Token(kind, text))
    return tuple(map(tuple, sections[:4]))


def _section_of(sections: tuple[tuple[_Token, ...], ...], number: Decimal) -> tuple[tuple[_Token, ...], bool]:
    """Return the section for a number, and whether a minus is to be written before it."""
    if number < 0 and len(sections) > 1:
        return sections[1], False
    if number == 0 and len(sections) > 2:
        return sections[2], False
    return sections[0], number < 0


def _literal(token: _Token) -> str:
    if token.kind in ("quoted", "escaped", "currency", "other"):
        return token.text
    return " " if token.kind == "blank" else ""


# --- numbers -----------------------------------------------------------------------------------------------


def _number(number: Decimal, section: tuple[_Token, ...]) -> str:
    if any(token.kind == "general" for token in section):
        return "".join(general(number) if t.kind == "general" else _literal(t) for t in section).strip()
    if any(token.kind == "other" and token.text == "/" for token in section):
        return _fraction(number, section)
    digits = "".join(token.text for token in section if token.kind == "digits")
    whole, _, decimals = digits.partition(".")
    while digits.endswith(","):  # each comma at the end divides by a thousand
        number, digits = number / 1000, digits[:-1]
        whole, _, decimals = digits.partition(".")
    number *= 100 ** sum(token.kind == "other" and token.text == "%" for token in section)
    exponent = next((token.text for token in section if token.kind == "exponent"), None)
    if exponent is not None:
        power = number.adjusted() if number else 0
        written = _rounded(number.scaleb(-power), whole, decimals)
        written += f"E{'-' if power < 0 else '+' if '+' in exponent else ''}{abs(power):0{len(exponent) - 2}}"
    else:
        written = _rounded(number, whole, decimals)
    return _placed(written, section)


def _rounded(number: Decimal, whole: str, decimals: str) -> str:
    places = min(sum(char in "0#?" for char in decimals), _MAX_DECIMALS)
    context = Context(prec=60, rounding=ROUND_HALF_UP)
    least = sum(char in "0?" for char in decimals)
    text = format(number.quantize(Decimal(1).scaleb(-places), context=context), ",f" if "," in whole else "f")
    integer, _, fraction = text.partition(".")
    while len(fraction) > least and fraction.endswith("0"):
        fraction = fraction[:-1]
    width = whole.count("0")
    if integer == "0" and not width:
        integer = ""
    integer = integer if "," in whole else integer.zfill(width)
    return f"{integer}.{fraction}" if fraction else integer or "0"


def _placed(written: str, section: tuple[_Token, ...]) -> str:
    """Put the digits where the first sign for one stands, and what is literal around them."""
    pieces, put = [], False
    for token in section:
        if token.kind in ("digits", "exponent"):
            pieces.append("" if put else written)
            put = True
        else:
            pieces.append(_literal(token))
    return "".join(pieces).strip()


def _fraction(number: Decimal, section: tuple[_Token, ...]) -> str:
    digits = [token.text for token in section if token.kind == "digits"]
    largest = 10 ** min(len(digits[-1]), 4) - 1 if digits else 9
    whole = int(number) if len(digits) > 2 else 0
    rest = Fraction(number - whole).limit_denominator(largest)
    if rest == 1:
        whole, rest = whole + 1, Fraction(0)
    part = f"{rest.numerator}/{rest.denominator}" if rest else ""
    return " ".join(filter(None, (str(whole) if whole or not part else "", part)))


# --- dates -------------------------------------------------------------------------------------------------


def _date(number: Decimal, section: tuple[_Token, ...], *, since_1904: bool) -> str | None:
    """Write a date or time; None if there is no such day."""
    places = next((len(t.text) - 1 for t in section if t.kind == "digits" and t.text.startswith(".")), 0)
    step = Decimal(1).scaleb(-places)
    seconds = (number * 86_400).quantize(step if places else Decimal(1), ROUND_HALF_UP)
    days, of_day = divmod(seconds, 86_400)
    if number < 0 or days > 2_958_465:
        return None
    if since_1904:
        base = datetime.date(1904, 1, 1)
    else:  # the year 1900 has a 29th of February there
        base = datetime.date(1899, 12, 30) if days > 60 else datetime.date(1899, 12, 31)
    day = base + datetime.timedelta(int(days))
    hour, minute, second = int(of_day // 3600), int(of_day // 60 % 60), of_day % 60
    noon = any(token.kind == "noon" for token in section)
    pieces: list[str] = []
    for position, token in enumerate(section):
        if token.kind == "elapsed":
            total = {"h": seconds // 3600, "m": seconds // 60, "s": seconds // 1}[token.text[0].lower()]
            pieces.append(str(int(total)).zfill(len(token.text)))
        elif token.kind == "noon":
            pieces.append("AM" if hour < 12 else "PM")
        elif token.kind == "date":
            shown_hour = (hour % 12 or 12) if noon else hour
            minutes = _means_minutes(section, position)
            pieces.append(
                _date_part(token.text.lower(), day, shown_hour, minute, int(second), minutes=minutes)
            )
        elif token.kind == "digits":
            pieces.append(str(second % 1)[1:] if token.text.startswith(".") and places else token.text)
        else:
            pieces.append(_literal(token))
    return "".join(pieces).strip()


def _means_minutes(section: tuple[_Token, ...], position: int) -> bool:
    """Tell whether an m is minutes: after hours, or before seconds."""
    timed = [t for t in section[:position] if t.kind in ("date", "elapsed")]
    if timed and timed[-1].text[0].lower() == "h":
        return True
    following = [t for t in section[position + 1 :] if t.kind in ("date", "elapsed")]
    return bool(following) and following[0].text[0].lower() == "s"


def _date_part(token: str, day: datetime.date, hour: int, minute: int, second: int, *, minutes: bool) -> str:
    length = len(token)
    if token[0] in "ye":
        return str(day.year) if length > 2 or token[0] == "e" else f"{day.year % 100:02}"
    if token[0] == "m" and not minutes:
        name = _MONTHS[day.month - 1]
        return {1: str(day.month), 2: f"{day.month:02}", 3: name[:3], 5: name[0]}.get(length, name)
    if token[0] == "d":
        name = _DAYS[day.weekday()]
        return {1: str(day.day), 2: f"{day.day:02}", 3: name[:3]}.get(length, name)
    if token[0] in "gb":
        return ""
    value = {"h": hour, "m": minute, "s": second}[token[0]]
    return str(value).zfill(min(length, 2))
