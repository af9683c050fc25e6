"""What stands between the letters and digits of a match, compared with what stands there in the value."""

from __future__ import annotations

import itertools
import re

from agent_tasks.documents.grounding.boundaries import Edges, is_telling
from agent_tasks.documents.grounding.identifiers import BROKEN_SIZE, JOINED_SIZE, UNSIGNED_SIZE, Traits
from agent_tasks.documents.grounding.records import How
from agent_tasks.documents.grounding.scripts import WITHOUT_BLANKS, Kind, kind_of
from agent_tasks.documents.grounding.skeleton import Wanted

MAX_BLANKS = 2
"""Blanks between two groups of digits: more part the columns of a table."""
MAX_SIGNS = 4
GLUED_SIZE = 6
"""Letters of a value whose blanks may be missing in the text: text recognition loses them."""
SENTENCE_WORD = 3
"""Letters of an abbreviation, at most: a point and a blank after a longer word end a sentence."""
_TITLES = frozenset(("prof", "dipl", "corp", "bldg", "hosp", "univ", "abth", "stre", "проф"))

ABBREVIATION = 5
"""Letters of a word that may be written with points between them: S.A.R.L."""

_BREAK = re.compile(r" *- *\n *")


def agreement(sought: Wanted, found: dict[int, str], edges: Edges) -> How | None:
    """How the gaps of a match differ from those of the value; None if they mean something else.

    Args:
        sought: What is looked for.
        found: The gaps of the match: after how many letters and digits, and what stands there.
        edges: What is around the match.
    """
    worst = How.EXACT
    joined = False
    for at in sorted({*sought.gaps, *found}):
        wanted, seen = sought.gaps.get(at, ""), found.get(at, "")
        if wanted == seen:
            continue
        how = _gap(sought, at, wanted, seen)
        if how is None:
            return None
        joined |= not wanted.strip() and not seen.strip() and _are_digits(sought, at)
        worst = max(worst, how, key=lambda how: how.rank)
    whole = sought.traits
    if edges.is_continued and (joined or whole.is_iban or whole.is_phone):
        return None
    if joined and whole.is_digits and not whole.is_phone and not _are_groups(found, sought):
        return None
    return worst


def _are_digits(sought: Wanted, at: int) -> bool:
    return sought.letters[at - 1].isdigit() and sought.letters[at].isdigit()


def _are_groups(found: dict[int, str], sought: Wanted) -> bool:
    """Whether digits are grouped as people group them: two to four at a time, or five from the end."""
    cuts = [0, *sorted(found), len(sought.letters)]
    sizes = [later - earlier for earlier, later in itertools.pairwise(cuts)]
    if len(sizes) == 1 or all(2 <= size <= 4 for size in sizes):
        return True
    return sizes[0] <= 5 and set(sizes[1:]) == {5}  # references of payments


def _gap(sought: Wanted, at: int, wanted: str, seen: str) -> How | None:
    """How one gap differs."""
    if seen.count("\n") > 1:
        return None
    kinds = kind_of(sought.letters[at - 1]), kind_of(sought.letters[at])
    if Kind.MARK in kinds:
        kinds = tuple(Kind.UNSPACED if kind is Kind.MARK else kind for kind in kinds)  # type: ignore[assignment]
    if kinds == (Kind.DIGIT, Kind.DIGIT):
        return _between_digits(sought.traits, wanted, seen)
    if WITHOUT_BLANKS & set(kinds):
        return _without_blanks(wanted, seen)
    if kinds == (Kind.HANGUL, Kind.HANGUL) and _signs(wanted) == _signs(seen):
        return _line_or_spacing(seen)
    if Kind.DIGIT in kinds:
        return _beside_digit(sought.traits, wanted, seen)
    return _between_words(sought, at, wanted, seen)


def _signs(gap: str) -> str:
    return re.sub(r"\s", "", gap)


def _line_or_spacing(seen: str) -> How:
    return How.LINE if "\n" in seen else How.SPACING


def _telling(gap: str) -> str:
    return "".join(filter(is_telling, _signs(gap)))


