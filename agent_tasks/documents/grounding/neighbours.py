"""What stands beside a match and belongs to the same name, number or address: the match is a part, then."""

from __future__ import annotations

import re
from dataclasses import dataclass

import regex

from agent_tasks.documents.grounding.folding import Folded, fold
from agent_tasks.documents.grounding.names import months
from agent_tasks.documents.grounding.scripts import Kind, kind_of
from agent_tasks.documents.grounding.skeleton import Wanted

_NEAR = 40
_HYPHEN = "[-\u2010\u2011]"
_WORD_AFTER_HYPHEN = regex.compile(rf"{_HYPHEN}(?:[ \t]*\n[ \t]*(?=\p{{Ll}}))?([\p{{L}}\p{{M}}]+)")
_WORD_BEFORE_HYPHEN = regex.compile(rf"([\p{{L}}\p{{M}}]+){_HYPHEN}(?:[ \t]*\n[ \t]*)?\Z")
_ENDING = regex.compile(r"\p{Ll}{1,4}")
"""Cases that Hungarian, Finnish and others write to a name: GmbH-val, Nokia-n."""
_PARTICLE = regex.compile(r"[\p{Hebrew}\p{Arabic}]{1,2}|(?i:[dl])")

_LEGAL_WORDS = (
    "ab aps as asa ag bhd bv bvba co company corp corporation doo eg ehf eirl eood ev eurl gbr ges "
    "gesmbh gmbh hf inc incorporated jsc kft kg kgaa kk kommanditgesellschaft limited limitada ltd ltda "
    "llc llp lp nv oao ohg ooo ou oy oyj plc pte pt pty pvt sa sab sarl sas sasu sca scs se sia sl slu "
    "snc sociedad spa spk sprl srl sro tbk uab ug zao zoo zrt ооо оао зао пао тов ип ат еоод оод дoo αε "
    "επε ике"
)
_LEGAL = frozenset(_LEGAL_WORDS.split())
_TITLES_WORDS = (
    "mr mrs ms miss mx messrs dr prof professor herr herrn frau hr fr sr sra srta señor señora don doña "
    "dom dona mme mlle monsieur madame maître me sig signor signora dott dhr heer mevr mevrouw pan pani "
    "pana panu ing mag dipl rev ọ̀gbẹ́ni sir lady lord captain capt judge bapak bpk ibu gng g ông bà anh "
    "chị encik puan tuan firma fa fam familie company société soc ditta empresa the an a und r-va sn "
    "sayın bay bayan kgg mgr inż доктор пан пани пані г-н г-жа господин госпожа κ κα hra rva tri ntt hon"
)
_TITLES = frozenset(_TITLES_WORDS.split())
_NEXT_NAME = regex.compile(
    r" (\p{Lu}[\p{Ll}\p{M}'’]+(?:-\p{Lu}[\p{Ll}\p{M}]+)*)(?![\p{L}\p{M}\p{N}])(?!:| ?:|\.| \p{N}|#| №)"
)
_NEXT_RANK = regex.compile(r",? (?:Jr|Sr|II|III|IV|VI{1,3}|Filho|Neto|Júnior)(?![\p{L}\p{M}\p{N}])")
_NAME_WORD = regex.compile(r"\p{Lu}[\p{L}\p{M}'’.-]*|\p{Lu}\.")
_SMALL_WORD = regex.compile(
    r"de|da|do|dos|das|del|della|di|du|la|le|van|von|der|den|zu|of|and|und|y|e|et|bin|al|el|&"
)
_CAPITALS = regex.compile(r"(?: (?:\p{Lu}[\p{L}\p{M}'’.-]*|&)){2,5}")
_AFTER_COLON = regex.compile(r": ?(\p{Lu}[\p{Ll}\p{M}]+) \Z")
_INITIAL = regex.compile(r"\p{Lu}\.[ -]?")
_INITIAL_BEFORE = regex.compile(r"(?<![\p{L}\p{N}])\p{Lu}\.[ -]?\Z")

_DOMAIN = regex.compile(r"(?:\S+@)?[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}")
_ADDRESS_BEFORE = regex.compile(r"[\p{L}\p{N}][._+%@-]+\Z")
_ADDRESS_AFTER = regex.compile(r"[._@-]+[\p{L}\p{N}]")

_MINUS_BEFORE = regex.compile(r"(?<![\p{L}\p{N}])(?<!\p{N} )[-−]\p{Sc}?\Z")
_GROUP_BEFORE = regex.compile(r"(?<![\p{N}.,])\d{1,3} \Z")
_THOUSANDS = regex.compile(r"\d{3}(?!\d)")
_GROUPS = regex.compile(r"\d \d")
_CODE_GROUP_AFTER = regex.compile(r" \d{2,5}(?!\d|[.,]\d)")
_CODE_GROUP_BEFORE = regex.compile(r"(?<![\p{N}.,])\d{2,5} \Z")
_CODE_GROUPS_AFTER = regex.compile(r"(?: \d{2,4}(?!\d|[.,/:-]\d))*")
_CODE_GROUPS_BEFORE = regex.compile(r"(?<![\p{N}.,/:-])(?:\d{2,4} )*\Z")
_LETTER_AFTER = regex.compile(r" [A-HJ-Z](?![\p{L}\p{N}.'’])")
_LETTER_BEFORE = regex.compile(r"(?<![\p{L}\p{N}.'’])[A-Z] \Z")
_CODE = regex.compile(r"(?=.*\d)(?=.*[A-Z])[A-Z\d ./-]+")


