"""Files, vector stores and containers below `/openai/v1`."""

from __future__ import annotations

import re

from tests.emulator.helpers import needs_recordings, recording, wait_for
from tests.emulator.responses.helpers import Wire


def _upload(api: Wire, name: str, content: bytes) -> str:
    response = api.http.post(
        "/openai/v1/files", files={"file": (name, content)}, data={"purpose": "assistants"}
    )
    assert response.status_code == 200, response.text
    identifier: str = response.json()["id"]
    return identifier


def test_files_are_the_same_on_both_wires(api: Wire) -> None:
    file_id = _upload(api, "a.txt", b"one")
    assert api.http.get(f"/openai/v1/files/{file_id}/content").content == b"one"
    assert api.call("GET", f"/files/{file_id}", **{"api-version": "v1"})["filename"] == "a.txt"
    page = api.call("GET", "/openai/v1/files", limit=1)
    assert page["data"][0]["id"] == page["last_id"] == file_id
    assert api.call("DELETE", f"/openai/v1/files/{file_id}")["deleted"] is True
    api.call("GET", f"/openai/v1/files/{file_id}", status=404)


@needs_recordings
def test_a_refused_file_type_answers_as_recorded(api: Wire) -> None:
    create, upload, add, delete = recording("v2/unsupported_file_type_400.json")
    store = api.call("POST", "/openai/v1/vector_stores", create["RequestBody"])
    assert list(store) == list(create["ResponseBody"])
    file_id = _upload(api, "sales_data.csv", b"a,b\n")
    path = f"/openai/v1/vector_stores/{store['id']}"
    refused = api.call("POST", f"{path}/files", {"file_id": file_id}, status=add["StatusCode"])
    assert refused == add["ResponseBody"]
    assert api.call("DELETE", path) == {**delete["ResponseBody"], "id": store["id"]}
    assert upload["StatusCode"] == 200


def test_a_store_is_filled_by_batches_and_searched(api: Wire) -> None:
    store = api.call("POST", "/openai/v1/vector_stores", {"name": "s", "metadata": {"k": "v"}})
    path = f"/openai/v1/vector_stores/{store['id']}"
    files = [_upload(api, f"{name}.md", f"All about {name}.".encode()) for name in ("oak", "elm")]
    batch = api.call("POST", f"{path}/file_batches", {"file_ids": files})
    done = wait_for(
        lambda: (
            (now := api.call("GET", f"{path}/file_batches/{batch['id']}"))["status"] == "completed" and now
        )
    )
    assert done["file_counts"]["completed"] == 2
    assert len(api.call("GET", f"{path}/files")["data"]) == 2
    found = api.call("POST", f"{path}/search", {"query": "oak", "max_num_results": 1})
    assert found["object"] == "vector_store.search_results.page"
    assert found["data"][0]["filename"] == "oak.md"
    assert found["data"][0]["content"] == [{"type": "text", "text": "All about oak."}]


def test_a_container_holds_files(api: Wire) -> None:
    uploaded = _upload(api, "in.txt", b"inside")
    container = api.call("POST", "/openai/v1/containers", {"name": "c", "file_ids": [uploaded]})
    assert re.fullmatch(r"cntr_[0-9a-f]{48}", container["id"])
    path = f"/openai/v1/containers/{container['id']}"
    added = api.http.post(f"{path}/files", files={"file": ("b.txt", b"other")}).json()
    assert re.fullmatch(r"cfile_[0-9a-f]{32}", added["id"])
    assert added["path"] == "/mnt/data/b.txt"
    listed = api.call("GET", f"{path}/files", order="asc")["data"]
    contents = [api.http.get(f"{path}/files/{file['id']}/content").content for file in listed]
    assert contents == [b"inside", b"other"]
    assert api.call("DELETE", f"{path}/files/{added['id']}")["object"] == "container.file.deleted"
    assert api.call("DELETE", path)["object"] == "container.deleted"
    api.call("GET", path, status=404)
