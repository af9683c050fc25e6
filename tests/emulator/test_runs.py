"""Runs: states and transitions, overrides, tool calls, limits."""

from __future__ import annotations

from typing import Any

import pytest

from agents_emulator.models import ChatRequest, Finished, TextDelta
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import (
    WEATHER_RULES,
    WEATHER_TOOL,
    agent,
    answer_calls,
    get,
    post,
    turn,
    wait_run,
)
from tests.support.service import RunningService

SLOW = {"default": {"reply": {"text": "Late."}, "delay": 30}}


class Listening:
    """A model that remembers what it was asked."""

    name = "listening"
    context_tokens = 500

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    async def generate(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        yield TextDelta("Heard.")
        yield Finished((), "stop", 7, 2)

    async def aclose(self) -> None:
        return


def text_of(message: dict[str, Any]) -> str:
    text: str = message["content"][0]["text"]["value"]
    return text


def test_a_run_is_answered_queued_and_ends_completed(shared: RunningService) -> None:
    with shared.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        assert run["status"] == "queued"
        assert run["started_at"] is None
        assert run["expires_at"] == run["created_at"] + 600
        done = wait_run(client, run)
        messages = get(client, f"/threads/{run['thread_id']}/messages")["data"]
    assert done["status"] == "completed"
    assert done["expires_at"] is None
    assert done["completed_at"] >= done["started_at"] >= done["created_at"]
    assert (
        done["usage"]["total_tokens"] == done["usage"]["prompt_tokens"] + done["usage"]["completion_tokens"]
    )
    assert done["usage"]["prompt_token_details"] == {"cached_tokens": 0}
    assert [message["role"] for message in messages] == ["assistant", "user"]
    assert messages[0]["run_id"] == run["id"]
    assert messages[0]["assistant_id"] == run["assistant_id"]
    assert "status" not in messages[0]


def test_one_active_run_a_thread_and_no_messages_meanwhile(service: Any) -> None:
    with service(rules=SLOW).http() as client:
        agent_id = agent(client)
        run = post(client, "/threads/runs", turn(agent_id, "hi"))
        path = f"/threads/{run['thread_id']}"
        second = post(client, f"{path}/runs", {"assistant_id": agent_id}, status=400)["error"]["message"]
        message = post(client, f"{path}/messages", {"role": "user", "content": "x"}, status=400)["error"][
            "message"
        ]
    assert second == f"Thread {run['thread_id']} already has an active run {run['id']}."
    assert message == f"Can't add messages to {run['thread_id']} while a run {run['id']} is active."


def test_cancelling_stops_the_model_and_frees_the_thread(service: Any) -> None:
    with service(rules=SLOW).http() as client:
        agent_id = agent(client)
        run = post(client, "/threads/runs", turn(agent_id, "hi"))
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        wait_run(client, run, "in_progress")
        assert post(client, f"{path}/cancel")["status"] == "cancelling"
        cancelled = wait_run(client, run, "cancelled")
        again = post(client, f"{path}/cancel", status=400)["error"]["message"]
        post(client, f"/threads/{run['thread_id']}/messages", {"role": "user", "content": "on"})
    assert cancelled["cancelled_at"] >= run["created_at"]
    assert again == "Cannot cancel run with status 'cancelled'."


def test_a_run_that_waits_for_outputs_can_be_cancelled(service: Any) -> None:
    with service(rules={"rules": WEATHER_RULES}).http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather?"))
        wait_run(client, run, "requires_action")
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        post(client, f"{path}/cancel")
        assert wait_run(client, run, "cancelled")["required_action"] is None
        assert get(client, f"{path}/steps")["data"][0]["status"] == "cancelled"


def test_parallel_calls_wait_for_exactly_their_outputs(service: Any) -> None:
    with service(rules={"rules": WEATHER_RULES}).http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather?"))
        waiting = wait_run(client, run, "requires_action")
        assert waiting["expires_at"] == run["created_at"] + 36000
        assert waiting["usage"] is None
        calls = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
        assert [call["function"]["arguments"] for call in calls] == ['{"city": "Oslo"}', '{"city": "Rome"}']
        path = f"/threads/{run['thread_id']}/runs/{run['id']}"
        body = answer_calls(waiting, '{"t": 3}', '{"t": 19}')
        for wrong in ([], body["tool_outputs"][:1], body["tool_outputs"] + body["tool_outputs"][:1]):
            refused = post(client, f"{path}/submit_tool_outputs", {"tool_outputs": wrong}, status=400)[
                "error"
            ]
            assert refused["message"].startswith("Expected tool outputs for call_ids ['call_")
        # The order of the outputs is free.
        resumed = post(client, f"{path}/submit_tool_outputs", {"tool_outputs": body["tool_outputs"][::-1]})
        assert resumed["status"] == "queued"
        assert resumed["required_action"] is None
        assert resumed["expires_at"] == run["created_at"] + 36000
        done = wait_run(client, run, "completed")
        steps = get(client, f"{path}/steps", order="asc")["data"]
        answer = get(client, f"/threads/{run['thread_id']}/messages")["data"][0]
        late = post(client, f"{path}/submit_tool_outputs", body, status=400)["error"]["message"]
    assert text_of(answer) == "3 and 19 degrees."
    assert [step["type"] for step in steps] == ["tool_calls", "message_creation"]
    outputs = [call["function"]["output"] for call in steps[0]["step_details"]["tool_calls"]]
    assert outputs == ['{"t": 3}', '{"t": 19}']
    assert steps[0]["status"] == "completed"
    assert steps[0]["expires_at"] is None
    assert done["usage"]["total_tokens"] == sum(step["usage"]["total_tokens"] for step in steps)
    assert late == 'Runs in status "completed" do not accept tool outputs.'


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            {"code": "rate_limit_exceeded", "message": "busy", "retry_after": 22},
            "rate_limit_exceeded",
            "Rate limit is exceeded. Try again in 22 seconds.",
        ),
        (
            {"code": "server_error", "message": "Sorry, something went wrong."},
            "server_error",
            "Sorry, something went wrong.",
        ),
    ],
)
def test_a_model_error_is_a_failed_run(service: Any, error: dict[str, Any], code: str, message: str) -> None:
    with service(rules={"default": {"reply": {"error": error}}}).http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        failed = wait_run(client, run)
    assert failed["status"] == "failed"
    assert failed["last_error"] == {"code": code, "message": message}
    assert failed["failed_at"] >= run["created_at"]
    assert failed["completed_at"] is None


