"""Tools that a pipeline file names, used by its agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.batch.conftest import bench
from tests.batch.support import Bench
from tests.support.mcp_server import mcp_ledger

__all__ = ["bench"]

MakeBench = Callable[..., Bench]

HEAD = """\
name: tools
model: m
agents:
  helper: {prompt: "%s", tools: [%s]}
%ssteps:
  - agent: helper
"""


def _calls(name: str, arguments: dict[str, Any], then: str) -> dict[str, Any]:
    call = {"name": name, "arguments": arguments}
    return {
        "rules": [{"when": {"tool_results": False}, "reply": {"tool_calls": [call]}}],
        "default": {"reply": {"text": then}},
    }


async def answered(bench: MakeBench, rules: dict[str, Any], tool: str, more: str = "") -> tuple[Bench, Any]:
    made = bench(rules=rules, pipeline=HEAD % ("Whose are swans?", tool, more))
    (made.folder / "rules.txt").write_text("Swans belong to the crown.")
    made.write("a.txt", "Hello.")
    summary = await made.run()
    row = made.rows()["a.txt"]
    assert summary.done == 1, row
    left = made.left()
    threads = left.pop("threads")
    assert left == {"agents": 0, "files": 0, "stores": 0}
    assert threads == len(more.splitlines()), "the conversation with a connected agent is the service's own"
    return made, row


async def test_files_of_the_author_are_searched(bench: MakeBench) -> None:
    rules = {
        "rules": [{"when": {"instructions": "crown"}, "reply": {"text": "Of the crown."}}],
        "default": {"reply": {"text": "Nothing."}},
    }
    made, row = await answered(bench, rules, "{file_search: 'rules*'}")
    step = row["steps"]["helper"]
    assert step["value"].startswith("Of the crown.")
    assert [citation["file_name"] for citation in step["citations"]] == ["rules.txt"]
    (made.folder / "rules.txt").write_text("Swans are free.")
    await made.run()
    assert made.rows()["a.txt"]["steps"]["helper"]["value"] == "Nothing.", "other files, another question"
    before = made.turns()
    await made.run()
    assert made.turns() == before


async def test_a_function_is_called_and_kept_in_the_row(bench: MakeBench) -> None:
    rules = _calls("look_up", {"number": "P-1"}, "Known: {{ tool_results[0] }}")
    _, row = await answered(bench, rules, "{function: 'paper_tools:look_up', idempotent: true}")
    assert "yes" in row["steps"]["helper"]["value"]
    assert [call["name"] for call in row["tool_calls"]] == ["look_up"]


async def test_another_agent_of_the_file_is_asked(bench: MakeBench) -> None:
    rules = {"default": {"reply": {"text": "He says: {{ results[0] }}"}}, "rules": [
        {"when": {"instructions": "prices"}, "reply": {"text": "Oak is 12."}},
        {"when": {"tool_results": False}, "reply": {"tool_calls": [{"name": "clerk", "arguments":
        {"message": "Oak?"}}]}},
    ]}  # fmt: skip
    clerk = "  clerk: {instructions: You know prices.}\n"
    made, row = await answered(bench, rules, "{connected_agent: clerk, description: Knows prices.}", clerk)
    assert "Oak is 12." in row["steps"]["helper"]["value"]
    assert len(made.service.requests("agents.create")) == 2


@pytest.mark.parametrize(
    ("approve", "written"),
    [("all", 1), ("[write]", 1), ("[read]", 0), ("none", 0), ("'paper_tools:decide'", 1)],
)
async def test_calls_of_an_mcp_server_are_approved_by_policy(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch, approve: str, written: int
) -> None:
    monkeypatch.setenv("LEDGER_SECRET", "a-secret-of-mine")
    rules = _calls("write", {"line": "one"}, "Done.")
    with mcp_ledger() as ledger:
        headers = "headers: {x-secret: LEDGER_SECRET}"
        tool = f"{{mcp: '{ledger.url}', label: ledger, {headers}, approve: {approve}}}"
        made = bench(rules=rules, pipeline=HEAD % ("Help", tool, ""))
        tools = made.folder / "paper_tools.py"
        tools.write_text(tools.read_text() + "\n\ndef decide(call):\n    return 'one' in call.arguments\n")
        made.write("a.txt", "Hello.")
        await made.run()
        assert sum(ledger.written.values()) == written
        assert set(ledger.secrets) <= {"a-secret-of-mine"}
    (agent,) = made.service.requests("agents.create")
    assert "a-secret-of-mine" not in str(agent["body"])
    assert "a-secret-of-mine" not in (made.out / "results.jsonl").read_text()
