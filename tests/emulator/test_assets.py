"""Data sources: assets from mapped folders, everywhere that the schemas have them; nothing from elsewhere."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import ToolSettings, ToolSettingsError, load_tool_settings
from tests.emulator.helpers import Json, agent, get, post, turn, wait_for, wait_run

STORE = "azureml://subscriptions/1/resourcegroups/g/workspaces/w/datastores/d/paths"
NOTE = f"{STORE}/notes/delivery%20note.md"
EXACT = "azureai://accounts/a/projects/p/data/prices/versions/1.0"
TEXT = "# Delivery\n\nThe pallet came on 8 October.\n"
RULES: Json = {
    "rules": [
        {
            "when": {"message": "^read", "tool_results": False},
            "reply": {
                "tool_calls": [
                    {
                        "name": "code_interpreter",
                        "arguments": {"code": "import os; print(sorted(os.listdir('/mnt/data')))"},
                    }
                ]
            },
        },
        {"when": {"tool_results": True}, "reply": {"text": "{{ tool_results[-1] }}"}},
    ],
    "default": {"reply": {"text": "The pallet came on 8 October."}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes" / "delivery note.md").write_text(TEXT, encoding="utf-8")
    (folder / "prices.csv").write_text("oak,40\n", encoding="utf-8")
    (tmp_path / "secret.md").write_text("nobody's business", encoding="utf-8")
    return folder


@pytest.fixture
def running(service: Any, folder: Path) -> Any:
    settings = ToolSettings(assets={f"{STORE}/": folder, EXACT: folder / "prices.csv"})
    return service(rules=RULES, config=ServiceConfig(tools=settings))


@pytest.fixture
def client(running: Any) -> Iterator[httpx.Client]:
    with running.http() as http:
        yield http


def asset(uri: str = NOTE) -> Json:
    return {"type": "uri_asset", "uri": uri}


def store_of(sources: list[Json]) -> Json:
    return {
        "file_search": {"vector_stores": [{"name": "inline", "configuration": {"data_sources": sources}}]}
    }


def read(client: httpx.Client, store_id: str) -> list[Json]:
    """The files of a store, once they are read."""

    def done() -> Any:
        store = get(client, f"/vector_stores/{store_id}")
        return store["status"] == "completed" and store

    wait_for(done)
    files: list[Json] = get(client, f"/vector_stores/{store_id}/files")["data"]
    assert [file["status"] for file in files] == ["completed"] * len(files)
    return files


def test_a_store_is_created_from_an_asset(client: httpx.Client) -> None:
    store = post(client, "/vector_stores", {"name": "s", "configuration": {"data_sources": [asset()]}})
    (file,) = read(client, store["id"])
    named = get(client, f"/files/{file['id']}")
    assert (named["filename"], named["bytes"]) == ("delivery note.md", len(TEXT))
    assert list(named) == [
        *("object", "id", "purpose", "filename", "bytes", "created_at", "expires_at", "status"),
        "status_details",
    ]
    assert client.get(f"/files/{file['id']}/content").text == TEXT
    assert get(client, "/files")["data"] == [], "an asset was not uploaded by a client"


def test_an_asset_is_one_file_until_it_changes(client: httpx.Client, folder: Path) -> None:
    store = post(client, "/vector_stores", {"name": "s"})["id"]
    path = f"/vector_stores/{store}/files"
    first = post(client, path, {"data_source": asset()})["id"]
    assert post(client, path, {"data_source": asset()})["id"] == first
    (folder / "notes" / "delivery note.md").write_text("It came later.", encoding="utf-8")
    second = post(client, path, {"data_source": asset()})["id"]
    assert second != first
    assert client.get(f"/files/{second}/content").text == "It came later."


def test_an_asset_asked_for_twice_at_once_is_one_file(client: httpx.Client) -> None:
    body = {"name": "s", "configuration": {"data_sources": [asset()]}}
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: post(client, "/vector_stores", body), range(8)))
    assert len({file["id"] for store in stores for file in read(client, store["id"])}) == 1


def test_a_batch_of_assets_and_files(client: httpx.Client) -> None:
    store = post(client, "/vector_stores", {"name": "s"})["id"]
    path = f"/vector_stores/{store}/file_batches"
    batch = post(client, path, {"data_sources": [asset()]})
    done = wait_for(lambda: (now := get(client, f"{path}/{batch['id']}"))["status"] != "in_progress" and now)
    assert (done["status"], done["file_counts"]["completed"]) == ("completed", 1)


@pytest.mark.parametrize("place", ["agent", "thread", "run", "thread of a run"])
def test_an_inline_store_is_really_created(client: httpx.Client, place: str) -> None:
    resources = store_of([asset()])
    tools = [{"type": "file_search"}]
    question: Json = {"messages": [{"role": "user", "content": "When did the pallet come?"}]}
    where: dict[str, Json] = {"agent": {}, "thread": {}, "run": {}, "thread of a run": {}}
    where[place] = {"tool_resources": resources}
    made = post(client, "/assistants", {"model": "m", "tools": tools, **where["agent"]})
    if place == "thread of a run":
        body = {"assistant_id": made["id"], "thread": {**question, **where[place]}}
        run = post(client, "/threads/runs", body)
        thread = get(client, f"/threads/{run['thread_id']}")
    else:
        thread = post(client, "/threads", {**question, **where["thread"]})
        run = post(client, f"/threads/{thread['id']}/runs", {"assistant_id": made["id"], **where["run"]})
    echoed = {"agent": made, "thread": thread, "run": run, "thread of a run": thread}[place]["tool_resources"]
    (store_id,) = echoed["file_search"]["vector_store_ids"]
    assert echoed == {"file_search": {"vector_store_ids": [store_id]}}
    assert get(client, f"/vector_stores/{store_id}")["name"] == "inline"
    run = wait_run(client, run, "completed")
    steps = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps", order="asc")["data"]
    (result,) = steps[0]["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert result["file_name"] == "delivery note.md"


def test_resources_set_later_are_created_too(client: httpx.Client) -> None:
    for path in ("/assistants", "/threads"):
        made = post(client, path, {"model": "m"} if path == "/assistants" else {})
        changed = post(client, f"{path}/{made['id']}", {"tool_resources": store_of([asset()])})
        (file,) = read(client, changed["tool_resources"]["file_search"]["vector_store_ids"][0])
        assert get(client, f"/files/{file['id']}")["filename"] == "delivery note.md"


def test_code_reads_assets_of_agents_and_messages(client: httpx.Client) -> None:
    made = post(
        client,
        "/assistants",
        {
            "model": "m",
            "tools": [{"type": "code_interpreter"}],
            "tool_resources": {"code_interpreter": {"data_sources": [asset(EXACT)]}},
        },
    )
    (file_id,) = made["tool_resources"]["code_interpreter"]["file_ids"]
    assert get(client, f"/files/{file_id}")["filename"] == "prices.csv"
    attachments = [{"data_source": asset(), "tools": [{"type": "code_interpreter"}]}]
    message = {"role": "user", "content": "read the folder", "attachments": attachments}
    thread = post(client, "/threads")
    answered = post(client, f"/threads/{thread['id']}/messages", message)
    assert answered["attachments"] == attachments
    run = post(client, f"/threads/{thread['id']}/runs", {"assistant_id": made["id"]})
    wait_run(client, run, "completed")
    said = get(client, f"/threads/{thread['id']}/messages")["data"][0]["content"][0]["text"]["value"]
    assert "'delivery note.md'" in said
    assert "'prices.csv'" in said


def test_an_attachment_is_searched(client: httpx.Client) -> None:
    attachment = {"data_source": asset(), "tools": [{"type": "file_search"}]}
    made = agent(client, tools=[{"type": "file_search"}])
    body = turn(made, "When did the pallet come?")
    body["thread"]["messages"][0]["attachments"] = [attachment]
    run = wait_run(client, post(client, "/threads/runs", body), "completed")
    steps = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps", order="asc")["data"]
    assert steps[0]["step_details"]["tool_calls"][0]["file_search"]["results"]


@pytest.mark.parametrize(
    "uri",
    [
        "azureml://elsewhere/paths/notes/delivery%20note.md",
        "file:///etc/passwd",
        "/etc/passwd",
        "https://example.com/a.md",
        f"{STORE}elsewhere/a.md",
        f"{STORE}/notes",
        f"{STORE}/notes/missing.md",
        f"{STORE}/",
        f"{STORE}/../secret.md",
        f"{STORE}/notes/../../secret.md",
        f"{STORE}/..%2Fsecret.md",
        f"{STORE}/%2e%2e/secret.md",
        f"{STORE}//etc/passwd",
        f"{STORE}/notes/./delivery%20note.md",
        f"{STORE}/notes/delivery%20note.md%00",
        f"{STORE}/linked.md",
        f"{STORE}/linked/secret.md",
        f"{STORE}/pipe.md",
        f"{STORE}/loop.md",
        f"{EXACT}/more",
        "",
    ],
)
def test_nothing_else_is_read(client: httpx.Client, folder: Path, uri: str) -> None:
    (folder / "linked.md").symlink_to(folder.parent / "secret.md")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "loop.md").symlink_to(folder / "loop.md")
    os.mkfifo(folder / "pipe.md")
    body = {"name": "s", "configuration": {"data_sources": [asset(uri)]}}
    error = post(client, "/vector_stores", body, status=400)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "asset_not_found")
    assert error["param"] == "configuration.data_sources[0].uri"
    assert "'assets' of its tools file" in error["message"]
    assert "upload the file" in error["message"]
    assert get(client, "/vector_stores")["data"] == []


def test_a_link_within_the_folder_is_followed(client: httpx.Client, folder: Path) -> None:
    (folder / "link.md").symlink_to(folder / "notes" / "delivery note.md")
    store = post(client, "/vector_stores", {"name": "s"})["id"]
    post(client, f"/vector_stores/{store}/files", {"data_source": asset(f"{STORE}/link.md")})
    assert len(read(client, store)) == 1


@pytest.mark.parametrize(
    ("method_path", "body", "param"),
    [
        ("/threads", {"tool_resources": store_of([asset("x://y")])},
         "tool_resources.file_search.vector_stores[0].configuration.data_sources[0].uri"),
        ("/assistants", {"model": "m", "tool_resources": {"code_interpreter": {"data_sources": [asset("x://y")]}}},
         "tool_resources.code_interpreter.data_sources[0].uri"),
        ("/threads", {"messages": [{"role": "user", "content": "a", "attachments": [
            {"data_source": asset("x://y"), "tools": []}]}]},
         "messages[0].attachments[0].data_source.uri"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place(client: httpx.Client, method_path: str, body: Json, param: str) -> None:
    assert post(client, method_path, body, status=400)["error"]["param"] == param


def test_one_store_only(client: httpx.Client) -> None:
    (described,) = store_of([asset()])["file_search"]["vector_stores"]
    store = post(client, "/vector_stores", {"name": "s"})["id"]
    for search in (
        {"vector_stores": [described, described]},
        {"vector_stores": [described], "vector_store_ids": [store]},
    ):
        error = post(client, "/threads", {"tool_resources": {"file_search": search}}, status=400)["error"]
        assert error["message"] == "Only one vector store is allowed, but got 2."
        assert error["param"] == "tool_resources.file_search.vector_stores"
    assert len(get(client, "/vector_stores")["data"]) == 1


def test_too_many_and_malformed_sources_are_refused(service: Any) -> None:
    loose = service(rules=RULES, config=ServiceConfig(strict=False))
    with loose.http() as client:
        many = {"name": "s", "configuration": {"data_sources": [asset()] * 501}}
        error = post(client, "/vector_stores", many, status=400)["error"]
        assert error["code"] == "array_above_max_length"
        for wrong in (
            "text",
            {"type": "uri_asset"},
            {"type": "other", "uri": "a"},
            {"type": "uri_asset", "uri": 5},
        ):
            search = {"vector_stores": [{"name": "s", "configuration": {"data_sources": [wrong]}}]}
            post(client, "/threads", {"tool_resources": {"file_search": search}}, status=400)
        for stores in (["text"], [{"name": "s"}], [{"name": "s", "configuration": {"data_sources": {}}}]):
            post(
                client, "/threads", {"tool_resources": {"file_search": {"vector_stores": stores}}}, status=400
            )


def test_data_sources_in_what_is_the_clients_own_are_left_alone(client: httpx.Client) -> None:
    parameters = {"type": "object", "properties": {"data_sources": {"type": "array"}}}
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {**parameters, "data_source": asset("x://y")}},
    }
    made = post(client, "/assistants", {"model": "m", "tools": [tool]})
    assert made["tools"][0]["function"]["parameters"]["data_source"] == asset("x://y")


def test_assets_survive_a_restart_and_leave_nothing_over(service: Any, folder: Path, tmp_path: Path) -> None:
    config = ServiceConfig(tools=ToolSettings(assets={STORE: folder}))
    first = service(rules=RULES, config=config, data_dir=tmp_path / "data")
    with first.http() as client:
        store = post(client, "/vector_stores", {"name": "s", "configuration": {"data_sources": [asset()]}})
        (file,) = read(client, store["id"])
        client.delete(f"/vector_stores/{store['id']}")
    first.stop()
    second = service(rules=RULES, config=config, data_dir=tmp_path / "data")
    with second.http() as client:
        assert client.get(f"/files/{file['id']}/content").text == TEXT
        store = post(client, "/vector_stores", {"name": "s", "configuration": {"data_sources": [asset()]}})
        assert [again["id"] for again in read(client, store["id"])] == [file["id"]]
        client.delete(f"/vector_stores/{store['id']}")
    verdict = httpx.get(second.endpoint.partition("/api/")[0] + "/_emulator/verdict").json()
    assert verdict["left_over"]["details"] == []


def test_the_tools_file_maps_paths_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    path = tmp_path / "tools.yaml"
    path.write_text(json.dumps({"assets": {"azureml://x/": "./data"}}), encoding="utf-8")
    assert load_tool_settings(path).assets == {"azureml://x/": tmp_path / "data"}
    path.write_text(json.dumps({"assets": {"azureml://x/": "./gone"}}), encoding="utf-8")
    with pytest.raises(ToolSettingsError, match=r"assets: .*gone, which 'azureml://x/' stands for"):
        load_tool_settings(path)
