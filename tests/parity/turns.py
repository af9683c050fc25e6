"""Turns with each kind of tool, and the patterns."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from agent_tasks.operations import AgentSpec, TurnSpec, ensure_agent, run_turn
from agent_tasks.steps import Agent, Answer, each, hand_off, parallel, repeat, vote
from agent_tasks.tools import CodeInterpreterTool, McpTool, ToolSet, function_tool
from tests.parity.place import MODEL, Place, Program
from tests.steps.test_agent import says

__all__ = ["patterns", "turns"]


class Verdict(BaseModel):
    approved: bool


def _told(answers: Any) -> list[Any]:
    return [[answer.value, answer.step] for answer in answers]


async def abreast(place: Place) -> Any:
    agent = Agent("echo")
    with place.session().entered():
        two = await parallel(agent.ask("one"), agent.ask("two"))
        many = await each(["a", "b", "c"], agent.ask, at_most=2)
    return _told([*two, *many])


async def loop(place: Place) -> Any:
    reviewer = Agent("reviewer", answer=Verdict)

    async def review(_: Answer[Verdict] | None) -> Answer[Verdict]:
        return await reviewer.ask("Is it good?")

    with place.session().entered():
        last = await repeat(review, until=lambda answer: answer.value.approved, at_most=5)
    return [last.value.approved, last.step]


async def votes(place: Place) -> Any:
    with place.session().entered():
        outcome = await vote(Agent("judge", answer=Verdict), "Guilty?", samples=3, at_most=1)
    return [outcome.value.approved, outcome.votes, outcome.is_unanimous]


async def handed(place: Place) -> Any:
    triage, billing = Agent("triage", instructions="You sort."), Agent("billing", instructions="You bill.")
    with place.session().entered():
        done = await hand_off(triage, "Is it paid?", among=[billing])
    return [done.value, done.path, done.is_done]


async def repaired(place: Place) -> Any:
    with place.session().entered():
        answer = await Agent("judge", answer=Verdict).ask("Guilty?")
    return [answer.value.approved, [turn.step for turn in answer.turns]]


async def functions(place: Place) -> Any:
    made: list[str] = []

    @function_tool
    def status(name: str) -> str:
        """Tell the status of something."""
        made.append(name)
        return f"status {len(made)}"

    return [await _turn(place, ToolSet([status])), made]


async def code(place: Place) -> Any:
    return await _turn(place, ToolSet([CodeInterpreterTool()]))


async def approved(place: Place) -> Any:
    ledger = McpTool("ledger", place.mcp_url, approve=lambda call: "Oak" in call.arguments)
    return await _turn(place, ToolSet([ledger]))


async def plain(place: Place) -> Any:
    return await _turn(place, ToolSet([]))


async def _turn(place: Place, tools: ToolSet) -> Any:
    spec = AgentSpec(name="clerk", model=MODEL, instructions="Work.", tools=tools.definitions)
    agent = await ensure_agent(place.ws, spec, owner="parity")
    text: list[str] = []
    turn = TurnSpec(step="ask", agent=agent, prompt="Go", owner="parity")
    result = await run_turn(place.ws, turn, tools=tools, on_text=text.append)
    calls = [[call.name, call.output, call.error_type] for call in result.tool_calls]
    return [result.text, "".join(text) == result.text, calls, result.attempts]


_STATUS = {"reply": {"tool_calls": [{"name": "status", "arguments": {"name": "x"}}]}}
_SAID = {"reply": {"text": "It says: {{ tool_results | join(' and ') }}"}}
_THROTTLED = {"code": "rate_limit_exceeded", "message": "Rate limit is exceeded. Try again in 0.1 seconds."}
_NO, _YES = '{"approved": false}', '{"approved": true}'


def patterns() -> list[Program]:
    """The patterns of `agent_tasks.steps.patterns`."""

    def to(name: str | None, answer: str | None) -> dict[str, Any]:
        return {"reply": {"json": {"hand_to": name, "answer": answer}}}

    hand = [
        {"when": {"instructions": "You sort"}, **to("billing", None)},
        {"when": {"instructions": "You bill"}, **to(None, "It is paid.")},
    ]
    echo = {"default": {"reply": {"text": "{{ message }}!"}}}
    return [
        Program("pattern: side by side, one each", abreast, echo),
        Program("pattern: repeat until", loop, says(_NO, _YES)),
        Program("pattern: vote", votes, says(_NO, _YES, _YES)),
        Program("pattern: hand over", handed, {"rules": hand}),
    ]


def turns() -> list[Program]:
    """Turns with tools of each kind, and with mishaps."""
    run = {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6 * 7)"}}]}
    write = {"tool_calls": [{"name": "write", "arguments": {"line": "Oak"}}]}

    def first(reply: dict[str, Any]) -> dict[str, Any]:
        return {"rules": [{"when": {"tool_results": False}, "reply": reply}], "default": _SAID}

    twice = {"rules": [{"when": {"call": [1, 2]}, **_STATUS}], "default": _SAID}
    once_throttled = {
        "rules": [{"when": {"call": 1}, "reply": {"error": _THROTTLED}}],
        "default": {"reply": {"text": "Hello."}},
    }
    return [
        Program("an answer that is repaired", repaired, says("Well", _YES)),
        Program("functions, two rounds of the same call", functions, twice),
        Program("code interpreter", code, first(run)),
        Program("MCP with approval", approved, first(write)),
        Program("a turn that is throttled once", plain, once_throttled),
    ]
