"""What is sent again, when, and what never is."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from agent_tasks.client import RetryPolicy
from agent_tasks.errors import (
    BadRequestError,
    InvalidAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
    ServiceError,
    TransportError,
)
from tests.client.conftest import AGENT, RUN, Network, Pieces

OK = httpx.Response(200, json=AGENT)
BROKEN: list[Any] = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.RemoteProtocolError("closed"),
    httpx.Response(500),
    httpx.Response(502, text="<html>bad gateway</html>"),
    httpx.Response(503),
    httpx.Response(504, headers={"Retry-After": "1"}),
]
NOTHING_DONE: list[Any] = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("busy"),
    httpx.Response(408),
    httpx.Response(429),
    httpx.Response(503, headers={"Retry-After": "2"}),
    httpx.Response(409, headers={"Retry-After": "2"}),
]


def label(answer: Any) -> str:
    return str(answer.status_code) if isinstance(answer, httpx.Response) else type(answer).__name__


@pytest.mark.parametrize("failure", BROKEN + NOTHING_DONE, ids=label)
async def test_reading_is_repeated_after_every_passing_failure(network: Network, failure: Any) -> None:
    network.answers = [failure, failure, OK]
    assert (await network.client().agents.get("asst_1")).id == "asst_1"
    assert len(network.requests) == 3


@pytest.mark.parametrize("failure", BROKEN, ids=label)
async def test_creating_is_not_repeated_while_its_outcome_is_unknown(network: Network, failure: Any) -> None:
    network.answers = [failure, OK]
    with pytest.raises((TransportError, ServerError)) as caught:
        await network.client().agents.create(model="m")
    assert caught.value.outcome_unknown
    assert caught.value.retryable
    assert len(network.requests) == 1


@pytest.mark.parametrize("failure", NOTHING_DONE, ids=label)
async def test_creating_is_repeated_where_nothing_was_done(network: Network, failure: Any) -> None:
    network.answers = [failure, OK]
    assert (await network.client().agents.create(model="m")).id == "asst_1"
    assert len(network.requests) == 2


@pytest.mark.parametrize("failure", NOTHING_DONE, ids=label)
async def test_creating_that_never_got_through_has_a_known_outcome(network: Network, failure: Any) -> None:
    network.answers = [failure]
    with pytest.raises((TransportError, ServiceError)) as caught:
        await network.client().agents.create(model="m")
    assert not getattr(caught.value, "outcome_unknown", False)
    assert len(network.requests) == 4


async def test_answer_cut_off_after_its_head_leaves_creating_unknown(network: Network) -> None:
    network.answers = [lambda _: httpx.Response(200, stream=Pieces(b'{"id"', httpx.ReadError("reset")))]
    with pytest.raises(TransportError) as caught:
        await network.client().threads.create()
    assert caught.value.outcome_unknown
    assert len(network.requests) == 1


async def test_every_creating_request_is_marked_so(network: Network) -> None:
    network.answers = [httpx.ReadTimeout("slow")]
    client = network.client()
    for create in (
        client.agents.create(model="m"),
        client.threads.create(),
        client.messages.create("t", role="user", content="x"),
        client.runs.create("t", assistant_id="a"),
        client.runs.create_thread_and_run(assistant_id="a"),
        client.runs.submit_tool_outputs("t", "r", [{"tool_call_id": "c", "output": "x"}]),
        client.runs.stream("t", assistant_id="a").__aenter__(),
        client.runs.stream_thread_and_run(assistant_id="a").__aenter__(),
        client.runs.submit_tool_outputs_stream("t", "r", []).__aenter__(),
        client.files.upload(b"x", "x.txt"),
        client.vector_stores.create(),
        client.vector_store_files.create("v", file_id="f"),
        client.vector_store_file_batches.create("v", file_ids=["f"]),
    ):
        sent = len(network.requests)
        with pytest.raises(TransportError) as caught:
            await create
        assert caught.value.outcome_unknown
        assert len(network.requests) == sent + 1


async def test_changes_that_can_be_sent_twice_are_repeated(network: Network) -> None:
    client = network.client()
    for answer, call in (
        (AGENT, lambda: client.agents.update("asst_1", name="n")),
        (RUN, lambda: client.runs.cancel("thread_1", "run_1")),
        (RUN, lambda: client.runs.update("thread_1", "run_1", metadata={"a": "b"})),
    ):
        network.answers = [httpx.ReadTimeout("slow"), httpx.Response(200, json=answer)]
        assert (await call()).id == answer["id"]


async def test_delete_that_finds_nothing_at_a_repeated_try_is_done(network: Network) -> None:
    network.answers = [httpx.ReadTimeout("slow"), httpx.Response(404)]
    status = await network.client().agents.delete("asst_1")
    assert (status.id, status.deleted, status.object) == ("asst_1", True, "assistant.deleted")


async def test_delete_that_finds_nothing_at_first_is_not_found(network: Network) -> None:
    network.answers = [httpx.Response(404)]
    with pytest.raises(NotFoundError):
        await network.client().agents.delete("asst_1")


async def test_mistakes_are_not_repeated(network: Network) -> None:
    network.answers = [httpx.Response(400, json={"error": {"message": "no"}})]
    with pytest.raises(BadRequestError) as caught:
        await network.client().agents.get("asst_1")
    assert not caught.value.retryable
    assert len(network.requests) == 1


async def test_attempts_are_bounded(network: Network, waits: list[float]) -> None:
    network.answers = [httpx.Response(500)]
    with pytest.raises(ServerError):
        await network.client(retry=RetryPolicy(attempts=3, initial_delay=0.5, max_delay=8)).agents.get("a")
    assert len(network.requests) == 3
    assert len(waits) == 2
    assert all(0.25 <= wait <= 8 for wait in waits)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "2500", "Retry-After": "60"}, 2.5),
        ({"Retry-After": "0"}, 0),
        (
            {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            30,
        ),
    ],
)
async def test_the_wait_that_is_asked_for_is_kept(
    network: Network, waits: list[float], headers: dict[str, str], seconds: float
) -> None:
    network.answers = [httpx.Response(429, headers=headers), OK]
    await network.client().agents.get("asst_1")
    assert seconds <= waits[0] <= seconds + 1


async def test_http_date_without_a_clock_of_the_service_counts_from_now(
    network: Network, waits: list[float]
) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    network.answers = [httpx.Response(429, headers={"Retry-After": at}), OK]
    await network.client().agents.get("asst_1")
    assert 15 < waits[0] <= 21


@pytest.mark.parametrize("nonsense", ["soon", "nan", "inf", ""])
async def test_nonsense_in_retry_after_is_passed_over(
    network: Network, waits: list[float], nonsense: str
) -> None:
    network.answers = [httpx.Response(429, headers={"Retry-After": nonsense}), OK]
    await network.client().agents.get("asst_1")
    assert waits[0] <= 30


async def test_wait_beyond_the_total_time_is_left_to_the_caller(network: Network, waits: list[float]) -> None:
    network.answers = [httpx.Response(429, headers={"Retry-After": "600"})]
    with pytest.raises(RateLimitedError) as caught:
        await network.client(retry=RetryPolicy(total_time=60)).agents.get("asst_1")
    assert caught.value.retry_after == 600
    assert waits == []


async def test_redirect_is_not_followed(network: Network) -> None:
    network.answers = [httpx.Response(307, headers={"Location": "https://elsewhere.example/"})]
    with pytest.raises(InvalidAnswerError, match="redirected"):
        await network.client().agents.get("asst_1")
    assert len(network.requests) == 1


@pytest.mark.parametrize("content", [b"<html>sign in</html>", b"[]", b"", b'{"object":"assistant"}'])
async def test_answer_of_something_else_is_refused(network: Network, content: bytes) -> None:
    network.answers = [httpx.Response(200, content=content)]
    with pytest.raises(InvalidAnswerError) as caught:
        await network.client().agents.create(model="m")
    assert caught.value.outcome_unknown
    assert len(network.requests) == 1


def test_policy_without_attempts_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one attempt"):
        RetryPolicy(attempts=0)
