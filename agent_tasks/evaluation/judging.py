"""One document: each of its values beside the right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from agent_tasks.evaluation.comparators import Comparator, comparator

_AUTO = comparator("auto")


class Verdict(StrEnum):
    """What a value is."""

    RIGHT = "right"
    WRONG = "wrong"
    """Another value than the right one."""
    MISSED = "missed"
    """Nothing, where there is a value."""
    INVENTED = "invented"
    """A value, where there is none."""
    ABSENT = "absent"
    """Nothing, and rightly."""

    @property
    def is_right(self) -> bool:
        """Whether a person would leave it as it is."""
        return self in (Verdict.RIGHT, Verdict.ABSENT)


class Judged(NamedTuple):
    """A value, judged."""

    path: str
    """Where it is, such as ``items[0].amount``."""
    field: str
    """The field it is counted for, such as ``items[].amount``."""
    found: Any
    right: Any
    verdict: Verdict


def judge(
    found: Any, right: Any, comparators: Mapping[str, Comparator], *, path: str = "", field: str = ""
) -> Iterator[Judged]:
    """Judge what was found against what is right, value by value.

    Lists are judged item by item, in whatever order: each right item takes the found one that is most like
    it. Fields that the right values do not name are not judged.

    Args:
        found: The fields of a row, or a part of them; None if there are none.
        right: The right ones.
        comparators: By field.
        path: Where this part is.
        field: The same without numbers of items.
    """
    how = comparators.get(field, _AUTO)
    if isinstance(right, dict):
        inside = found if isinstance(found, dict) else {}
        for name, value in right.items():
            at, of = (f"{path}.{name}", f"{field}.{name}") if path else (name, name)
            yield from judge(inside.get(name), value, comparators, path=at, field=of)
    elif isinstance(right, list) and how.by_item:
        yield from _judge_items(found, right, comparators, path, field)
    else:
        yield Judged(path, field, found, right, _verdict(found, right, how))


def _verdict(found: Any, right: Any, how: Comparator) -> Verdict:
    has_found, has_right = _is_value(found), _is_value(right)
    if not has_right:
        return Verdict.INVENTED if has_found else Verdict.ABSENT
    if not has_found:
        return Verdict.MISSED
    return Verdict.RIGHT if how.same(found, right) else Verdict.WRONG


def _is_value(value: Any) -> bool:
    return value is not None and value != "" and value != []


def _judge_items(
    found: Any, right: list[Any], comparators: Mapping[str, Comparator], path: str, field: str
) -> Iterator[Judged]:
    items = list(found) if isinstance(found, list) else [] if found is None else [found]
    inner = f"{field}[]"
    if not right and not items:
        yield Judged(path, inner, None, None, Verdict.ABSENT)
        return
    left = dict(enumerate(items))
    taken = _paired(items, right, comparators, inner)
    for place in taken.values():
        del left[place]
    for index, wanted in enumerate(right):
        at = taken.get(index)
        if at is None and left:  # nothing like it: one of those that are left stands for it
            at = min(left)
            del left[at]
        item = items[at] if at is not None else None
        where = f"{path}[{at if at is not None else len(items) + index}]"
        yield from judge(item, wanted, comparators, path=where, field=inner)
    shape = next((wanted for wanted in right if isinstance(wanted, dict)), None)
    for place, item in left.items():
        nothing = dict.fromkeys(shape) if shape is not None else None
        yield from judge(item, nothing, comparators, path=f"{path}[{place}]", field=inner)


def _paired(
    items: list[Any], right: list[Any], comparators: Mapping[str, Comparator], field: str
) -> dict[int, int]:
    """For right items the found one that is most like each: the most alike are paired first."""
    alike = [
        (-_likeness(item, wanted, comparators, field), index, at)
        for index, wanted in enumerate(right)
        for at, item in enumerate(items)
    ]
    taken: dict[int, int] = {}
    for unlikeness, index, at in sorted(alike):
        if unlikeness < 0 and index not in taken and at not in taken.values():
            taken[index] = at
    return taken


def _likeness(item: Any, wanted: Any, comparators: Mapping[str, Comparator], field: str) -> float:
    """The share of the item's values that are right."""
    judged = list(judge(item, wanted, comparators, path="_", field=field))
    return sum(one.verdict is Verdict.RIGHT for one in judged) / max(len(judged), 1)
