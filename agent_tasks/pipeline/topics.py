"""What passages of a document are looked for, so that an agent finds the fields in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import pydantic_core

from agent_tasks.documents.excerpts import Topic
from agent_tasks.pipeline.output_schema import FieldSpec

_NUMBERS = ("integer", "number", "date")
_PARTS_OF_NAMES = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def topics(fields: Mapping[str, FieldSpec], prefix: str = "") -> Iterator[Topic]:
    """Yield a topic for each field: the words of its name, its description and its enum.

    A passage fits that has what the field's pattern describes, or a digit for a number or date.
    """
    for name, field in fields.items():
        words = " ".join(
            [prefix, *_PARTS_OF_NAMES.findall(name), field.description, *(field.enum or ())]
        ).strip()
        if field.fields:
            yield from topics(field.fields, words)
        else:
            yield Topic(words, _fits(field))


def _fits(field: FieldSpec) -> Callable[[str], bool]:
    if field.pattern is not None:
        # By the engine that the pattern was written for, which takes linear time whatever the text is.
        anywhere = re.sub(r"(?<!\\)\$$", "", field.pattern.removeprefix("^"))
        schema = pydantic_core.core_schema.str_schema(pattern=anywhere)
        return pydantic_core.SchemaValidator(schema).isinstance_python
    if field.type in _NUMBERS:
        return lambda passage: any(char.isdigit() for char in passage)
    return lambda passage: True