def _between_digits(traits: Traits, wanted: str, seen: str) -> How | None:
    """Signs between digits count; blanks do not where they only group the digits of an identifier."""
    if traits.is_phone and not set(wanted + seen) - set(" -./()"):
        return How.SIGNS
    signs = _signs(seen)
    is_sign = (signs == "-" and traits.is_unsigned) or (signs == "." and traits.is_pointless)
    if is_sign and not wanted and "\n" not in seen and traits.size >= UNSIGNED_SIZE:
        return How.SIGNS if traits.is_code or traits.is_digits else None
    if _signs(wanted) != signs or len(seen) > len(signs) + 2 * MAX_BLANKS:
        return None
    if signs:
        return _line_or_spacing(seen)
    if "\n" in seen:
        return How.LINE if traits.size >= BROKEN_SIZE and traits.is_code | traits.is_digits else None
    if wanted and seen:
        return How.SPACING if len(seen) <= MAX_BLANKS else None
    return How.SPACING if (traits.is_digits or traits.is_code) and traits.size >= JOINED_SIZE - 1 else None


def _without_blanks(wanted: str, seen: str) -> How | None:
    ours, theirs = _signs(wanted), _signs(seen)
    if ours == theirs:
        return _line_or_spacing(seen)
    if _telling(wanted) != _telling(seen) or len(theirs) > MAX_SIGNS:
        return None
    if (ours and theirs) or {ours, theirs} <= {"", "・", "-"}:
        return How.SIGNS
    return None


def _beside_digit(traits: Traits, wanted: str, seen: str) -> How | None:
    """Between a word and a number: a quantity stands on one line, and a number does not get a sign."""
    if "\n" in seen and traits.is_quantity and not _BREAK.fullmatch(seen):
        return None
    ours, theirs = _signs(wanted), _signs(seen)
    if _telling(wanted) != _telling(seen) or len(theirs) > MAX_SIGNS:
        return None
    if ours == theirs:
        return _line_or_spacing(seen)
    if re.search(r"\s[-.,]\Z", seen) and not wanted.endswith(seen[-1]):
        return None
    return How.LINE if "\n" in seen else How.SIGNS


def _between_words(sought: Wanted, at: int, wanted: str, seen: str) -> How | None:
    traits = sought.traits
    ours, theirs = _signs(wanted), _signs(seen)
    if traits.is_address:
        return _line_or_spacing(seen) if ours == theirs and (not seen.strip(" ") or "\n" in seen) else None
    if _telling(wanted) != _telling(seen) or len(theirs) > MAX_SIGNS:
        return None
    if not wanted:
        return _inserted(sought, at, seen)
    if not seen:
        is_initial = ours == "." and _is_initial(sought, at)
        is_glued = not ours and len(sought.letters) >= GLUED_SIZE
        return How.SPACING if is_glued or traits.is_code else How.SIGNS if is_initial else None
    if re.search(r"[.!?;]\s", seen) and not re.search(r"[.!?;]", wanted) and not _is_short(sought, at):
        return None
    if "\n" in seen:
        return How.LINE
    return How.SPACING if ours == theirs else How.SIGNS


def _inserted(sought: Wanted, at: int, seen: str) -> How | None:
    """What the text has within a word of the value: a hyphen at a line's end, points of an abbreviation."""
    if _BREAK.fullmatch(seen):
        return How.LINE
    if sought.traits.is_code and not seen.strip():
        return How.SPACING if "\n" not in seen or sought.traits.size >= BROKEN_SIZE else None
    if _signs(seen) == "." and "\n" not in seen and _is_initial(sought, at):
        return How.SIGNS
    return None


def _is_initial(sought: Wanted, at: int) -> bool:
    """Whether the letter before may be an initial: the word of the value is short (SARL, BV)."""
    return sought.letters[max(0, at - 5) : at + 1].isalpha() and _word_size(sought, at) <= ABBREVIATION


def _is_short(sought: Wanted, at: int) -> bool:
    size = _word_size(sought, at)
    return size <= SENTENCE_WORD or sought.letters[at - size : at] in _TITLES


def _word_size(sought: Wanted, at: int) -> int:
    """Letters of the value's word that ends there, or goes on there."""
    starts = [gap for gap in sought.gaps if gap < at]
    ends = [gap for gap in sought.gaps if gap >= at]
    return (min(ends) if ends else len(sought.letters)) - (max(starts) if starts else 0)
