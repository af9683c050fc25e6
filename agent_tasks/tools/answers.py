"""The answer of an agent that was asked for JSON: found in its text, and checked against a model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from agent_tasks.errors import AnswerFormatError

__all__ = ["json_of", "parse_answer", "parse_value"]

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")

# An opening fence at the beginning of a line, or with nothing after it on its line. Neither can stand inside
# a JSON string, which holds no line break.
_OPENING = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*\w*[ \t]*\n?|(?:`{3,})\w*[ \t]*\n", re.MULTILINE)
_CLOSING = re.compile(r"\s*(?:`{3,}|~{3,}|\Z)")
# Only where a value ends is of interest here: a number of any length will do.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


def json_of(text: str) -> str:
    """The JSON in an answer: all of it, or what stands in a fenced block, whatever its strings hold.

    Text without any is returned as it is, for the error that says so.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").strip()
    if _end_of_value(text, 0) == len(text):
        return text
    openings = list(_OPENING.finditer(text))
    for opening in openings:
        end = _end_of_value(text, opening.end())
        if end is not None and _CLOSING.match(text, end):
            return text[opening.end() : end].strip()
    # Cut off, or no JSON: what is there makes the better error without its fence.
    return text[openings[0].end() :].rstrip("`~ \n") if openings and not text.startswith(("{", "[")) else text


def _end_of_value(text: str, start: int) -> int | None:
    """Where the JSON value ends that begins at `start`; None if none does."""
    while text[start : start + 1].isspace():
        start += 1
    try:
        return _DECODER.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def parse_answer(model: type[M], text: str, *, strict: bool = False) -> M:
    """The answer of an agent as an object of the model it was asked for by `response_format`.

    Args:
        model: What the answer has to fit.
        text: The answer: JSON, alone or in a fenced block with words around it.
        strict: Take no value of another type: "1.250" for a number could mean two things.

    Raises:
        AnswerFormatError: The text is not JSON (cut off by a token limit, or a refusal in words), or does not
            fit the model; `problems` lists each place and what is wrong there. Worth asking again.
    """
    return _parsed(model.model_validate_json, model.__name__, text, strict=strict)


def parse_value(adapter: TypeAdapter[T], name: str, text: str) -> T:
    """The answer of an agent as a value of any type that pydantic knows; types are checked strictly.

    Args:
        adapter: What the answer has to fit.
        name: What to call that in the error.
        text: The answer: JSON, alone or in a fenced block with words around it.

    Raises:
        AnswerFormatError: As for `parse_answer`.
    """
    return _parsed(adapter.validate_json, name, text, strict=True)


def _parsed(validate: Callable[..., T], name: str, text: str, *, strict: bool) -> T:
    try:
        return validate(json_of(text), strict=strict or None)
    except ValidationError as error:
        problems = [
            f"{_place(problem['loc']) or 'answer'}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise AnswerFormatError(
            f"the answer is not a {name}: {'; '.join(problems)}",
            model=name,
            problems=problems,
        ) from error


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the answer, such as ``items[2].amount``."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
