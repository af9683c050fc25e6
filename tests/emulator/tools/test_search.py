"""Stand-ins for hosted search: answers from a folder, citations by address, named as stand-ins."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator.helpers import Json, agent, post, stream, turn, wait_run
from tests.emulator.tools.conftest import Turns, rules_for, write_yaml
from tests.support.service import RunningService

ANSWER = "The Alpine tent weighs 2300 grams. Nothing else is known."
TOOLS: dict[str, Json] = {
    "azure_ai_search": {},
    "bing_grounding": {"bing_grounding": {"search_configurations": [{"connection_id": "c", "count": 1}]}},
    "bing_custom_search": {
        "bing_custom_search": {"search_configurations": [{"connection_id": "c", "instance_name": "i"}]}
    },
    "sharepoint_grounding": {"sharepoint_grounding": {"connections": [{"connection_id": "c"}]}},
    "fabric_dataagent": {"fabric_dataagent": {"connections": [{"connection_id": "c"}]}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    (folder / "tents.md").write_text("# Tents\n\nThe Alpine tent weighs 2300 grams.\n", encoding="utf-8")
    (folder / "boots.md").write_text("# Boots\n\nThe Trail boots are blue.\n", encoding="utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "fabric_dataagent").mkdir()
    (folder / "fabric_dataagent" / "sales.txt").write_text("Sales of tents were 12 in May.", encoding="utf-8")
    write_yaml(folder / "urls.yaml", {"tents.md": "https://contoso.example/tents"})
    return folder


@pytest.fixture(scope="module")
def running(start: Any, folder: Path) -> RunningService:
    started: RunningService = start(rules_for(*TOOLS, answer=ANSWER), search_folder=folder)
    return started


def turns_with(client: Any, kind: str, **fields: Any) -> Turns:
    return Turns(client, agent(client, tools=[{"type": kind, **TOOLS[kind]}], **fields))


@pytest.fixture
def client(running: RunningService) -> Iterator[Any]:
    with running.http() as http:
        yield http


@pytest.mark.parametrize("kind", list(TOOLS))
def test_every_stand_in_says_that_it_is_one(client: Any, kind: str) -> None:
    call = turns_with(client, kind).call(kind, {"query": "weight of the Alpine tent"})
    assert list(call) == ["id", "type", kind]
    assert "local folder" in call[kind]["stand_in"]
    assert all(isinstance(value, str) for value in call[kind].values())


def test_azure_ai_search_is_cited_by_address(client: Any) -> None:
    resources = {"azure_ai_search": {"indexes": [{"index_name": "i", "top_k": 1}]}}
    turns = turns_with(client, "azure_ai_search", tool_resources=resources)
    call = turns.call("azure_ai_search", {"query": "weight of the Alpine tent"})
    found = ast.literal_eval(call["azure_ai_search"]["output"])
    assert found["metadata"]["urls"] == ["https://contoso.example/tents"]
    text = turns.answer()["content"][0]["text"]
    first, rest = ANSWER.split(". ")
    assert text["value"] == f"{first}.【3:0†source】 {rest}"
    mark = text["annotations"][0]
    assert mark == {
        "type": "url_citation",
        "text": "【3:0†source】",
        "start_index": len(first) + 1,
        "end_index": len(first) + 1 + len("【3:0†source】"),
        "url_citation": {"url": "https://contoso.example/tents", "title": "tents.md"},
    }


def test_a_document_without_an_address_gets_one_that_cannot_exist(client: Any) -> None:
    turns = turns_with(client, "sharepoint_grounding")
    call = turns.call("sharepoint_grounding", {"query": "colour of the Trail boots"})
    first = json.loads(call["sharepoint_grounding"]["output"])[0]
    assert first["url"] == "https://stand-in.invalid/sharepoint_grounding/boots.md"


def test_bing_shows_the_address_of_its_request(client: Any) -> None:
    call = turns_with(client, "bing_grounding").call("bing_grounding", {"query": "Alpine tent"})
    assert call["bing_grounding"]["requesturl"].endswith("/v7.0/search?q=Alpine%20tent")
    assert ast.literal_eval(call["bing_grounding"]["response_metadata"])["num_docs_retrieved"] == 1


def test_a_folder_of_the_tools_own_goes_first(client: Any) -> None:
    call = turns_with(client, "fabric_dataagent").call("fabric_dataagent", {"query": "tents"})
    assert [found["title"] for found in json.loads(call["fabric_dataagent"]["output"])] == ["sales.txt"]


def test_changes_of_the_folder_are_seen(client: Any, folder: Path) -> None:
    late = folder / "late.txt"
    late.write_text("The Zephyr stove burns wood.", encoding="utf-8")
    turns = turns_with(client, "bing_grounding")
    turns.call("bing_grounding", {"query": "Zephyr stove"})
    late.unlink()
    again = turns_with(client, "sharepoint_grounding").call("sharepoint_grounding", {"query": "Zephyr stove"})
    assert "late.txt" not in again["sharepoint_grounding"]["output"]


def test_a_query_that_is_missing_is_an_output(client: Any) -> None:
    call = turns_with(client, "azure_ai_search").call("azure_ai_search", {})
    assert "'query' is missing" in call["azure_ai_search"]["output"]


def test_citations_arrive_in_the_stream(client: Any) -> None:
    turns = turns_with(client, "azure_ai_search")
    body = turn(turns.agent_id, 'call azure_ai_search {"query": "Alpine tent"}')
    events = stream(client, "/threads/runs", body)
    texts = [b["delta"]["content"][0]["text"] for n, b in events if n == "thread.message.delta"]
    marks = [text for text in texts if text.get("annotations")]
    assert marks[0]["value"] == "【3:0†source】"
    assert marks[0]["annotations"][0]["url_citation"]["title"] == "tents.md"


def test_without_a_folder_the_run_fails_and_says_how_to_give_one(start: Any) -> None:
    with start(rules_for("x")).http() as client:
        agent_id = agent(client, tools=[{"type": "azure_ai_search"}])
        run = wait_run(client, post(client, "/threads/runs", turn(agent_id, "hi")))
    assert run["last_error"]["code"] == "unsupported_tool"
    assert "--search-folder" in run["last_error"]["message"]
