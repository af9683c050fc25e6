"""Both clients against the local service, over real HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.client import AgentEventHandler, AgentsClient, AsyncAgentsClient
from agent_tasks.errors import RunThrottledError
from agent_tasks.tools import ToolSet
from agent_tasks.wire import replace_citations
from tests.client.both import as_async
from tests.support.service import RunningService, start_in_thread, write_rules

RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": "price", "tool_results": False},
            "reply": {
                "tool_calls": [
                    {"name": "price_of", "arguments": {"item": "bolt"}},
                    {"name": "price_of", "arguments": {"item": "anvil"}},
                ]
            },
        },
        {
            "when": {"message": "price", "tool_results": True},
            "reply": {"text": "{{ tool_results | join('; ') }}"},
        },
        {
            "when": {"message": "fail"},
            "reply": {"error": {"code": "rate_limit_exceeded", "message": "Try again in 7 seconds."}},
        },
    ],
    "default": {"reply": {"text": "Hello from the scripted model."}},
}


def price_of(item: str) -> str:
    """Price of an item.

    Args:
        item: Its name.
    """
    if item == "anvil":
        raise LookupError("no anvils")
    return f"{item} costs 3 EUR"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    service = start_in_thread(folder / "data", write_rules(folder, RULES))
    yield service
    service.stop()


@pytest.fixture(params=["async", "blocking"])
def client(request: pytest.FixtureRequest, running: RunningService) -> Any:
    if request.param == "blocking":
        return as_async(AgentsClient(running.endpoint, None))
    return AsyncAgentsClient(running.endpoint, None)


@pytest.fixture(autouse=True)
def waits() -> None:
    """Real waits here, instead of those that are only written down."""


def asking(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_processed_run_calls_its_functions(client: Any) -> None:
    async with client:
        agent = await client.agents.create(model="m")
        done = await client.runs.create_thread_and_process(
            assistant_id=agent.id,
            thread=asking("the price, please"),
            toolset=ToolSet([price_of]),
            poll_interval=0.02,
        )
        message = await client.messages.get_last_message_by_role(done.thread_id)
    assert "bolt costs 3 EUR" in message.text
    assert '"type": "LookupError"' in message.text


async def test_streamed_run_calls_its_functions(client: Any, running: RunningService) -> None:
    async with client:
        agent = await client.agents.create(model="m", tools=ToolSet([price_of]).definitions)
        client.enable_auto_function_calls(ToolSet([price_of]))
        before = len(running.requests())
        async with client.runs.stream_thread_and_run(
            assistant_id=agent.id, thread=asking("the price, please")
        ) as stream:
            names = [event.event async for event in stream]
            done = stream.run
    assert done.status == "completed"
    assert names.count("done") == 1
    assert "thread.run.requires_action" in names
    assert names[-2:] == ["thread.run.completed", "done"]
    assert len(running.requests()) == before + 2


async def test_throttled_run_is_typed(client: Any) -> None:
    async with client:
        agent = await client.agents.create(model="m")
        with pytest.raises(RunThrottledError) as caught:
            await client.runs.create_thread_and_process(
                assistant_id=agent.id, thread=asking("fail"), poll_interval=0.02
            )
    assert caught.value.retry_after == 7


async def test_files_go_up_and_come_back(client: Any, tmp_path: Path) -> None:
    async with client:
        store = await client.vector_stores.create_and_poll(name="s", poll_interval=0.02)
        batch = await client.vector_store_file_batches.upload_and_poll(
            store.id, [(b"# One", "one.md"), (b"# Two", "two.md")], poll_interval=0.02
        )
        assert batch.file_counts.completed == 2
        files = {file.filename: file.id async for file in client.files.list() if file.filename == "one.md"}
        path = await client.files.save(files["one.md"], tmp_path)
    assert path.name == "one.md"
    assert path.read_bytes() == b"# One"


def test_handler_of_the_blocking_client(running: RunningService) -> None:
    class Writing(AgentEventHandler):
        text = ""
        done = 0

        def on_message_delta(self, delta: Any) -> None:
            self.text += delta.text

        def on_done(self) -> None:
            self.done += 1

    writing = Writing()
    with AgentsClient(running.endpoint, None) as client:
        agent = client.agents.create(model="m")
        thread = client.threads.create(messages=asking("hello")["messages"])
        with client.runs.stream(thread.id, assistant_id=agent.id, event_handler=writing) as stream:
            assert stream.until_done().status == "completed"
        [message] = [message for message in client.messages.list(thread.id) if message.role == "assistant"]
    assert writing.text == replace_citations(message) == "Hello from the scripted model."
    assert writing.done == 1


@pytest.mark.parametrize("number", [0, 1])
def test_examples_of_the_documentation_work(
    running: RunningService, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = Path(__file__).parents[2] / "docs" / "client.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert len(examples) == 2
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    exec(compile(examples[number], str(page), "exec"), {"__name__": "example"})  # noqa: S102
    assert ("bolt costs 3 EUR" if number == 0 else "Hello from") in capsys.readouterr().out