def test_an_unexpected_failure_of_the_model_does_not_leak(service: Any) -> None:
    class Broken(Listening):
        async def generate(self, request: ChatRequest) -> Any:
            yield TextDelta("Half an ")
            raise ZeroDivisionError("secret detail")

    with service(model=Broken()).http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        failed = wait_run(client, run)
        steps = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps")["data"]
        messages = get(client, f"/threads/{run['thread_id']}/messages")["data"]
    assert failed["last_error"] == {"code": "server_error", "message": "Sorry, something went wrong."}
    assert steps[0]["status"] == "failed"
    assert text_of(messages[0]) == "Half an "


def test_the_limit_on_completion_tokens_makes_a_run_incomplete(service: Any) -> None:
    with service(rules={"default": {"reply": {"text": "word " * 50}}}).http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi", max_completion_tokens=5))
        ended = wait_run(client, run)
        answer = get(client, f"/threads/{run['thread_id']}/messages")["data"][0]
    assert ended["status"] == "incomplete"
    assert ended["incomplete_details"] == {"reason": "max_completion_tokens"}
    assert ended["usage"]["completion_tokens"] == 5
    assert len(text_of(answer)) == 20


def test_a_tool_that_is_not_executed_fails_the_run_and_says_so(shared: RunningService) -> None:
    newer = {"type": "clairvoyance", "clairvoyance": {"connection": {"id": "x"}}}
    with shared.http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[newer]), "hi"))
        failed = wait_run(client, run)
    assert failed["status"] == "failed"
    assert failed["last_error"]["code"] == "unsupported_tool"
    assert "'clairvoyance'" in failed["last_error"]["message"]


def test_a_run_can_override_its_agent(service: Any) -> None:
    model = Listening()
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    with service(model=model).http() as client:
        agent_id = agent(client, instructions="Agent.", tools=[WEATHER_TOOL], temperature=0.3)
        thread = post(client, "/threads", {"messages": [{"role": "user", "content": "one"}]})
        run = post(
            client,
            f"/threads/{thread['id']}/runs",
            {
                "assistant_id": agent_id,
                "model": "other",
                "instructions": "Run.",
                "additional_instructions": "More.",
                "additional_messages": [
                    {"role": "assistant", "content": "two"},
                    {"role": "user", "content": [{"type": "text", "text": "three"}]},
                ],
                "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
                "response_format": {"type": "json_schema", "json_schema": {"name": "N", "schema": schema}},
                "top_p": 0.5,
                "parallel_tool_calls": False,
                "metadata": {"key": "value"},
            },
        )
        done = wait_run(client, run)
    asked = model.requests[0]
    assert (run["model"], run["instructions"], run["metadata"]) == ("other", "Run.\nMore.", {"key": "value"})
    assert done["status"] == "completed"
    assert asked.model == "other"
    assert [(message.role, message.content) for message in asked.messages] == [
        ("system", "Run.\nMore."),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "three"),
    ]
    assert [tool.name for tool in asked.tools] == ["get_weather"]
    assert asked.tool_choice == "function:get_weather"
    assert (asked.response_schema, asked.schema_name) == (schema, "N")
    assert (asked.temperature, asked.top_p, asked.parallel_tool_calls) == (0.3, 0.5, False)


