"""The pipeline that the kill suite runs in child processes: everything that an operation can do, once."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.journal import LEASE_SECONDS, DocumentRecord, Journal
from agent_tasks.operations import (
    AgentSpec,
    TurnResult,
    TurnSpec,
    Workspace,
    build_vector_store,
    ensure_agent,
    files,
    release_owner,
    run_turn,
    upload_file,
)
from agent_tasks.settings import ServiceKind
from agent_tasks.tools import FileSearchTool, McpTool, ToolSet, function_tool
from tests.backends.inline_servers import Lesser

UPLOADS = 3
AGENTS = 2
# An extraction with tool calls, its review in the same conversation, which is throttled once, and an entry
# into a ledger (an MCP server) that has to be approved.
TURNS = 4
MCP_URL = "AGENT_TASKS_TEST_MCP_URL"
JOURNAL_URL = "AGENT_TASKS_TEST_JOURNAL_URL"
"""The journal's address; the default is a file in the folder."""
CALLS = ("look_up", "book")
REPEATABLE, ONCE = CALLS


SERVICE = "AGENT_TASKS_TEST_SERVICE"
"""Which service the endpoint is: a `ServiceKind` (the default is the classic one), or one of `LESSER`."""

LESSER = {"unlisted": True, "stateless": False}
"""Servers of responses without lists, and whether they keep conversations."""


def rules(*cases: str) -> list[dict[str, Any]]:
    """The scripted model's rules for some cases; each is throttled in its own review, once."""
    calls = [{"name": name, "arguments": {"name": "Oak"}} for name in CALLS]
    throttled = {
        "code": "rate_limit_exceeded",
        "message": "Rate limit is exceeded. Try again in 0.1 seconds.",
    }
    entry = {"name": "write", "arguments": {"line": "{{ groups.case }}"}}
    return [
        {"when": {"message": r"extract \S+$", "tool_results": False}, "reply": {"tool_calls": calls}},
        *(
            {"when": {"message": f"review {case}$", "call": 1}, "reply": {"error": throttled}}
            for case in cases
        ),
        {"when": {"message": r"review \S+$"}, "reply": {"text": "The answer is right."}},
        {
            "when": {"message": r"file (?P<case>\S+)$", "tool_results": False},
            "reply": {"tool_calls": [entry]},
        },
        {"when": {"message": r"file \S+$"}, "reply": {"text": "It is in the ledger."}},
        {"when": {"message": r"wait \S+$", "tool_results": False}, "reply": {"tool_calls": calls[:1]}},
    ]


REPLY = {"reply": {"text": "Oak: {{ tool_results | join(' and ') }}."}}


def executions(folder: Path, name: str) -> int:
    """How often a function ran."""
    path = folder / f"{name}.txt"
    return len(path.read_text().splitlines()) if path.exists() else 0


def _tools(folder: Path, case: str) -> ToolSet:
    def count(name: str, about: str) -> None:
        with (folder / f"{name}.txt").open("a") as lines:
            lines.write(f"{name}({about}) for {case}\n")

    @function_tool(idempotent=True)
    async def look_up(name: str) -> str:
        """Look a name up."""
        count("look_up", name)
        return f"{name} found"

    @function_tool
    async def book(name: str) -> str:
        """Book something, which must not be done twice."""
        count("book", name)
        return f"{name} booked"

    return ToolSet([look_up, book])


def _told(result: TurnResult) -> dict[str, Any]:
    calls = {call.name: call.error_type or call.output for call in result.tool_calls}
    return {"text": result.text, "calls": calls, "attempts": result.attempts}


