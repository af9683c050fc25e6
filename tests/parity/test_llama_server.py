"""Inline mode on a server of local models that is not ours: llama.cpp's, over HTTP, with a real small model.

`make parity` runs it. What the server does not have is written down here as it is: it keeps nothing, holds no
answer to a schema, and shows this model no functions, whose template knows none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.batch.run import run_batch
from agent_tasks.doctor.findings import Finding
from agent_tasks.doctor.service import Target, check_service
from agent_tasks.operations import Workspace, release_owner
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.settings import ServiceKind, Settings
from agent_tasks.steps import Agent, Session
from agent_tasks.testing import kill_at, run_coroutine
from tests.support.llama_server import llama_server

pytest.importorskip("xllamacpp", reason="xllamacpp is not installed: make setup")
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not os.environ.get("AGENT_TASKS_TEST_PROGRAMS"), reason="make parity"),
]

PIPELINE = """\
name: capitals
model: smollm2
agents:
  geographer:
    instructions: Answer in one sentence.
    prompt: "{{ document.text }}"
    temperature: 0
    max_completion_tokens: 24
  echo:
    prompt: "Repeat this sentence: {{ geographer }}"
    temperature: 0
    max_completion_tokens: 24
steps:
  - agent: geographer
  - agent: echo
limits: {concurrency: 1}
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with llama_server() as address:
        yield address


def workspace(url: str, folder: Path) -> Any:
    journal = f"sqlite+aiosqlite:///{folder}/journal.db"
    return Workspace.open(url, None, journal, scope="llama", service=ServiceKind.INLINE)


async def capitals(url: str, folder: Path) -> list[Any]:
    """Two questions in one conversation; what was answered, whether it was known, and what was read."""
    geographer = Agent(
        "geographer", instructions="Answer in one sentence.", max_completion_tokens=24, temperature=0
    )
    async with workspace(url, folder) as ws:
        with Session(ws, owner="capitals", run="one", model="smollm2").entered():
            first = await geographer.ask("What is the capital of France?")
            second = await geographer.ask("What is the capital of Italy?", follows=first)
        told = [[one.value, one.reused, one.usage.prompt_tokens] for one in (first, second)]
        await release_owner(ws, "capitals:one")
        return told


def test_the_server_speaks_responses_and_keeps_nothing(url: str) -> None:
    with httpx.Client(base_url=url, timeout=60) as http:
        assert http.post("/conversations", json={}).status_code == 404
        assert http.get("/responses").status_code == 404
        body = {"model": "smollm2", "input": "Hi", "max_output_tokens": 4}
        assert http.post("/responses", json=body).json()["object"] == "response"


async def test_a_conversation_is_kept_by_the_journal(url: str, tmp_path: Path) -> None:
    (first, second) = await capitals(url, tmp_path)
    assert "Paris" in first[0]
    assert "Rome" in second[0]
    assert second[2] > first[2] + 15, "the server was told what had been said before"
    again = await capitals(url, tmp_path)
    assert [one[:2] for one in again] == [[first[0], True], [second[0], True]]


@pytest.mark.parametrize(
    "point", ["conversation.created", "turn.started", "turn.remembered:2", "turn.ended:2"]
)
def test_a_killed_program_goes_on_from_the_journal(url: str, tmp_path: Path, point: str) -> None:
    kill_at(point, capitals, url, tmp_path)
    (first, second) = run_coroutine(capitals, url, tmp_path).result
    assert "Paris" in first[0]
    assert "Rome" in second[0]
    assert first[1] is point.endswith(":2"), "what was finished before the kill comes from the journal"


async def test_an_answer_is_streamed(url: str, tmp_path: Path) -> None:
    agent = Agent("geographer", max_completion_tokens=24, temperature=0)
    async with workspace(url, tmp_path) as ws:
        with Session(ws, owner="stream", run="one", model="smollm2").entered():
            async with agent.stream("What is the capital of France?") as stream:
                pieces = [piece async for piece in stream]
    assert len(pieces) > 3
    assert "".join(pieces) == stream.answer.value


async def test_a_pipeline_file_runs_on_it_and_costs_nothing_again(url: str, tmp_path: Path) -> None:
    (file := tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (source := tmp_path / "in").mkdir()
    (source / "a.txt").write_text("What is the capital of France?")
    (source / "b.txt").write_text("What is the capital of Italy?")
    async with workspace(url, tmp_path) as ws:
        first = await run_batch(ws, load_pipeline(file), source, tmp_path / "out")
        second = await run_batch(ws, load_pipeline(file), source, tmp_path / "out")
    assert (first.done, first.turns) == (2, 4)
    assert (second.done, second.turns) == (2, 0)
    assert "Paris" in (tmp_path / "out" / "results.jsonl").read_text()


async def test_doctor_says_what_it_guarantees(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_SERVICE", "responses")
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.delenv("PROJECT_ENDPOINT", raising=False)
    target = Target(url, Settings(state_dir=tmp_path))
    found: dict[str, Finding] = {one.check: one async for one in check_service(target)}
    assert found["endpoint"].status == "ok"
    assert "without a store" in found["service"].detail
    assert "A turn whose answer was lost is asked for again" in found["service"].detail
