"""Files, vector stores, ingestion, retrieval in runs, citations."""

from __future__ import annotations

from typing import Any

import httpx

from agents_emulator.models import ChatRequest, Finished, TextDelta
from tests.emulator.helpers import Json, agent, get, names, post, stream, turn, upload, wait_for, wait_run
from tests.support.service import RunningService

CONTENT = "step_details.tool_calls[*].file_search.results[*].content"
INVOICE = b"Invoice 4711\n\nThe total of invoice 4711 from Nordwind GmbH is 1,284.50 EUR, due on 1 March.\n"
LETTER = (
    b"Letter\n\nWe thank you for the delivery of twelve garden chairs and look forward to the next order.\n"
)
QUESTION = "What is the total of invoice 4711 from Nordwind?"


def filled_store(client: httpx.Client, **files: bytes) -> Json:
    """A vector store of these files (name and extension joined by two underscores), read completely."""
    file_ids = [upload(client, name.replace("__", "."), content) for name, content in files.items()]
    store = post(client, "/vector_stores", {"name": "docs", "file_ids": file_ids})
    return read_store(client, store["id"])


def read_store(client: httpx.Client, store_id: str) -> Json:
    store: Json = wait_for(
        lambda: (found := get(client, f"/vector_stores/{store_id}"))["status"] == "completed" and found
    )
    return store


def searching_agent(client: httpx.Client, *store_ids: str, **options: Any) -> str:
    resources = {"file_search": {"vector_store_ids": list(store_ids)}} if store_ids else {}
    tool = {"type": "file_search", **({"file_search": options} if options else {})}
    return agent(client, tools=[tool], tool_resources=resources)