def test_truncation_keeps_the_last_messages(service: Any) -> None:
    model = Listening()
    with service(model=model).http() as client:
        messages = [{"role": "user", "content": f"m{n}"} for n in range(5)]
        body = {
            "assistant_id": agent(client),
            "thread": {"messages": messages},
            "truncation_strategy": {"type": "last_messages", "last_messages": 2},
        }
        wait_run(client, post(client, "/threads/runs", body))
    assert [message.content for message in model.requests[0].messages] == ["m3", "m4"]


@pytest.mark.parametrize(
    "outputs",
    [[{}], [{"tool_call_id": 3}], [{"tool_call_id": "call_x", "output": {"not": "text"}}], "text"],
)
def test_malformed_outputs_are_refused(shared: RunningService, outputs: Any) -> None:
    with shared.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
        post(client, path, {"tool_outputs": outputs}, status=400)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool_choice": {"type": "function", "function": {"name": "unknown"}}},
        {"tool_choice": "sometimes"},
        {"max_completion_tokens": 0},
        {"assistant_id": None},
        {"metadata": {"k": "v" * 513}},
        {"response_format": "yaml"},
    ],
)
def test_a_refused_run_leaves_nothing_behind(shared: RunningService, fields: dict[str, Any]) -> None:
    with shared.http() as client:
        before = get(client, "/threads")["data"]
        post(client, "/threads/runs", turn(agent(client), "hi") | fields, status=400)
        assert get(client, "/threads")["data"] == before


def test_a_required_call_is_asked_for_once(service: Any) -> None:
    class Calling(Listening):
        async def generate(self, request: ChatRequest) -> Any:
            from agents_emulator.models import ToolCall

            self.requests.append(request)
            if request.tool_results:
                yield TextDelta("Done.")
                yield Finished((), "stop", 1, 1)
            else:
                yield Finished((ToolCall("same", "get_weather", "{}"),), "tool_calls", 1, 1)

    for choice, expected in (
        ("required", ["required", "auto"]),
        (
            {"type": "function", "function": {"name": "get_weather"}},
            ["function:get_weather", "none"],
        ),
    ):
        model = Calling()
        with service(model=model).http() as client:
            body = turn(agent(client, tools=[WEATHER_TOOL]), "hi", tool_choice=choice)
            run = post(client, "/threads/runs", body)
            waiting = wait_run(client, run, "requires_action")
            path = f"/threads/{run['thread_id']}/runs/{run['id']}/submit_tool_outputs"
            post(client, path, answer_calls(waiting, "x"))
            wait_run(client, run, "completed")
        assert [request.tool_choice for request in model.requests] == expected


def test_a_run_expires(service: Any) -> None:
    with service(rules=SLOW, config=ServiceConfig(run_ttl=1)).http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        expired = wait_run(client, run)
        assert expired["status"] == "expired"
        assert expired["expires_at"] == run["created_at"] + 1
        post(client, f"/threads/{run['thread_id']}/messages", {"role": "user", "content": "on"})


def test_a_run_that_waits_for_outputs_expires_later(service: Any) -> None:
    config = ServiceConfig(run_ttl=1, action_ttl=2)
    with service(rules={"rules": WEATHER_RULES}, config=config).http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[WEATHER_TOOL]), "weather"))
        waiting = wait_run(client, run, "requires_action")
        assert waiting["expires_at"] == run["created_at"] + 2
        assert wait_run(client, run, "expired")["required_action"] is None


def test_runs_beyond_the_limit_stay_queued(service: Any) -> None:
    with service(rules=SLOW, config=ServiceConfig(max_concurrent_runs=1)).http() as client:
        agent_id = agent(client)
        first = post(client, "/threads/runs", turn(agent_id, "a"))
        wait_run(client, first, "in_progress")
        second = post(client, "/threads/runs", turn(agent_id, "b"))
        path = f"/threads/{first['thread_id']}/runs/{first['id']}/cancel"
        assert wait_run(client, second, "queued")["started_at"] is None
        post(client, path)
        wait_run(client, second, "in_progress")


def test_deleting_a_thread_stops_its_run(service: Any) -> None:
    running = service(rules=SLOW)
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client), "hi"))
        wait_run(client, run, "in_progress")
        deleted = client.delete(f"/threads/{run['thread_id']}").json()
        assert deleted == {"id": run["thread_id"], "object": "thread.deleted", "deleted": True}
        get(client, f"/threads/{run['thread_id']}/runs/{run['id']}", status=404)
    assert running.generations()[0]["outcome"] == "interrupted"


def test_an_image_fails_the_run_of_a_model_that_takes_text_only(service: Any) -> None:
    content = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    with service(model=Listening()).http() as client:
        body = {"assistant_id": agent(client), "thread": {"messages": [{"role": "user", "content": content}]}}
        run = post(client, "/threads/runs", body)
        error = wait_run(client, run)["last_error"]
    assert error["code"] == "unsupported_content"
    assert "'listening'" in error["message"]
