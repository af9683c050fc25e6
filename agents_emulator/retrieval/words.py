"""Words, numbers and sentences of a text, as search and citation compare them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(
    r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?![\w.,-]*\d)"  # 42 000,50
    r"|\d+(?:[.,:/'-]\d+)*(?!\w)"
    r"|\w+(?:[-/.']\w+)*"
)
_GROUPED_NUMBER = re.compile(r"\d{1,3}(?:[,.'\s]\d{3})+(?:[.,]\d{1,2})?|\d+[.,]\d{1,2}")
_STOPWORDS = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by
    can could did do does doing for from further had has have having he her here hers him his how i if in into
    is it its itself just me more most my no nor not of off on once only or other our ours out over own please
    same she should so some such tell than that the their theirs them then there these they this those through
    to too under until up very was we were what when where which while who whom why will with would yes you
    your yours""".split()  # noqa: SIM905
)
_ABBREVIATIONS = frozenset(
    """no nr nos art approx apt attn ave bldg ca cf co corp dept dipl dr e.g ed etc fig gmbh i.e inc jr lt ltd
    mr mrs ms mt p.o pp prof ref sr st str tel vs vol z.b""".split()  # noqa: SIM905
)
_SENTENCE_END = re.compile(r"(?P<mark>[.!?…]+[\"'”’)\]]*)(?P<gap>\s+)(?=\S)|(?P<lines>\s*\n\s*)(?=\S)")
_LAST_WORD = re.compile(r"([\w.]+?)\.?$")


def words(text: str) -> list[str]:
    """Words and numbers of a text in lower case, in order; numbers without thousands separators."""
    return [_canonical(match[0]) for match in _WORD.finditer(text.casefold())]


def content_words(text: str) -> list[str]:
    """The words that carry meaning: without function words."""
    return [word for word in words(text) if word not in _STOPWORDS]


def is_number(word: str) -> bool:
    """Whether a word of :func:`words` begins with a digit (an amount, a date, an article number)."""
    return word[:1].isdigit()


def _canonical(word: str) -> str:
    """One spelling for an amount: 1,240.50 and 1.240,50 and 1240.5 are the same."""
    if not _GROUPED_NUMBER.fullmatch(word):
        return word
    whole, mark, cents = word, "", ""
    if len(word) > 2 and word[-3] in ".,":
        whole, mark, cents = word[:-3], ".", word[-2:]
    elif len(word) > 1 and word[-2] in ".,":
        whole, mark, cents = word[:-2], ".", word[-1:]
    cents = cents.rstrip("0")
    return re.sub(r"\D", "", whole) + (mark + cents if cents else "")


def sentence_ends(text: str) -> Iterator[int]:
    """Positions just behind each sentence (before the blanks that follow it) that is known to be complete.

    Line ends count as sentence ends. A full stop behind an abbreviation or an initial, or before a small
    letter, does not. The end of the text is never reported: more may come.
    """
    for match in _SENTENCE_END.finditer(text):
        if match["mark"] is None:
            yield match.start()
        elif "\n" in match["gap"] or match["mark"][0] != "." or _is_full_stop(text, match):
            yield match.end("mark")


def _is_full_stop(text: str, match: re.Match[str]) -> bool:
    if text[match.end()].islower():
        return False
    before = _LAST_WORD.search(text, max(0, match.start() - 40), match.start())
    if before is None:
        return True
    word = before[1].casefold()
    if before.start() == _line_start(text, before.start()) and word.isdigit() and len(word) < 3:
        return False  # the number of a list item
    return word not in _ABBREVIATIONS and not (len(word) == 1 and word.isalpha())


def _line_start(text: str, position: int) -> int:
    """Where the text of the line begins that a position is in."""
    start = text.rfind("\n", 0, position) + 1
    return start + len(text[start:]) - len(text[start:].lstrip())


def sentences(text: str) -> list[str]:
    """The sentences of a complete text, without the blanks around them."""
    found: list[str] = []
    start = 0
    for end in (*sentence_ends(text), len(text)):
        if sentence := text[start:end].strip():
            found.append(sentence)
        start = end
    return found
