"""Faults of the successor's wire: answers that are lost, late lists, effects behind errors."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.emulator.helpers import Json, wait_for
from tests.emulator.responses.helpers import MODEL, Wire, text_of

CREATE = {"operation": "responses.create"}


@pytest.fixture(autouse=True)
def no_faults(api: Wire) -> Iterator[None]:
    """Take the faults back after each test."""
    yield
    api.faults()


def _found(api: Wire, conversation: str) -> list[Json]:
    found: list[Json] = api.call("GET", "/openai/v1/responses", conversation_id=conversation)["data"]
    return found


def _post(api: Wire, **fields: object) -> httpx.Response:
    return api.http.post("/openai/v1/responses", json={"model": MODEL, **fields})


def test_a_lost_answer_leaves_a_response(api: Wire) -> None:
    conversation = api.conversation("hello")
    api.faults({"when": CREATE, "then": {"lose_answer": True}, "count": 1})
    with pytest.raises(httpx.TransportError):
        _post(api, conversation=conversation)
    [found] = _found(api, conversation)
    assert text_of(found) == "You said hello."


def test_the_gateway_gives_up_while_the_work_goes_on(api: Wire) -> None:
    conversation = api.conversation("slow")
    api.faults({"when": CREATE, "then": {"gateway_timeout": 0.2}, "count": 1})
    answer = _post(api, conversation=conversation)
    assert answer.status_code == 408
    assert answer.json() == {"error": {"code": "Timeout", "message": "The operation was timeout."}}
    [found] = _found(api, conversation)
    assert found["status"] == "in_progress"
    assert _post(api, conversation=conversation).json()["error"]["code"] == "conversation_locked"
    assert text_of(api.ended(found["id"])) == "At last."


def test_an_error_after_the_effect(api: Wire) -> None:
    conversation = api.conversation("hello")
    api.faults({"when": CREATE, "then": {"status": 500, "after_effect": True}, "count": 1})
    assert _post(api, conversation=conversation, background=True).status_code == 500
    [found] = _found(api, conversation)
    assert text_of(api.ended(found["id"])) == "You said hello."


def test_an_error_after_the_effect_of_a_stream(api: Wire) -> None:
    conversation = api.conversation("hello")
    api.faults({"when": CREATE, "then": {"status": 503, "after_effect": True}, "count": 1})
    assert _post(api, conversation=conversation, stream=True).status_code == 503
    wait_for(lambda: _found(api, conversation)[0]["status"] == "completed")


def test_a_list_that_shows_late(api: Wire) -> None:
    conversation = api.conversation("hello")
    api.faults({"when": CREATE, "then": {"listed_after": 2}, "count": 1})
    made = _post(api, conversation=conversation).json()
    assert _found(api, conversation) == []
    assert api.get(made["id"])["status"] == "completed"
    started = time.monotonic()
    wait_for(lambda: _found(api, conversation))
    assert time.monotonic() - started < 4


def test_a_list_of_conversations_that_shows_late(api: Wire) -> None:
    when = {"method": "POST", "path": "/openai/v1/conversations"}
    api.faults({"when": when, "then": {"listed_after": 2}, "count": 1})
    made = api.conversation()

    def listed() -> bool:
        return made in [one["id"] for one in api.call("GET", "/openai/v1/conversations")["data"]]

    assert not listed()
    wait_for(listed)


def test_throttling_before_and_within(api: Wire) -> None:
    api.faults({"when": CREATE, "then": {"status": 429, "retry_after": 3}, "count": 1})
    answer = _post(api, input="hello")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    api.faults({"when": CREATE, "then": {"run": {"outcome": "throttled"}}, "count": 1})
    failed = _post(api, input="hello").json()
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "rate_limit_exceeded"


def test_a_broken_stream_is_taken_up(api: Wire) -> None:
    api.faults({"when": CREATE, "then": {"break_stream": {"after_events": 3}}, "count": 1})
    body = {"model": MODEL, "input": "hello", "stream": True, "background": True}
    pieces: list[str] = []
    opened = api.http.stream("POST", "/openai/v1/responses", json=body)
    with pytest.raises(httpx.TransportError), opened as response:
        pieces.extend(response.iter_text())
    assert "".join(pieces).count("event: ") == 3
    [newest] = api.call("GET", "/openai/v1/responses", limit=1)["data"]
    rest = api.stream("GET", f"/openai/v1/responses/{newest['id']}", stream="true", starting_after=2)
    assert rest[0][1]["sequence_number"] == 3
    assert rest[-1][0] == "response.completed"


@pytest.mark.parametrize(
    "then", [{"after_effect": True}, {"status": 500, "gateway_timeout": 1}, {"status": 404}]
)
def test_a_plan_that_makes_no_sense_is_refused(api: Wire, then: Json) -> None:
    plan = {"rules": [{"when": CREATE, "then": then}]}
    assert httpx.put(f"{api.running.origin}/_emulator/faults", json=plan).status_code == 400


def test_the_verdict_sees_a_request_repeated_behind_a_lost_answer(service: object) -> None:
    from tests.emulator.responses.helpers import RULES, wire

    with wire(service(rules=RULES)) as api:  # type: ignore[operator]
        mark = {"agent_tasks_key": "k" * 12, "agent_tasks_attempt": "1", "agent_tasks_round": "1"}
        api.faults({"when": CREATE, "then": {"gateway_timeout": 0.1}, "count": 1})
        assert _post(api, input="slow", metadata=mark).status_code == 408
        assert _post(api, input="hello", metadata=mark).status_code == 200
        assert _post(api, input="hello", metadata={**mark, "agent_tasks_round": "2"}).status_code == 200
        found = api.verdict()["duplicate_effects"]
        assert (found["count"], found["details"][0]["count"]) == (1, 2)
