"""Names that configuration may use: one that is not known is refused, with the one that was probably meant.

A misspelt name that is dropped in silence leaves a default in force, which may be another system that works.
Messages name the name and never its value, which may be secret.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

from agent_tasks.errors import ConfigurationError

__all__ = ["did_you_mean", "is_a_slip_of", "refuse_unknown"]

_SLIP = 0.9
"""Likeness from which on a name is taken for a slip of another one: a letter swapped, missing or too much."""


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`Did you mean 'X'?`, or the list of what is known."""
    lowered = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), lowered, n=1)
    return f"Did you mean '{lowered[close[0]]}'?" if close else f"Known here: {', '.join(sorted(known))}."


def is_a_slip_of(name: str, known: Iterable[str]) -> str | None:
    """The known name of which `name` is a slip of the pen, or None if it is another word."""
    for one in known:
        if abs(len(one) - len(name)) <= 1:
            matcher = difflib.SequenceMatcher(None, one, name)
            if matcher.quick_ratio() >= _SLIP and matcher.ratio() >= _SLIP:
                return one
    return None


def refuse_unknown(names: Iterable[object], known: Collection[str], *, where: str) -> None:
    """Refuse names that are not known.

    Args:
        names: what was given.
        known: what may be given.
        where: where they stand, as the beginning of the sentence: `The project block`.

    Raises:
        ConfigurationError: one of them is not known; the message names all of those.
    """
    strange = sorted(str(name) for name in names if str(name) not in known)
    if strange:
        said = "; ".join(f"'{name}' is not known. {did_you_mean(name, known)}" for name in strange)
        raise ConfigurationError(f"{where}: {said} Nothing was started.", setting=strange[0])
