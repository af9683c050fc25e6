"""Uploads, vector stores and batches that are waited for."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_tasks.client.polling import polls, run_limit
from agent_tasks.errors import BadRequestError, NotReadyError, TransportError
from tests.client.conftest import Network
from tests.client.test_files import FILE
from tests.client.test_operations import BATCH, STORE, STORE_FILE


def ok(body: dict[str, Any], **fields: Any) -> httpx.Response:
    return httpx.Response(200, json={**body, **fields})


@pytest.mark.parametrize("thing", ["vector_stores", "vector_store_files", "vector_store_file_batches"])
async def test_creating_waits_until_it_is_in(network: Network, waits: list[float], thing: str) -> None:
    body, arguments = {
        "vector_stores": (STORE, ()),
        "vector_store_files": (STORE_FILE, ("vs_1",)),
        "vector_store_file_batches": (BATCH, ("vs_1",)),
    }[thing]
    network.answers = [ok(body, status="in_progress"), ok(body, status="in_progress"), ok(body)]
    made = await getattr(network.client(), thing).create_and_poll(*arguments, poll_interval=2)
    assert made.status == "completed"
    assert waits == [2, 3]
    assert network.requests[-1].url.path.endswith(made.id)


async def test_what_takes_too_long_is_named(network: Network, waits: list[float]) -> None:
    network.answers = [ok(STORE, status="in_progress")]
    with pytest.raises(NotReadyError, match=r"/vector_stores/vs_1 was not ready within 30 s") as caught:
        await network.client().vector_stores.create_and_poll(name="n", deadline=30)
    assert caught.value.retryable
    assert sum(waits) == pytest.approx(30)


async def test_upload_waits_until_the_file_is_processed(network: Network) -> None:
    network.answers = [ok(FILE, status="pending"), ok(FILE, status="running"), ok(FILE, status="processed")]
    file = await network.client().files.upload_and_poll(b"x", "a.txt")
    assert file.status == "processed"


async def test_batch_of_uploads(network: Network, tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"b")

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/files"):
            name = "a" if b'filename="a.txt"' in request.content else "b"
            return ok(FILE, id=f"assistant-{name}")
        return ok(BATCH)

    network.answers = [answer]
    batches = network.client().vector_store_file_batches
    await batches.upload_and_poll("vs_1", [(b"a", "a.txt"), tmp_path / "b.txt"])
    assert b'"file_ids":["assistant-a","assistant-b"]' in network.requests[-1].content


async def test_uploads_that_are_of_no_use_are_deleted(network: Network) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "DELETE":
            return httpx.Response(200, json={"id": "assistant-1", "object": "file", "deleted": True})
        if "vector_stores" in request.url.path:
            return httpx.Response(400, json={"error": {"code": "unsupported_file", "message": "no"}})
        return ok(FILE)

    network.answers = [answer]
    with pytest.raises(BadRequestError, match="unsupported_file"):
        await network.client().vector_store_files.upload_and_poll("vs_1", b"x", "a.csv")
    assert network.requests[-1].method == "DELETE"


async def test_uploads_that_may_be_in_use_are_kept(network: Network) -> None:
    network.answers = [ok(FILE), httpx.ReadTimeout("slow")]
    with pytest.raises(TransportError) as caught:
        await network.client().vector_store_files.upload_and_poll("vs_1", b"x", "a.txt")
    assert caught.value.outcome_unknown
    assert [request.method for request in network.requests] == ["POST", "POST"]


def test_pauses_grow_to_a_limit_and_end_with_it() -> None:
    pauses = polls(1)
    taken = []
    while (pause := pauses.next(40)) is not None:
        taken.append(pause)
    assert taken[:6] == [1, 1.5, 2.25, 3.375, 5.0625, 7.59375]
    assert max(taken) == 8
    assert sum(taken) == pytest.approx(40, abs=0.1)
    with pytest.raises(ValueError, match="poll_interval"):
        polls(0)


def test_limit_of_a_run_is_its_own_life_unless_the_caller_says() -> None:
    assert run_limit(1000, 2800, None) == 1860
    assert run_limit(1000, None, None) == 36_000
    assert run_limit(1000, 2800, 5) == 5
