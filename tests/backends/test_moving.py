"""`agent-tasks migrate`: agents that a user keeps, with their files and stores, become versions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent_tasks.backends.moving import Moved, Moving
from agent_tasks.cli.app import app
from agent_tasks.client import AsyncAgentsClient, AsyncResponsesClient
from tests.conftest import ServiceFactory
from tests.support.service import RunningService

FUNCTION = {
    "type": "function",
    "function": {"name": "book", "description": "Book.", "parameters": {"type": "object", "properties": {}}},
}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}


@asynccontextmanager
async def clients(
    old: RunningService, new: RunningService
) -> AsyncIterator[tuple[AsyncAgentsClient, AsyncResponsesClient, AsyncResponsesClient]]:
    async with (
        AsyncAgentsClient(old.endpoint, None) as classic,
        AsyncResponsesClient(f"{new.endpoint}/openai/v1", None) as client,
        AsyncResponsesClient(new.endpoint, None, api_version="v1") as agents,
    ):
        yield classic, client, agents


async def kept(classic: AsyncAgentsClient) -> str:
    """An agent with all that moves; returns its id."""
    file = await classic.files.upload(b"Oak costs 40 EUR.", filename="prices.txt", purpose="assistants")
    store = await classic.vector_stores.create_and_poll(name="prices", file_ids=[file.id])
    agent = await classic.agents.create(
        model="m",
        name="Price clerk!",
        instructions="Answer.",
        tools=[FUNCTION, {"type": "file_search"}, {"type": "code_interpreter"}],
        tool_resources={
            "file_search": {"vector_store_ids": [store.id]},
            "code_interpreter": {"file_ids": [file.id]},
        },
        temperature=0.5,
        response_format=SCHEMA,
        metadata={"team": "prices"},
    )
    return agent.id


def by_kind(found: list[Moved]) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    for one in found:
        told.setdefault(one.kind, []).append(one.why)
    return told


async def test_an_agent_moves_with_its_files_and_stores_once(service: ServiceFactory) -> None:
    old, new = service(), service()
    async with clients(old, new) as (classic, client, agents):
        kept_id = await kept(classic)
        for _ in range(2):
            planned = [one async for one in Moving(classic, client, agents, write=False).move()]
            assert by_kind(planned)["agent"] == ["would be a version of Price-clerk"]
        assert new.requests("agent_versions.create") == []
        found = [one async for one in Moving(classic, client, agents, write=True).move()]
        assert by_kind(found) == {"file": ["copied"], "store": ["copied"], "agent": ["copied"]}
        latest = (await agents.get("/agents/Price-clerk"))["versions"]["latest"]
        assert latest["metadata"]["team"] == "prices"
        assert latest["metadata"]["agent_tasks_moved_from"] == kept_id
        described = latest["definition"]
        assert (described["model"], described["temperature"]) == ("m", 0.5)
        assert described["text"]["format"]["name"] == "answer"
        tools = {tool["type"]: tool for tool in described["tools"]}
        assert tools["function"]["name"] == "book"
        (store,) = tools["file_search"]["vector_store_ids"]
        assert (await client.vector_stores.get(store)).file_counts.completed == 1
        (file,) = tools["code_interpreter"]["container"]["file_ids"]
        assert b"".join([part async for part in client.files.get_content(file)]) == b"Oak costs 40 EUR."

        again = [one async for one in Moving(classic, client, agents, write=True).move()]
        assert by_kind(again) == {"agent": ["is there already"]}
        await classic.agents.update(kept_id, instructions="Answer briefly.")
        changed = [one async for one in Moving(classic, client, agents, write=True).move()]
        assert by_kind(changed) == {"file": ["copied"], "store": ["copied"], "agent": ["copied"]}
        assert (await agents.get("/agents/Price-clerk"))["versions"]["latest"]["version"] == "2"
        assert len(new.requests("files.upload")) == 1, "what was copied is found by its mark"


async def test_two_agents_of_one_name_and_one_without_a_counterpart(service: ServiceFactory) -> None:
    running = service()
    async with clients(running, running) as (classic, client, agents):
        first = await kept(classic)
        second = await classic.agents.create(model="m", name="Price clerk?", instructions="Other.")
        helper = {
            "type": "connected_agent",
            "connected_agent": {"id": first, "name": "h", "description": "d"},
        }
        await classic.agents.create(model="m", name="leader", instructions="Lead.", tools=[helper])
        found = [one async for one in Moving(classic, client, agents, write=True).move()]
        moved = {one.name: one for one in found if one.kind == "agent"}
        assert moved["Price clerk!"].new == "Price-clerk:1"
        assert moved["Price clerk?"].new == f"Price-clerk-{second.id[-6:]}:1"
        assert moved["leader"].new is None
        assert "connected_agent" in moved["leader"].why
        assert {one.why for one in found if one.kind != "agent"} == {"the successor has it"}


def test_the_command_copies_only_when_told_to(
    service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = service()
    with running.http() as http:
        http.post("/assistants", json={"model": "m", "name": "clerk", "instructions": "Answer."})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    looked = CliRunner().invoke(app, ["migrate"])
    assert looked.exit_code == 0, looked.output
    assert "would be a version of clerk" in looked.output
    assert running.requests("agent_versions.create") == []
    copied = CliRunner().invoke(app, ["migrate", "--agent", "clerk", "--yes"])
    assert copied.exit_code == 0, copied.output
    assert "clerk:1" in copied.output
    assert "do not move" in copied.output