async def pipeline(
    endpoint: str, folder: str, case: str, lease_seconds: float = LEASE_SECONDS
) -> dict[str, Any]:
    """Do it all, keep the outcome, remove everything; returns the outcome."""
    async with open_workspace(endpoint, folder, lease_seconds) as ws:
        document = await ws.journal.documents.get(ws.scope, case, "document")
        if document is None:
            outcome = await carry_out(ws, Path(folder), case)
            await ws.journal.documents.put(
                ws.scope,
                case,
                DocumentRecord(
                    name="document", content_hash=case, fingerprint="", status="done", body=outcome
                ),
            )
        else:
            outcome = document.body
        await release_owner(ws, case)
        left = await ws.journal.resources.live(ws.scope, owner=case)
        return {**outcome, "left": [resource.remote_id for resource in left]}


async def work(endpoint: str, folder: str, case: str, lease_seconds: float) -> dict[str, Any]:
    """Do it all and leave everything there; returns the outcome."""
    async with open_workspace(endpoint, folder, lease_seconds) as ws:
        return await carry_out(ws, Path(folder), case)


def open_workspace(
    endpoint: str, folder: str, lease_seconds: float
) -> AbstractAsyncContextManager[Workspace]:
    files.FILES_A_REQUEST = 2  # so that the store takes its files in two portions
    journal = os.environ.get(JOURNAL_URL) or f"sqlite+aiosqlite:///{folder}/journal.db"
    name = os.environ.get(SERVICE, "classic")
    if name in LESSER:
        return _over_lesser(f"{endpoint}/openai/v1", journal, lease_seconds, keeps=LESSER[name])
    service = ServiceKind(name)
    if service is ServiceKind.INLINE:
        endpoint = f"{endpoint}/openai/v1"
    return Workspace.open(endpoint, None, journal, lease_seconds=lease_seconds, service=service)


@asynccontextmanager
async def _over_lesser(
    base_url: str, journal_url: str, lease_seconds: float, *, keeps: bool
) -> AsyncIterator[Workspace]:
    way = Lesser(lists=False, keeps=keeps)
    async with (
        Journal(journal_url, lease_seconds=lease_seconds) as journal,
        ResponsesBackend.of_server(base_url, None, transport=way) as backend,
    ):
        yield Workspace(backend, journal)


async def carry_out(ws: Workspace, folder: Path, case: str) -> dict[str, Any]:
    """Do it all in an open workspace; returns the outcome."""
    uploads = [
        await upload_file(ws, f"{case} says {number}".encode(), f"{number}.txt", owner=case)
        for number in range(UPLOADS)
    ]
    store = await build_vector_store(ws, "papers", uploads, owner=case)
    tools = _tools(folder, case)
    ledger = ToolSet([McpTool("ledger", os.environ[MCP_URL], approve=lambda call: case in call.arguments)])
    searching = [*tools.definitions, *FileSearchTool().definitions]
    clerk = await ensure_agent(
        ws,
        AgentSpec(name="clerk", model="m", instructions="Extract.", tools=searching, stores=[store]),
        owner=case,
    )
    critic = await ensure_agent(
        ws,
        AgentSpec(name="critic", model="m", instructions="Review.", tools=ledger.definitions),
        owner=case,
    )
    extracted = await run_turn(
        ws, TurnSpec(step="extract", agent=clerk, prompt=f"extract {case}", owner=case), tools=tools
    )
    reviewed = await run_turn(
        ws,
        TurnSpec(
            step="review", agent=critic, prompt=f"review {case}", owner=case,
            conversation=extracted.conversation, after=extracted.key,
        ),
    )  # fmt: skip
    told = {"files": sorted(os.path.basename(file.name) for file in uploads if file.id in store.file_ids),
            "failed": store.failed, "extract": _told(extracted), "review": _told(reviewed)}  # fmt: skip
    if not ws.backend.capabilities.keeps_conversations:
        return told  # a server that keeps nothing calls no tools of other servers
    filed = await run_turn(
        ws,
        TurnSpec(
            step="file", agent=critic, prompt=f"file {case}", owner=case,
            conversation=reviewed.conversation, after=reviewed.key,
        ),
        tools=ledger,
    )  # fmt: skip
    return {**told, "file": _told(filed)}
