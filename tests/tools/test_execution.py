"""One place carries calls out, whoever asked for them."""

from __future__ import annotations

import json
import logging

import pytest

from agent_tasks.errors import UnknownToolError
from agent_tasks.tools import ToolContext, ToolSet
from agent_tasks.tools.execution import Executed, execute

CONTEXT = ToolContext("call_1", "run_1", "key_1")


def greet(name: str, context: ToolContext) -> str:
    """Greet."""
    if name == "nobody":
        raise LookupError("hush-1 is not here")
    return f"{name}: {context.idempotency_key}"


FUNCTIONS = ToolSet([greet]).functions


async def test_a_call_gives_its_output_and_has_its_context() -> None:
    executed = await execute(FUNCTIONS, "greet", '{"name": "Ada"}', CONTEXT)
    assert executed == Executed("Ada: key_1")
    assert executed.error_type is None


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("greet", '{"name": "nobody"}', "LookupError"),
        ("greet", "{", "ToolArgumentsError"),
        ("leave", "{}", "UnknownToolError"),
    ],
)
async def test_whatever_goes_wrong_is_an_output_and_logged_by_names_alone(
    name: str, arguments: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "agent_tasks.tools"):
        executed = await execute(FUNCTIONS, name, arguments, CONTEXT)
    assert executed.error_type == json.loads(executed.output)["error"]["type"] == kind
    assert [record.getMessage() for record in caplog.records] == [
        f"Function {name} (call_1 of run_1) gave {kind}"
    ]


async def test_a_function_that_is_not_there_is_told_with_those_that_are() -> None:
    executed = await execute({}, "leave", "{}", CONTEXT)
    assert isinstance(executed.error, UnknownToolError)
    assert "there is: none" in executed.output
    assert "there is: greet" in (await execute(FUNCTIONS, "leave", "{}", CONTEXT)).output


@pytest.mark.parametrize("arguments", ['{"name": "Ada"}', '{"name": "nobody"}', "{"])
async def test_a_tool_set_executes_the_same(arguments: str) -> None:
    executed = await execute(FUNCTIONS, "greet", arguments, CONTEXT)
    given = await ToolSet([greet]).call(
        "greet", arguments, call_id="call_1", turn_id="run_1", idempotency_key="key_1"
    )
    assert given == executed.output
