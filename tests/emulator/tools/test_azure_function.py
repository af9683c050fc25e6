"""Azure Function tools over real queues: the service calls, the run waits, the answer is the output."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from agent_tasks.local.azurite import ACCOUNT, ACCOUNT_KEY, StorageAddresses
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.emulator.helpers import Json, agent, get, post, stream, turn, wait_for, wait_run
from tests.support.queue_function import FakeFunction


def asking(message: str, *queries: str) -> Json:
    calls = [{"name": "foo", "arguments": {"query": query}} for query in queries]
    return {"when": {"message": f"^{message}$", "tool_results": False}, "reply": {"tool_calls": calls}}


RULES = {
    "rules": [asking("ask", "element"), asking("ask twice", "one", "two"), asking("ask much", "x" * 60_000)],
    "default": {"reply": {"text": "Foo says {{ tool_results | join(' and ') }}"}},
}


class Foo:
    """A function with its queues, and the tool that describes it."""

    def __init__(self, storage: StorageAddresses, prefix: str) -> None:
        self.storage = storage
        self.names = (f"{prefix}-foo-input", f"{prefix}-foo-output")
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.fake = FakeFunction(storage, *self.names, self._function)

    def _function(self, arguments: Json) -> str:
        assert self.may_answer.wait(30)
        return f"Bar of {arguments['query'][:10]}"

    @property
    def tool(self) -> Json:
        """The definition."""
        return self.definition(self.storage.queue, self.names)

    @staticmethod
    def definition(endpoint: str, names: tuple[str, str]) -> Json:
        bindings = [
            {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": endpoint, "queue_name": name},
            }
            for name in names
        ]
        parameters = {"type": "object", "properties": {"query": {"type": "string"}}}
        details = {
            "function": {"name": "foo", "description": "Answers.", "parameters": parameters},
            "input_binding": bindings[0],
            "output_binding": bindings[1],
        }
        return {"type": "azure_function", "azure_function": details}


@pytest.fixture
def foo(azurite: StorageAddresses, queue_prefix: str) -> Iterator[Foo]:
    foo = Foo(azurite, queue_prefix)
    with foo.fake:
        yield foo
        foo.may_answer.set()


def settings(storage: StorageAddresses) -> ToolSettings:
    return ToolSettings(storage={storage.queue: StorageAccount(value=storage.connection_string)})


def serve(service: Any, tools: ToolSettings, **options: Any) -> httpx.Client:
    client: httpx.Client = service(rules=RULES, config=ServiceConfig(tools=tools, **options)).http()
    return client


def steps_of(client: httpx.Client, run: Json) -> list[Json]:
    steps: list[Json] = get(client, f"/threads/{run['thread_id']}/runs/{run['id']}/steps")["data"]
    return steps


def test_run_stays_in_progress_until_the_function_answers(service: Any, foo: Foo) -> None:
    foo.may_answer.clear()
    with serve(service, settings(foo.storage)) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
        wait_for(lambda: foo.fake.bodies)
        waiting = wait_run(client, run, "in_progress")
        assert waiting["required_action"] is None
        (step,) = steps_of(client, run)
        (call,) = step["step_details"]["tool_calls"]
        assert call["azure_function"] == {"name": "foo", "arguments": '{"query": "element"}'}
        foo.may_answer.set()
        assert wait_run(client, run)["status"] == "completed"
        _, step = steps_of(client, run)
        assert step["status"] == "completed"
        assert step["step_details"]["tool_calls"] == [
            {
                "id": call["id"],
                "type": "azure_function",
                "azure_function": {**call["azure_function"], "output": "Bar of element"},
            }
        ]
        answer = get(client, f"/threads/{run['thread_id']}/messages")["data"][0]
        assert answer["content"][0]["text"]["value"] == "Foo says Bar of element"
    assert foo.fake.calls == [{"query": "element", "CorrelationId": call["id"]}]
    base64.b64decode(foo.fake.bodies[0], validate=True)
    assert foo.fake.output.get_queue_properties().approximate_message_count == 0


def test_streamed_run_shows_the_call_and_its_output(service: Any, foo: Foo) -> None:
    with serve(service, settings(foo.storage)) as client:
        events = stream(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
    parts = [
        call["azure_function"]
        for name, body in events
        if name == "thread.run.step.delta"
        for call in body["delta"]["step_details"]["tool_calls"]
    ]
    assert [part.get("output") for part in parts] == [None, "Bar of element"]
    assert events[-2][1]["status"] == "completed"


def test_calls_of_one_answer_wait_side_by_side(service: Any, foo: Foo) -> None:
    foo.may_answer.clear()
    with serve(service, settings(foo.storage)) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask twice"))
        # The function is at work on the first, and the second is in its queue already.
        wait_for(
            lambda: foo.fake.bodies and foo.fake.input.get_queue_properties().approximate_message_count == 2
        )
        foo.may_answer.set()
        assert wait_run(client, run)["status"] == "completed"
        _, step = steps_of(client, run)
        outputs = [call["azure_function"]["output"] for call in step["step_details"]["tool_calls"]]
        assert outputs == ["Bar of one", "Bar of two"]


def _has_noted_that_it_was_sent(data_dir: Path) -> bool:
    with closing(sqlite3.connect(f"file:{data_dir}/service.db?mode=ro", uri=True)) as db:
        bodies = [body for (body,) in db.execute("SELECT body FROM run_steps")]
    return any(work.get("sent") for body in bodies for work in json.loads(body).get("work") or [])


def test_restarted_service_waits_for_the_call_it_had_sent(service: Any, foo: Foo, tmp_path: Path) -> None:
    tools_file = tmp_path / "tools.yaml"
    account = {"value": foo.storage.connection_string.get_secret_value()}
    tools_file.write_text(yaml.safe_dump({"storage": {foo.storage.queue: account}}))
    running = service(rules=RULES, process=True, options=["--tools-file", str(tools_file)])
    foo.may_answer.clear()
    with running.http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
        wait_for(lambda: foo.fake.bodies)
        wait_for(lambda: _has_noted_that_it_was_sent(running.data_dir))
        running.kill()
    foo.may_answer.set()
    running.restart()
    with running.http() as client:
        assert wait_run(client, run)["status"] == "completed"
        answer = get(client, f"/threads/{run['thread_id']}/messages")["data"][0]
        assert answer["content"][0]["text"]["value"] == "Foo says Bar of element"
    assert len(foo.fake.bodies) == 1


@pytest.mark.parametrize("ending", ["cancelled", "expired"])
def test_answer_that_comes_after_the_end_of_the_run_is_dropped(service: Any, foo: Foo, ending: str) -> None:
    foo.may_answer.clear()
    with serve(service, settings(foo.storage), run_ttl=2 if ending == "expired" else 600) as client:
        agent_id = agent(client, tools=[foo.tool])
        run = post(client, "/threads/runs", turn(agent_id, "ask"))
        wait_for(lambda: foo.fake.bodies)
        if ending == "cancelled":
            post(client, f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
        assert wait_run(client, run, ending)["status"] == ending
        foo.may_answer.set()
        # It is met by the reader when the next call waits, and is not taken for that one's.
        other = post(client, "/threads/runs", turn(agent_id, "ask twice"))
        assert wait_run(client, other)["status"] == "completed"
        wait_for(lambda: foo.fake.output.get_queue_properties().approximate_message_count == 0)


def test_arguments_too_large_for_a_queue_are_the_output(service: Any, foo: Foo) -> None:
    with serve(service, settings(foo.storage)) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask much"))
        assert wait_run(client, run)["status"] == "completed"
        _, step = steps_of(client, run)
    output = json.loads(step["step_details"]["tool_calls"][0]["azure_function"]["output"])
    assert "arguments are too large" in output["error"]
    assert foo.fake.bodies == []


def test_malformed_answer_is_the_output(service: Any, foo: Foo) -> None:
    foo.fake.function = lambda arguments: None
    with serve(service, settings(foo.storage)) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
        (call,) = wait_for(lambda: foo.fake.calls)
        foo.fake.output.send_message(json.dumps({"CorrelationId": call["CorrelationId"]}))
        assert wait_run(client, run)["status"] == "completed"
        _, step = steps_of(client, run)
    assert "has no Value" in step["step_details"]["tool_calls"][0]["azure_function"]["output"]


def test_missing_queue_fails_the_run(service: Any, azurite: StorageAddresses, queue_prefix: str) -> None:
    tool = Foo.definition(azurite.queue, (f"{queue_prefix}-a", f"{queue_prefix}-b"))
    with serve(service, settings(azurite)) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[tool]), "ask"))
        done = wait_run(client, run)
    assert done["status"] == "failed"
    assert done["last_error"]["code"] == "tool_user_error"
    assert f"There is no queue {queue_prefix}-" in done["last_error"]["message"]


def test_refused_permission_fails_the_run(service: Any, foo: Foo) -> None:
    signature = generate_account_sas(
        *(ACCOUNT, ACCOUNT_KEY, ResourceTypes(object=True), AccountSasPermissions(read=True)),
        datetime.now(UTC) + timedelta(hours=1),
    )
    limited = StorageAccount(value=f"QueueEndpoint={foo.storage.queue};SharedAccessSignature={signature}")
    with serve(service, ToolSettings(storage={foo.storage.queue: limited})) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
        done = wait_run(client, run)
    assert (done["status"], done["last_error"]["code"]) == ("failed", "tool_user_error")
    assert "was refused" in done["last_error"]["message"]
    assert signature not in json.dumps(done)


def test_account_that_the_tools_file_does_not_name_fails_the_run(service: Any, foo: Foo) -> None:
    with serve(service, ToolSettings()) as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[foo.tool]), "ask"))
        done = wait_run(client, run)
    assert (done["status"], done["last_error"]["code"]) == ("failed", "tool_user_error")
    assert "`storage` in its tools file" in done["last_error"]["message"]


def test_azurite_may_stand_for_an_account_of_azure(service: Any, foo: Foo) -> None:
    endpoint = "https://foobar.queue.core.windows.net"
    tools = ToolSettings(storage={endpoint: StorageAccount(value=foo.storage.connection_string)})
    with serve(service, tools) as client:
        tool = Foo.definition(f"{endpoint}/", foo.names)
        run = post(client, "/threads/runs", turn(agent(client, tools=[tool]), "ask"))
        assert wait_run(client, run)["status"] == "completed"


def test_storage_that_is_down_lets_the_run_expire(service: Any) -> None:
    endpoint = "http://127.0.0.1:9/devstoreaccount1"
    account = f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};QueueEndpoint={endpoint}"
    tools = ToolSettings(storage={endpoint: StorageAccount.model_validate({"value": account})})
    with serve(service, tools, run_ttl=3) as client:
        tool = Foo.definition(endpoint, ("foo-input", "foo-output"))
        run = post(client, "/threads/runs", turn(agent(client, tools=[tool]), "ask"))
        assert wait_run(client, run)["status"] == "expired"
