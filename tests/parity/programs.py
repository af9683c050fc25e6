"""Programs with the same outcome on both services: pipelines, patterns, and turns with each kind of tool."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from agent_tasks.batch.run import run_batch
from agent_tasks.operations import AgentSpec, TurnSpec, Workspace, ensure_agent, run_turn
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.steps import Agent, Answer, Session, each, hand_off, parallel, repeat, vote
from agent_tasks.tools import CodeInterpreterTool, McpTool, ToolSet, function_tool
from tests.batch.support import PIPELINE, RULES, TOOLS
from tests.steps.test_agent import says
from tests.steps.test_example_file import FILE
from tests.steps.test_example_file import RULES as BOARDS

Work = Callable[[Workspace, Path], Awaitable[Any]]


@dataclass(frozen=True)
class Program:
    """What is run on both services."""

    name: str
    work: Work
    """Does it in a workspace, with an empty folder; returns its outcome without ids."""
    rules: dict[str, Any]
    """What the scripted model says."""


class Verdict(BaseModel):
    approved: bool


def _session(ws: Workspace) -> Session:
    return Session(ws, owner="parity", run="one", model="scripted")


def _told(answers: Any) -> list[Any]:
    return [[answer.value, answer.step] for answer in answers]


async def _batch(ws: Workspace, folder: Path, pipeline: str, documents: dict[str, str]) -> Any:
    file, source = folder / "pipeline.yaml", folder / "documents"
    source.mkdir()
    file.write_text(pipeline)
    for name, text in documents.items():
        (source / name).write_text(text)
    summary = await run_batch(ws, load_pipeline(file), source, folder / "out")
    told = summary.model_dump(mode="json", include={"done", "failed", "needs_review", "turns"})
    return [told, _rows(folder)]


def _rows(folder: Path) -> list[Any]:
    """The rows of the results, without what differs by nature: times, tokens, ids."""
    rows = [json.loads(line) for line in (folder / "out" / "results.jsonl").read_text().splitlines()]
    return [_without(row) for row in rows]


_BY_NATURE = {
    "call_id",
    "step_usage",
    "usage",
    "seconds",
    "run",
    "duration",
    "started_at",
    "ended_at",
    "conversation",
    "conversations",
}


_ID = re.compile(r"\b(?:run|resp)_\w{20,}")  # in the texts of errors
_BY_NAME = ("ids", "turns")
"""Ids by the names of their turns: the names are to be the same."""


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: sorted(inner) if key in _BY_NAME and isinstance(inner, dict) else _without(inner)
            for key, inner in value.items()
            if key not in _BY_NATURE
        }
    if isinstance(value, str):
        return _ID.sub("(turn)", value)
    return [_without(inner) for inner in value] if isinstance(value, list) else value


async def papers(ws: Workspace, folder: Path) -> Any:
    (folder / "paper_tools.py").write_text(TOOLS)
    documents = {
        "1.txt": "Paper P-1 of 2026-01-01, total 10.5",
        "2.txt": "Paper P-2 of 2026-02-02, total 20.0, look up",
        "3.txt": "Paper P-3 of 2026-03-03, total 30, needs repair",
        "4.txt": "Paper P-4 of 2026-04-04, total 40, unclear",
        "5.txt": "Paper P-5 of 2026-05-05, total 50, breaks",
        "6.txt": "Paper P-6 of 2026-06-06, total 60, disputed",
    }
    return await _batch(ws, folder, PIPELINE, documents)


async def boards(ws: Workspace, folder: Path) -> Any:
    shutil.copy(FILE.with_name("documents.py"), folder)
    documents = {f"{number}.txt": f"What is a board of oak? {number}" for number in range(4)}
    return await _batch(ws, folder, f"model: m\n{FILE.read_text(encoding='utf-8')}", documents)


async def abreast(ws: Workspace, _: Path) -> Any:
    agent = Agent("echo")
    with _session(ws).entered():
        two = await parallel(agent.ask("one"), agent.ask("two"))
        many = await each(["a", "b", "c"], agent.ask, at_most=2)
    return _told([*two, *many])


async def loop(ws: Workspace, _: Path) -> Any:
    reviewer = Agent("reviewer", answer=Verdict)

    async def review(_: Answer[Verdict] | None) -> Answer[Verdict]:
        return await reviewer.ask("Is it good?")

    with _session(ws).entered():
        last = await repeat(review, until=lambda answer: answer.value.approved, at_most=5)
    return [last.value.approved, last.step]


async def votes(ws: Workspace, _: Path) -> Any:
    with _session(ws).entered():
        outcome = await vote(Agent("judge", answer=Verdict), "Guilty?", samples=3, at_most=1)
    return [outcome.value.approved, outcome.votes, outcome.is_unanimous]


async def handed(ws: Workspace, _: Path) -> Any:
    triage, billing = Agent("triage", instructions="You sort."), Agent("billing", instructions="You bill.")
    with _session(ws).entered():
        done = await hand_off(triage, "Is it paid?", among=[billing])
    return [done.value, done.path, done.is_done]


async def repaired(ws: Workspace, _: Path) -> Any:
    with _session(ws).entered():
        answer = await Agent("judge", answer=Verdict).ask("Guilty?")
    return [answer.value.approved, [turn.step for turn in answer.turns]]


async def functions(ws: Workspace, _: Path) -> Any:
    made: list[str] = []

    @function_tool
    def status(name: str) -> str:
        """Tell the status of something."""
        made.append(name)
        return f"status {len(made)}"

    return [await _turn(ws, ToolSet([status])), made]


async def code(ws: Workspace, _: Path) -> Any:
    return await _turn(ws, ToolSet([CodeInterpreterTool()]))


def approving(url: str) -> Work:
    async def approved(ws: Workspace, _: Path) -> Any:
        return await _turn(
            ws, ToolSet([McpTool("ledger", url, approve=lambda call: "Oak" in call.arguments)])
        )

    return approved


async def throttled(ws: Workspace, _: Path) -> Any:
    return await _turn(ws, ToolSet([]))


async def _turn(ws: Workspace, tools: ToolSet) -> Any:
    spec = AgentSpec(name="clerk", model="scripted", instructions="Work.", tools=tools.definitions)
    agent = await ensure_agent(ws, spec, owner="parity")
    text: list[str] = []
    turn = TurnSpec(step="ask", agent=agent, prompt="Go", owner="parity")
    result = await run_turn(ws, turn, tools=tools, on_text=text.append)
    calls = [[call.name, call.output, call.error_type] for call in result.tool_calls]
    return [result.text, "".join(text) == result.text, calls, result.attempts]


_STATUS = {"reply": {"tool_calls": [{"name": "status", "arguments": {"name": "x"}}]}}
_SAID = {"reply": {"text": "It says: {{ tool_results | join(' and ') }}"}}
_THROTTLED = {"code": "rate_limit_exceeded", "message": "Rate limit is exceeded. Try again in 0.1 seconds."}


def programs(mcp_url: str) -> list[Program]:
    """All of them."""

    def to(name: str | None, answer: str | None) -> dict[str, Any]:
        return {"reply": {"json": {"hand_to": name, "answer": answer}}}

    hand = [
        {"when": {"instructions": "You sort"}, **to("billing", None)},
        {"when": {"instructions": "You bill"}, **to(None, "It is paid.")},
    ]
    run = {"tool_calls": [{"name": "code_interpreter", "arguments": {"code": "print(6 * 7)"}}]}
    write = {"reply": {"tool_calls": [{"name": "write", "arguments": {"line": "Oak"}}]}}
    no, yes = '{"approved": false}', '{"approved": true}'
    echo = {"default": {"reply": {"text": "{{ message }}!"}}}
    return [
        Program("a pipeline file: extract, call, repair, review, ask", papers, RULES),
        Program("a pipeline file with steps (examples/python/documents.yaml)", boards, BOARDS),
        Program("pattern: side by side, one each", abreast, echo),
        Program("pattern: repeat until", loop, says(no, yes)),
        Program("pattern: vote", votes, says(no, yes, yes)),
        Program("pattern: hand over", handed, {"rules": hand}),
        Program("an answer that is repaired", repaired, says("Well", yes)),
        Program(
            "functions, two rounds of the same call",
            functions,
            {"rules": [{"when": {"call": [1, 2]}, **_STATUS}], "default": _SAID},
        ),
        Program(
            "code interpreter",
            code,
            {"rules": [{"when": {"tool_results": False}, "reply": run}], "default": _SAID},
        ),
        Program(
            "MCP with approval",
            approving(mcp_url),
            {"rules": [{"when": {"tool_results": False}, **write}], "default": _SAID},
        ),
        Program(
            "a turn that is throttled once",
            throttled,
            {
                "rules": [{"when": {"call": 1}, "reply": {"error": _THROTTLED}}],
                "default": {"reply": {"text": "Hello."}},
            },
        ),
    ]