@dataclass(frozen=True)
class _Beside:
    quote: str
    before: str
    after: str


def is_part(text: Folded, start: int, end: int, sought: Wanted) -> bool:
    """Whether a match is a part of something longer that is written with blanks, hyphens or points.

    Args:
        text: The folded text.
        start: First character of the match.
        end: After its last.
        sought: What was looked for.
    """
    first, last = text.span(start, end)
    source = text.source
    beside = _Beside(source[first:last], source[max(0, first - _NEAR) : first], source[last : last + _NEAR])
    value = sought.value.strip()
    return (
        _is_hyphened(beside)
        or (_DOMAIN.fullmatch(value) is not None and _is_in_address(beside))
        or (sought.traits.has_digit and (_is_in_number(beside, sought) or _is_in_code(beside, value)))
        or _is_in_name(beside)
    )


def _is_hyphened(beside: _Beside) -> bool:
    """Within a word of several: "smoking" in "non-smoking", "Carmichael" in "Carmichael-Boyd"."""
    after = _WORD_AFTER_HYPHEN.match(beside.after)
    if after and kind_of(beside.quote[-1]) is kind_of(after[1][0]) is Kind.LETTER:
        last_word = beside.quote.split()[-1]
        if not (last_word[0].isupper() and _ENDING.fullmatch(after[1])):
            return True
    before = _WORD_BEFORE_HYPHEN.search(beside.before)
    return (
        before is not None
        and kind_of(beside.quote[0]) is kind_of(before[1][-1]) is Kind.LETTER
        and _PARTICLE.fullmatch(before[1]) is None
    )


def _is_in_address(beside: _Beside) -> bool:
    return _ADDRESS_BEFORE.search(beside.before) is not None or _ADDRESS_AFTER.match(beside.after) is not None


def _is_in_number(beside: _Beside, sought: Wanted) -> bool:
    """A quantity after a minus or after its thousands; groups of digits with more of them beside."""
    traits, quote = sought.traits, beside.quote
    if traits.is_quantity and quote[0].isdigit():
        if _MINUS_BEFORE.search(beside.before) and not sought.lead.endswith("-"):
            return True
        if _GROUP_BEFORE.search(beside.before) and _THOUSANDS.match(quote):
            return True
    if not traits.is_digits or traits.is_phone:
        return False
    if _GROUPS.search(quote):
        return bool(_CODE_GROUP_AFTER.match(beside.after) or _CODE_GROUP_BEFORE.search(beside.before))
    if not 2 <= len(quote) <= 4 or not quote.isdigit():
        return False
    groups = _CODE_GROUPS_BEFORE.search(beside.before), _CODE_GROUPS_AFTER.match(beside.after)
    return sum(match[0].count(" ") for match in groups if match) >= 2


def _is_in_code(beside: _Beside, value: str) -> bool:
    """INV-2024 in "INV-2024 A", AB 1234 in "M AB 1234"."""
    if not _CODE.fullmatch(value):
        return False
    return (value[-1].isdigit() and _LETTER_AFTER.match(beside.after) is not None) or (
        value[0].isalpha() and " " in value and _LETTER_BEFORE.search(beside.before) is not None
    )


def _is_in_name(beside: _Beside) -> bool:
    words = beside.quote.split()
    if _INITIAL.match(words[0]) and _INITIAL_BEFORE.search(beside.before):
        return True
    if not _is_name(words) or _is_legal(words[-1]):
        return False
    if _NEXT_RANK.match(beside.after):
        return True
    company = _CAPITALS.match(beside.after)
    if company and any(map(_is_legal, company[0].split()[1:])) and not _is_legal(company[0].split()[0]):
        return True
    if len(words) == 1:
        return False
    following = _NEXT_NAME.match(beside.after)
    if following and not (_is_legal(following[1]) or _may_lack(fold(following[1]))):
        return True
    previous = _AFTER_COLON.search(beside.before)
    return previous is not None and fold(previous[1]) not in _TITLES


def _is_name(words: list[str]) -> bool:
    """Whether words are a name that begins with capitals: "Anna Berg", "Banco de Chile", not "ACME TOOLS"."""
    return (
        all(_NAME_WORD.fullmatch(word) or _SMALL_WORD.fullmatch(word) for word in words)
        and words[-1][0].isupper()
        and not all(word.isupper() for word in words if len(word) > 2)
    )


def _may_lack(word: str) -> bool:
    """Whether the word after a name is none of it (a month) or may be left out (a patronymic)."""
    return word in months() or _PATRONYMIC.search(word) is not None


_PATRONYMIC = re.compile(r"(?:вна|вич|ична|ич|ovna|evna|ovich|evich|ovych|ivna|улы|қызы)\Z")


def _is_legal(word: str) -> bool:
    """Whether it is a form of companies: with it a name ends."""
    return re.sub(r"\W", "", fold(word)) in _LEGAL
