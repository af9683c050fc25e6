"""The official client (azure-ai-agents 1.1.0) drives the local service through its basic scenario."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.agents import AgentsClient
from azure.ai.agents.models import (
    AgentStreamEvent,
    FilePurpose,
    FileSearchTool,
    FunctionTool,
    ListSortOrder,
    MessageDeltaChunk,
    RunStatus,
    ToolSet,
)
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy

from tests.conftest import ServiceFactory
from tests.support.service import RunningService

RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": "stock of (?P<item>\\w+)", "tool_results": False},
            "reply": {"tool_calls": [{"name": "stock_level", "arguments": {"item": "{{ groups.item }}"}}]},
        },
        {"when": {"tool_results": True}, "reply": {"text": "There are {{ results[0].pieces }} pieces."}},
        {
            "when": {"message": "oak"},
            "reply": {"text": "Oak boards cost 40 euros a square metre."},
        },
    ],
    "default": {"reply": {"text": "Good day to you."}, "chunk": 4},
}


class _NoCredential:
    """The official client asks for a credential; the local service on loopback asks for none."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        raise AssertionError("no token is needed on loopback")


@pytest.fixture
def running(service: ServiceFactory) -> RunningService:
    started: RunningService = service(rules=RULES)
    return started


@pytest.fixture
def client(running: RunningService) -> Iterator[AgentsClient]:
    with AgentsClient(
        endpoint=running.endpoint,
        credential=_NoCredential(),
        authentication_policy=SansIOHTTPPolicy(),
    ) as opened:
        yield opened


def test_file_search_answers_with_a_citation(client: AgentsClient, tmp_path: Path) -> None:
    path = tmp_path / "prices.md"
    path.write_text("# Prices\n\nOak boards cost 40 euros a square metre.\n", encoding="utf-8")
    file = client.files.upload_and_poll(file_path=str(path), purpose=FilePurpose.AGENTS)
    store = client.vector_stores.create_and_poll(file_ids=[file.id], name="prices", polling_interval=0.05)
    assert store.file_counts.completed == 1
    search = FileSearchTool(vector_store_ids=[store.id])
    agent = client.create_agent(
        model="scripted", name="seller", instructions="Sell.", tools=search.definitions,
        tool_resources=search.resources,
    )  # fmt: skip
    thread = client.threads.create()
    message = client.messages.create(thread_id=thread.id, role="user", content="What does oak cost?")
    run = client.runs.create_and_process(thread_id=thread.id, agent_id=agent.id, polling_interval=0.05)
    assert run.status == RunStatus.COMPLETED
    assert run.usage.total_tokens > 0

    newest = client.messages.get_last_message_text_by_role(thread_id=thread.id, role="assistant")
    assert newest is not None
    assert newest.text.value.startswith("Oak boards cost 40 euros")
    (citation,) = newest.text.annotations
    assert citation.file_citation.file_id == file.id
    assert newest.text.value[citation.start_index : citation.end_index] == citation.text

    listed = list(client.messages.list(thread_id=thread.id, order=ListSortOrder.ASCENDING))
    assert [item.role for item in listed] == ["user", "assistant"]
    assert listed[0].id == message.id
    steps = list(client.run_steps.list(thread_id=thread.id, run_id=run.id))
    assert [step.type for step in steps] == ["message_creation", "tool_calls"]

    client.vector_stores.delete(store.id)
    client.files.delete(file.id)
    client.threads.delete(thread.id)
    client.delete_agent(agent.id)
    for get in (
        lambda: client.vector_stores.get(store.id),
        lambda: client.files.get(file.id),
        lambda: client.threads.get(thread.id),
        lambda: client.get_agent(agent.id),
    ):
        with pytest.raises(ResourceNotFoundError):
            get()


def test_a_streamed_run_gives_its_events_in_order(client: AgentsClient) -> None:
    agent = client.create_agent(model="scripted", name="greeter", instructions="Greet.")
    thread = client.threads.create()
    client.messages.create(thread_id=thread.id, role="user", content="Hello")
    names: list[str] = []
    text = ""
    with client.runs.stream(thread_id=thread.id, agent_id=agent.id) as stream:
        for event_type, event_data, _ in stream:
            names.append(str(getattr(event_type, "value", event_type)))
            if isinstance(event_data, MessageDeltaChunk):
                text += event_data.text
    assert text == "Good day to you."
    deltas = names.count(AgentStreamEvent.THREAD_MESSAGE_DELTA.value)
    assert deltas > 1
    assert [name for name in names if name != "thread.message.delta"] == [
        "thread.run.created",
        "thread.run.queued",
        "thread.run.in_progress",
        "thread.run.step.created",
        "thread.run.step.in_progress",
        "thread.message.created",
        "thread.message.in_progress",
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]


def test_functions_are_called_automatically(client: AgentsClient) -> None:
    asked: list[str] = []

    def stock_level(item: str) -> str:
        """
        Tells how many pieces are in stock.

        :param item: The item.
        :return: The number of pieces as a JSON string.
        """
        asked.append(item)
        return json.dumps({"pieces": 7})

    toolset = ToolSet()
    toolset.add(FunctionTool({stock_level}))
    client.enable_auto_function_calls(toolset)
    agent = client.create_agent(model="scripted", name="keeper", instructions="Count.", toolset=toolset)
    thread = client.threads.create()
    client.messages.create(thread_id=thread.id, role="user", content="What is the stock of oak?")
    run = client.runs.create_and_process(
        thread_id=thread.id, agent_id=agent.id, toolset=toolset, polling_interval=0.05
    )
    assert run.status == RunStatus.COMPLETED
    newest = client.messages.get_last_message_text_by_role(thread_id=thread.id, role="assistant")
    assert newest is not None
    assert newest.text.value == "There are 7 pieces."
    assert asked == ["oak"]


def test_thread_and_run_in_one_request(client: AgentsClient) -> None:
    agent = client.create_agent(model="scripted", name="greeter", instructions="Greet.")
    run = client.create_thread_and_process_run(
        agent_id=agent.id,
        thread={"messages": [{"role": "user", "content": "Hello"}]},  # type: ignore[arg-type]
        polling_interval=0.05,
    )
    assert run.status == RunStatus.COMPLETED
    texts = [item.text_messages[0].text.value for item in client.messages.list(run.thread_id)]
    assert texts == ["Good day to you.", "Hello"]


def test_lists_end_and_errors_have_the_services_shape(client: AgentsClient) -> None:
    made = {client.create_agent(model="scripted", name=f"agent {n}").id for n in range(5)}
    assert {agent.id for agent in client.list_agents(limit=2)} == made
    with pytest.raises(HttpResponseError) as caught:
        client.create_agent(model="scripted", name="x", metadata={str(n): "v" for n in range(17)})
    assert caught.value.status_code == 400