def test_a_store_counts_its_files_and_bytes(shared: RunningService) -> None:
    with shared.http() as client:
        created = post(client, "/vector_stores", {"file_ids": [upload(client, "a.txt", INVOICE)]})
        assert created["status"] == "in_progress"
        assert created["file_counts"]["in_progress"] == 1
        store = read_store(client, created["id"])
    assert store["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 0, "cancelled": 0, "total": 1}
    assert store["usage_bytes"] > 0


def test_an_unreadable_and_an_empty_file_fail_and_stop_nothing_else(shared: RunningService) -> None:
    with shared.http() as client:
        good, broken, empty = (
            upload(client, "good.txt", INVOICE),
            upload(client, "broken.pdf", b"%PDF-1.7 no more than a header"),
            upload(client, "empty.txt", b""),
        )
        store = post(client, "/vector_stores", {})
        path = f"/vector_stores/{store['id']}/file_batches"
        batch = post(client, path, {"file_ids": [good, broken, empty]})
        assert batch["object"] == "vector_store.file_batch"
        assert batch["id"].startswith("vsfb_")
        assert len(batch["id"]) == 37
        done = wait_for(
            lambda: (found := get(client, f"{path}/{batch['id']}"))["status"] != "in_progress" and found
        )
        failed = get(client, f"{path}/{batch['id']}/files", filter="failed")["data"]
    assert done["status"] == "completed"
    assert done["file_counts"] == {"in_progress": 0, "completed": 1, "failed": 2, "cancelled": 0, "total": 3}
    assert {file["id"] for file in failed} == {broken, empty}
    assert {file["last_error"]["code"] for file in failed} == {"invalid_file"}
    assert all(file["last_error"]["message"] for file in failed)


def test_a_run_searches_cites_and_reports_what_it_found(service: Any) -> None:
    answer = "The total of invoice 4711 from Nordwind GmbH is 1,284.50 EUR."
    with service(rules={"default": {"reply": {"text": answer}}}).http() as client:
        store = filled_store(client, invoice__md=INVOICE, letter__txt=LETTER)
        files = {f["filename"]: f["id"] for f in get(client, "/files")["data"]}
        run = post(client, "/threads/runs", turn(searching_agent(client, store["id"]), QUESTION))
        wait_run(client, run, "completed")
        path = f"/threads/{run['thread_id']}"
        steps = f"{path}/runs/{run['id']}/steps"
        plain = get(client, steps, order="asc")["data"]
        full = get(client, steps, order="asc", **{"include[]": CONTENT})["data"]
        single = get(client, f"{steps}/{plain[0]['id']}", **{"include[]": CONTENT})
        text = get(client, f"{path}/messages")["data"][0]["content"][0]["text"]
    results = plain[0]["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert [step["type"] for step in plain] == ["tool_calls", "message_creation"]
    assert list(results[0]) == ["file_id", "file_name", "score", "attributes"]
    assert results[0]["file_name"] == "invoice.md"
    found = full[0]["step_details"]["tool_calls"][0]["file_search"]["results"][0]["content"]
    assert "1,284.50 EUR" in found[0]["text"]
    assert single == full[0]
    annotation = text["annotations"][0]
    assert annotation["file_citation"] == {"file_id": files["invoice.md"]}
    assert annotation["text"] == "【4:0†source】"
    assert text["value"][annotation["start_index"] : annotation["end_index"]] == annotation["text"]
    assert text["value"].startswith(answer)


def test_a_search_streams_before_the_answer(service: Any) -> None:
    answer = "The total of invoice 4711 from Nordwind GmbH is 1,284.50 EUR."
    with service(rules={"default": {"reply": {"text": answer}}}).http() as client:
        store = filled_store(client, invoice__md=INVOICE)
        events = stream(client, "/threads/runs", turn(searching_agent(client, store["id"]), QUESTION))
    assert names(events)[4:10] == [
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.run.step.delta",
        "thread.run.step.completed",
        "thread.run.step.created",
        "thread.run.step.in_progress",
    ]
    deltas = [body["delta"]["content"][0]["text"] for name, body in events if name == "thread.message.delta"]
    cited = [delta for delta in deltas if delta.get("annotations")]
    assert cited[0]["value"] == "【4:0†source】"
    assert cited[0]["annotations"][0]["index"] == 0


def test_the_model_sees_what_was_found(service: Any) -> None:
    asked: list[ChatRequest] = []

    class Reader:
        name, context_tokens = "reader", 300

        async def generate(self, request: ChatRequest) -> Any:
            asked.append(request)
            yield TextDelta("ok")
            yield Finished((), "stop", 1, 1)

        async def aclose(self) -> None:
            return

    with service(model=Reader()).http() as client:
        store = filled_store(client, invoice__md=INVOICE)
        body = turn(searching_agent(client, store["id"], max_num_results=1), QUESTION)
        wait_run(client, post(client, "/threads/runs", body), "completed")
        unsearched = turn(searching_agent(client, store["id"]), QUESTION, tool_choice="none")
        wait_run(client, post(client, "/threads/runs", unsearched), "completed")
    assert "1,284.50 EUR" in asked[0].instructions
    assert "invoice.md" in asked[0].instructions
    assert asked[1].instructions == ""


def test_an_answer_in_json_gets_no_citations(service: Any) -> None:
    rules = {"default": {"reply": {"json": {"total": "1,284.50 EUR of invoice 4711 from Nordwind GmbH"}}}}
    schema = {"type": "json_schema", "json_schema": {"name": "T", "schema": {"type": "object"}}}
    with service(rules=rules).http() as client:
        store = filled_store(client, invoice__md=INVOICE)
        body = turn(searching_agent(client, store["id"]), QUESTION, response_format=schema)
        run = post(client, "/threads/runs", body)
        wait_run(client, run, "completed")
        text = get(client, f"/threads/{run['thread_id']}/messages")["data"][0]["content"][0]["text"]
    assert "†" not in text["value"]
    assert text["annotations"] == []


def test_an_attachment_is_searched_through_the_threads_own_store(shared: RunningService) -> None:
    with shared.http() as client:
        file_id = upload(client, "invoice.md", INVOICE)
        attachment = {"file_id": file_id, "tools": [{"type": "file_search"}]}
        message = {"role": "user", "content": QUESTION, "attachments": [attachment]}
        body = {"assistant_id": searching_agent(client), "thread": {"messages": [message]}}
        run = post(client, "/threads/runs", body)
        wait_run(client, run, "completed")
        thread = get(client, f"/threads/{run['thread_id']}")
        steps = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps", order="asc")["data"]
        echoed = get(client, f"/threads/{run['thread_id']}/messages", order="asc")["data"][0]
    assert len(thread["tool_resources"]["file_search"]["vector_store_ids"]) == 1
    results = steps[0]["step_details"]["tool_calls"][0]["file_search"]["results"]
    assert [result["file_id"] for result in results] == [file_id]
    assert echoed["attachments"] == [attachment]


def test_a_deleted_file_is_no_longer_found(service: Any) -> None:
    with service().http() as client:
        store = filled_store(client, invoice__md=INVOICE, letter__txt=LETTER)
        files = {f["filename"]: f["id"] for f in get(client, "/files")["data"]}
        path = f"/vector_stores/{store['id']}/files/{files['invoice.md']}"
        assert client.delete(path).json()["object"] == "vector_store.file.deleted"
        assert client.delete(f"/files/{files['letter.txt']}").json()["deleted"] is True
        assert get(client, f"/vector_stores/{store['id']}")["file_counts"]["total"] == 0
        run = post(client, "/threads/runs", turn(searching_agent(client, store["id"]), QUESTION))
        wait_run(client, run, "completed")
        steps = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps", order="asc")["data"]
    assert steps[0]["step_details"]["tool_calls"][0]["file_search"]["results"] == []


def test_a_run_over_a_deleted_store_fails_and_names_it(shared: RunningService) -> None:
    with shared.http() as client:
        store = post(client, "/vector_stores", {})
        agent_id = searching_agent(client, store["id"])
        client.delete(f"/vector_stores/{store['id']}")
        failed = wait_run(client, post(client, "/threads/runs", turn(agent_id, QUESTION)))
    assert failed["last_error"]["code"] == "vector_store_not_found"
    assert store["id"] in failed["last_error"]["message"]


def test_a_data_source_in_a_workspace_is_refused_clearly(shared: RunningService) -> None:
    source = {"uri": "azureml://somewhere/product_info_1.md", "type": "uri_asset"}
    with shared.http() as client:
        store = post(client, "/vector_stores", {})
        path = f"/vector_stores/{store['id']}/file_batches"
        error = post(client, path, {"data_sources": [source]}, status=400)["error"]
    assert "azureml://somewhere/product_info_1.md" in error["message"]


def test_at_most_500_files_a_batch(shared: RunningService) -> None:
    with shared.http() as client:
        store = post(client, "/vector_stores", {})
        path = f"/vector_stores/{store['id']}/file_batches"
        error = post(client, path, {"file_ids": [f"assistant-{n}" for n in range(501)]}, status=400)["error"]
        get(client, f"{path}/vsfb_none", status=404)
    assert error["code"] == "array_above_max_length"


def test_the_expiry_of_a_store_counts_from_its_last_use(shared: RunningService) -> None:
    with shared.http() as client:
        store = post(client, "/vector_stores", {"expires_after": {"anchor": "last_active_at", "days": 2}})
        changed = post(client, f"/vector_stores/{store['id']}", {"name": "n", "metadata": {"a": "b"}})
    assert store["expires_at"] == store["last_active_at"] + 2 * 86400
    assert (changed["name"], changed["metadata"]) == ("n", {"a": "b"})
    assert changed["expires_after"] == {"anchor": "last_active_at", "days": 2}


def test_chunking_is_echoed_and_limited(shared: RunningService) -> None:
    with shared.http() as client:
        store = post(client, "/vector_stores", {})
        path = f"/vector_stores/{store['id']}/files"
        file_id = upload(client, "a.txt", INVOICE)
        sizes = {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 100}
        strategy = {"type": "static", "static": sizes}
        added = post(client, path, {"file_id": file_id, "chunking_strategy": strategy})
        sizes["chunk_overlap_tokens"] = 101
        post(client, path, {"file_id": file_id, "chunking_strategy": strategy}, status=400)
        post(client, path, {"file_id": "assistant-unknown"}, status=404)
    assert added["chunking_strategy"]["static"]["max_chunk_size_tokens"] == 200
