"""Schemas of functions: types, defaults, docstring styles, async functions and sets of tools."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import (
    Any,
    Literal,
    NotRequired,  # pydantic asks for these before Python 3.12
)

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from agent_tasks.tools import FunctionTool, ToolContext, ToolSet


class Grade(Enum):
    GOOD = "good"
    POOR = "poor"


class Address(BaseModel):
    street: str
    city: str = "Oslo"


class Person(BaseModel):
    name: str
    address: Address


class Filter(TypedDict):
    field: str
    value: NotRequired[int]


@dataclass
class Page:
    size: int = 10


def every_type(
    person: Person,
    filters: list[Filter],
    page: Page,
    when: datetime,
    grade: Grade,
    order: Literal["asc", "desc"] = "asc",
    tags: list[str] | None = None,
    limits: dict[str, int] | None = None,
    ratio: float = 0.5,
) -> dict[str, Any]:
    """Take all.

    :param person: Who it is.
    :param filters: What to
        look for.
    :type filters: list
    :param ratio: How much.
    :return: What came.
    """
    return {
        "person": type(person).__name__,
        "filters": filters,
        "page": page.size,
        "when": when.year,
        "grade": grade.name,
        "order": order,
        "tags": tags,
    }


def test_types_and_rest_docstring_make_the_schema() -> None:
    tool = FunctionTool.from_callable(every_type)
    assert tool.description == "Take all."
    schema = tool.parameters
    properties = schema["properties"]
    assert schema["required"] == ["person", "filters", "page", "when", "grade"]
    assert properties["person"]["description"] == "Who it is."
    assert properties["filters"]["description"].split() == ["What", "to", "look", "for."]
    assert properties["ratio"] == {"type": "number", "description": "How much.", "default": 0.5}
    assert properties["when"] == {"type": "string", "format": "date-time"}
    assert properties["order"] == {"type": "string", "enum": ["asc", "desc"], "default": "asc"}
    assert properties["tags"]["anyOf"] == [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]
    definitions = schema["$defs"]
    assert definitions["Grade"]["enum"] == ["good", "poor"]
    assert definitions["Person"]["properties"]["address"] == {"$ref": "#/$defs/Address"}
    assert definitions["Filter"]["required"] == ["field"]
    assert definitions["Page"]["properties"]["size"]["default"] == 10


async def test_arguments_become_what_the_hints_say() -> None:
    arguments = {
        "person": {"name": "Ada", "address": {"street": "Main"}},
        "filters": [{"field": "a", "value": 1}, {"field": "b"}],
        "page": {},
        "when": "2026-11-23T05:00:00Z",
        "grade": "poor",
    }
    output = await FunctionTool.from_callable(every_type).call(
        json.dumps(arguments), ToolContext("call_1", "run_1", "key")
    )
    assert json.loads(output) == {
        "person": "Person",
        "filters": [{"field": "a", "value": 1}, {"field": "b"}],
        "page": 10,
        "when": 2026,
        "grade": "POOR",
        "order": "asc",
        "tags": None,
    }


@pytest.mark.parametrize(
    "docstring",
    [
        "Look.\n\n    Args:\n        word: The word.\n        count: How many.",
        "Look.\n\n    :param word: The word.\n    :param int count: How many.",
        "Look.\n\n    Parameters\n    ----------\n    word\n        The word.\n    count\n        How many.",
    ],
    ids=["google", "rest", "numpy"],
)
def test_docstring_styles(docstring: str) -> None:
    def look(word: str, count: int = 1) -> str:
        return word * count

    look.__doc__ = docstring
    tool = FunctionTool.from_callable(look)
    assert tool.description == "Look."
    assert tool.parameters["properties"]["word"]["description"] == "The word."
    assert tool.parameters["properties"]["count"]["description"] == "How many."


async def failing(kind: str) -> str:
    """Fail."""
    await asyncio.sleep(0)
    if kind == "key":
        raise KeyError("missing")
    raise ValueError("not so")


async def slow() -> str:
    """Take long."""
    await asyncio.sleep(5)
    return "late"


async def test_each_failed_call_is_one_structured_output() -> None:
    tools = ToolSet([failing, FunctionTool.from_callable(slow, timeout=0.05)])
    outputs = await asyncio.gather(
        tools.call("failing", '{"kind": "value"}', call_id="1"),
        tools.call("failing", '{"kind": "key"}', call_id="2"),
        tools.call("failing", "{", call_id="3"),
        tools.call("nothing", "{}", call_id="4"),
        tools.call("slow", "", call_id="5"),
    )
    told = [json.loads(output)["error"] for output in outputs]
    assert [error["type"] for error in told] == [
        "ValueError",
        "KeyError",
        "ToolArgumentsError",
        "UnknownToolError",
        "ToolTimeoutError",
    ]
    assert told[0]["message"] == "not so"
    assert "there is: failing, slow" in told[3]["message"]


async def test_context_of_a_call_in_a_set() -> None:
    seen: list[ToolContext] = []

    def note(context: ToolContext) -> str:
        """Note."""
        seen.append(context)
        return "noted"

    tools = ToolSet([note])
    assert await tools.call("note", "{}", call_id="call_1", turn_id="run_1") == "noted"
    assert seen == [ToolContext("call_1", "run_1", "run_1:call_1")]
    assert tools.definitions[0]["function"]["parameters"]["properties"] == {}
