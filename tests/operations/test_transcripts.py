"""What was said in turns is kept for a time, without secrets, and only where somebody wants it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent_tasks.errors import AgentTasksError, ConfigurationError
from agent_tasks.journal import Journal
from agent_tasks.journal.schema import transcripts
from agent_tasks.operations import (
    AgentSpec,
    TranscriptBody,
    TranscriptRules,
    TurnResult,
    TurnSpec,
    Workspace,
    ensure_agent,
    find_transcript,
    prune_transcripts,
    run_turn,
)
from agent_tasks.tools import ToolSet, function_tool
from tests.conftest import ServiceFactory

KEPT = TranscriptRules(days=14)
RULES = {
    "rules": [
        {
            "when": {"message": "Book", "tool_results": False},
            "reply": {"tool_calls": [{"name": "book", "arguments": {"name": "Oak"}}]},
        },
        {
            "when": {"message": "Break"},
            "reply": {"error": {"code": "content_filter", "message": "Refused: Bearer abcdefghijklmnop1234"}},
        },
    ],
    "default": {"reply": {"text": "Booked with the key: Bearer abcdefghijklmnop1234."}},
}


@function_tool
async def book(name: str) -> str:
    """Book it."""
    return f"{name} is booked; password=hunter2hunter2"


class Bench:
    """A service, a journal, and a clerk with one function."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint = endpoint
        self.url = f"sqlite+aiosqlite:///{folder}/journal.db"

    @asynccontextmanager
    async def open(self, rules: TranscriptRules) -> AsyncIterator[Workspace]:
        async with Workspace.open(self.endpoint, None, self.url, scope="s") as ws:
            ws.transcripts = rules
            yield ws

    async def ask(self, ws: Workspace, prompt: str, owner: str = "papers:1/a.txt") -> TurnResult:
        tools = ToolSet([book])
        spec = AgentSpec(name="clerk", model="m-1", instructions="Work.", tools=tools.definitions)
        agent = await ensure_agent(ws, spec, owner="papers:1")
        return await run_turn(ws, TurnSpec(step="ask", agent=agent, prompt=prompt, owner=owner), tools=tools)


@pytest.fixture
def bench(service: ServiceFactory, tmp_path: Path) -> Bench:
    return Bench(service(rules=RULES).endpoint, tmp_path)


async def test_prompt_answer_calls_and_cost_are_kept_without_secrets(bench: Bench) -> None:
    async with bench.open(KEPT) as ws:
        result = await bench.ask(ws, "Book oak. My password=hunter2hunter2")
        found, body = await find_transcript(ws, result.key[:12])
        assert (found.owner, found.step, found.agent, found.key) == (
            "papers:1/a.txt",
            "ask",
            "clerk",
            result.key,
        )
        assert [one.key for one in await ws.journal.transcripts.of("s", "papers:1")] == [result.key]
        assert await ws.journal.transcripts.of("s", "papers") == []
    assert (body.model, body.turn_id, body.usage.total_tokens) == (
        "m-1",
        result.turn_id,
        result.usage.total_tokens,
    )
    assert (body.prompt or "").startswith("Book oak.")
    assert (body.answer or "").startswith("Booked with the key")
    (call,) = body.calls
    assert (call.name, call.state) == ("book", "done")
    assert "Oak is booked" in (call.output or "")
    assert "Oak" in (call.arguments or "")
    told = body.model_dump_json()
    assert "hunter2" not in told
    assert "abcdefghijklmnop1234" not in told


async def test_a_failed_turn_is_kept_with_why(bench: Bench) -> None:
    async with bench.open(KEPT) as ws:
        with pytest.raises(AgentTasksError):
            await bench.ask(ws, "Break it")
        (found,) = await ws.journal.transcripts.of("s")
        body = found.read(TranscriptBody)
    assert body.prompt == "Break it"
    assert body.answer is None
    assert "Refused" in (body.error or "")
    assert "abcdefghijklmnop1234" not in (body.error or "")


async def test_texts_are_left_out_where_content_is_not_shown(bench: Bench) -> None:
    async with bench.open(TranscriptRules(days=14, content=False)) as ws:
        await bench.ask(ws, "Book oak.")
        (found,) = await ws.journal.transcripts.of("s")
        body = found.read(TranscriptBody)
    assert (body.prompt, body.answer) == (None, None)
    assert [(one.name, one.arguments, one.output) for one in body.calls] == [("book", None, None)]
    assert body.usage.total_tokens > 0


async def test_nothing_is_kept_and_nothing_is_written_more_where_it_is_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One statement that commits by itself, as ever."""
    alone: list[bool] = []
    async with bench.open(TranscriptRules(days=0)) as ws:
        database = ws.journal.operations._database
        write = database.write

        async def counted(work, *, alone: bool = False, patient: bool = True):  # type: ignore[no-untyped-def]
            seen.append(alone)
            return await write(work, alone=alone, patient=patient)

        seen = alone
        monkeypatch.setattr(database, "write", counted)
        await bench.ask(ws, "Hello")
        off = len(alone)
        ws.transcripts = KEPT
        await bench.ask(ws, "Hello again")
        assert len(alone) - off < off + 1, "a transcript is committed with its turn, not by itself"
        assert len(await ws.journal.transcripts.of("s")) == 1


async def test_a_result_that_is_not_committed_leaves_no_transcript(bench: Bench) -> None:
    """Both, or nothing: here another worker has taken the turn over."""
    async with bench.open(KEPT) as ws:
        result = await bench.ask(ws, "Hello")
        await ws.journal.transcripts.prune(time.time() + 1)

        def boom(connection: sa.Connection) -> None:
            connection.execute(transcripts.insert().values(scope="s", key="x"))  # lacks what must be there

        await ws.journal.operations.claim("s", "k", "turn", {})
        with pytest.raises(AgentTasksError):
            await ws.journal.operations.finish("s", "k", {"text": "1"}, also=boom)
        found = await ws.journal.operations.get("s", "k")
        assert found is not None
        assert found.result is None
        assert result.text


async def test_old_ones_go_when_their_time_is_over(bench: Bench) -> None:
    async with bench.open(KEPT) as ws:
        result = await bench.ask(ws, "Hello")
        assert await prune_transcripts(ws) == 0
        await ws.journal._database.write(
            lambda connection: connection.execute(
                transcripts.update().values(kept_at=time.time() - 15 * 86_400)
            )
        )
        ws.transcripts = TranscriptRules(days=0)
        assert await prune_transcripts(ws) == 0, "0 days: nothing is kept, and nothing of others is deleted"
        ws.transcripts = KEPT
        assert await prune_transcripts(ws) == 1
        with pytest.raises(ConfigurationError, match="No transcript begins with"):
            await find_transcript(ws, result.key)
        again = await bench.ask(ws, "Hello")
        assert (again.reused, again.text) == (True, result.text), "results do not depend on transcripts"


async def test_a_long_text_is_cut(bench: Bench) -> None:
    async with bench.open(KEPT) as ws:
        await bench.ask(ws, "x y " * 40_000)
        (found,) = await ws.journal.transcripts.of("s")
    prompt = found.read(TranscriptBody).prompt or ""
    assert len(prompt) < 100_100
    assert prompt.endswith("(the rest is not kept)")


async def test_an_old_journal_has_room_for_them(bench: Bench, tmp_path: Path) -> None:
    async with Journal(f"sqlite+aiosqlite:///{tmp_path}/other.db") as journal:
        assert await journal.transcripts.of("s") == []
