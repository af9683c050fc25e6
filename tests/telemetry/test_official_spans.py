"""The spans are those that the official library emits for the same conversation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.ai.agents import AgentsClient as OfficialClient
from azure.ai.agents.models import FunctionTool as OfficialFunctionTool
from azure.ai.agents.models import ToolSet as OfficialToolSet
from azure.ai.agents.telemetry import AIAgentsInstrumentor
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.settings import settings
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan

from agent_tasks.client import AgentsClient
from tests.conftest import ServiceFactory
from tests.telemetry.conftest import Recorded
from tests.telemetry.test_spans import RULES, TOOLS, price

NEWER = {"az.namespace"}
"""Attributes that version 1.1.0 does not have yet; 1.2.0b6 does."""


class Signed:
    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken("token", 4_000_000_000)


@pytest.fixture
def official(recorded: Recorded) -> Iterator[Recorded]:
    """The official library's own tracing, into a recorder of its own."""
    found = Recorded()

    class Span:
        """What azure-core asks of a tracing library (its plugin for OpenTelemetry does the same)."""

        def __init__(self, span: Any = None, name: str = "", **options: Any) -> None:
            self.span_instance = span or found.provider.get_tracer("official").start_span(name)
            self._token: Any = None

        def __enter__(self) -> Span:
            self._token = context.attach(trace.set_span_in_context(self.span_instance))
            return self

        def __exit__(self, *error: object) -> None:
            self.finish()

        def finish(self) -> None:
            if self._token is not None:
                context.detach(self._token)
                self._token = None
            if self.span_instance.is_recording():
                self.span_instance.end()

        def add_attribute(self, key: str, value: Any) -> None:
            self.span_instance.set_attribute(key, value)

        def set_attributes(self, attributes: dict[str, Any]) -> None:
            self.span_instance.set_attributes(attributes)

        def set_http_attributes(self, **parts: Any) -> None:
            """Spans of single requests are not compared."""

        def to_header(self) -> dict[str, str]:
            return {}

        @classmethod
        def get_current_span(cls) -> Any:
            return trace.get_current_span()

        @classmethod
        def change_context(cls, span: Any) -> Any:
            return trace.use_span(span)

    settings.tracing_implementation = Span
    AIAgentsInstrumentor().instrument(enable_content_recording=True)
    yield found
    AIAgentsInstrumentor().uninstrument()
    settings.tracing_implementation = None


def keys(span: ReadableSpan) -> set[str]:
    return set(span.attributes or {}) - NEWER


def typed(spans: list[ReadableSpan]) -> set[tuple[str, type]]:
    return {(key, type(value)) for span in spans for key, value in (span.attributes or {}).items()}


def events(span: ReadableSpan) -> dict[str, set[str]]:
    return {event.name: set(event.attributes or {}) for event in span.events}


@pytest.mark.usefixtures("with_content")
def test_same_spans_attributes_and_events(
    service: ServiceFactory, recorded: Recorded, official: Recorded
) -> None:
    running = service(rules=RULES)
    policy: Any = SansIOHTTPPolicy()  # the local service is on plain http, where the library sends no token
    with OfficialClient(running.endpoint, Signed(), authentication_policy=policy) as theirs:
        toolset = OfficialToolSet()
        toolset.add(OfficialFunctionTool({price}))
        theirs.enable_auto_function_calls(toolset)
        agent = theirs.create_agent(
            model="scripted", name="clerk", description="Sells", instructions="Brief.", toolset=toolset
        )
        thread = theirs.threads.create()
        theirs.messages.create(thread_id=thread.id, role="user", content="How much is oak?")
        run = theirs.runs.create_and_process(thread_id=thread.id, agent_id=agent.id, polling_interval=1)
        assert list(theirs.messages.list(thread_id=thread.id))
        assert list(theirs.run_steps.list(thread_id=thread.id, run_id=run.id))
    with AgentsClient(running.endpoint, None) as ours:
        made = ours.agents.create(
            model="scripted",
            name="clerk",
            description="Sells",
            instructions="Brief.",
            tools=TOOLS.definitions,
        )
        ours_thread = ours.threads.create()
        ours.messages.create(ours_thread.id, role="user", content="How much is oak?")
        done = ours.runs.create_and_process(
            ours_thread.id, assistant_id=made.id, toolset=TOOLS, poll_interval=0.02
        )
        assert list(ours.messages.list(ours_thread.id))
        assert list(ours.run_steps.list(ours_thread.id, done.id))

    # `GET` and `RunStepsOperations.list` come from azure-core, for requests and methods of all its libraries.
    operations = {span.name for span in official.spans if span.name[0].islower()}
    assert operations >= {
        "create_agent clerk",
        "create_thread",
        "create_message",
        "start_thread_run",
        "get_thread_run",
        "submit_tool_outputs",
        "list_messages",
        "list_run_steps",
    }
    for name in operations:
        # Version 1.1.0 calls `create_and_process` start_thread_run by an oversight that 1.2.0b6 corrects.
        same = {name, "process_thread_run"} if name == "start_thread_run" else {name}
        here = [span for span in recorded.spans if span.name in same]
        there = [span for span in official.spans if span.name == name]
        assert here, name
        assert set().union(*map(keys, there)) <= set().union(*map(keys, here)), name
        assert {key: value for span in there for key, value in events(span).items()} == {
            key: value for span in here for key, value in events(span).items()
        }, name
        assert typed(there) <= typed(here), name
