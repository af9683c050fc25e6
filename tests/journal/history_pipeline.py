"""The pipeline whose half-done journals are stored in `histories`: killed where all outputs of its tools are
in the journal and none is sent.

A stored journal is never made anew by newer code. For a new schema, store one more before it changes: run
`pipeline` in `agent_tasks.testing.kill_at("tools.ready", ...)` and dump its journal, with the ids of the
service replaced by `{file}`, `{agent}`, `{thread}`, `{run}`, `{call_0}` and `{call_1}`. From schema 0004 on,
`people` comes before it: what two people were asked and one has decided.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from agent_tasks.errors import WaitingForPersonError
from agent_tasks.operations import (
    AgentSpec,
    Decision,
    TurnSpec,
    Workspace,
    ask_person,
    decide,
    ensure_agent,
    run_turn,
    upload_file,
)
from agent_tasks.tools import ToolSet, function_tool

SCOPE = "history"
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"tool_results": False},
            "reply": {
                "tool_calls": [{"name": name, "arguments": {"name": "Oak"}} for name in ("find", "book")]
            },
        }
    ],
    "default": {"reply": {"text": "Oak: {{ tool_results | join(' and ') }}."}},
}
ANSWER = "Oak: found and booked."


def tools(folder: Path) -> ToolSet:
    """Two functions; each run of one leaves a line in the folder."""

    def ran(name: str) -> None:
        with (folder / "ran.txt").open("a") as lines:
            lines.write(f"{name}\n")

    @function_tool(idempotent=True)
    async def find(name: str) -> str:
        """Find it."""
        ran("find")
        return "found"

    @function_tool
    async def book(name: str) -> str:
        """Book it."""
        ran("book")
        return "booked"

    return ToolSet([find, book])


async def pipeline(endpoint: str, folder: str, journal: str) -> str:
    """An upload, an agent and a turn with two functions; returns the answer."""
    callable_tools = tools(Path(folder))
    async with Workspace.open(endpoint, None, journal, scope=SCOPE) as ws:
        await upload_file(ws, b"Oak costs 40 EUR.", "prices.txt", owner="doc")
        agent = await ensure_agent(
            ws,
            AgentSpec(name="clerk", model="m", instructions="Work.", tools=callable_tools.definitions),
            owner="doc",
        )
        turn = TurnSpec(step="ask", agent=agent, prompt="Book oak.", owner="doc")
        return (await run_turn(ws, turn, tools=callable_tools)).text


async def asked(ws: Workspace, step: str) -> Decision | str:
    """What was decided, or the id of the question that waits."""
    try:
        return await ask_person(ws, owner="doc", step=step, question="Book it?", shown="Oak")
    except WaitingForPersonError as error:
        return str(error.key)


async def people(journal: str) -> None:
    """Ask two people; one has decided."""
    async with Workspace.open("http://127.0.0.1:1/api/projects/p", None, journal, scope=SCOPE) as ws:
        await asked(ws, "second")
        await decide(ws, str(await asked(ws, "first")), approved=True, by="Ann", note="Fine.")
