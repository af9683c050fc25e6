"""Tracing: OpenTelemetry spans of every request, run and function, here on the console.

    pip install opentelemetry-sdk

What people and models wrote is in the spans only with
`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=true`.
"""

from __future__ import annotations

from contextlib import ExitStack

from connection import MODEL, connect
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from agent_tasks import telemetry
from agent_tasks.tools import ToolSet


@telemetry.trace_function()  # a span of its own
def list_price(wood: str) -> float:
    """Price of a board by the list, in EUR."""
    return {"oak": 48.5}.get(wood.lower(), 40.0)


def price_of(wood: str) -> float:
    """Price of a board in EUR, by the English name of its wood."""
    return list_price(wood)


def main() -> None:
    """Ask for a price, and print the spans."""
    provider = TracerProvider()
    # For a collector: BatchSpanProcessor(OTLPSpanExporter()). For Azure: configure_azure_monitor().
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    trace.set_tracer_provider(provider)
    telemetry.instrument()

    tools = ToolSet([price_of])
    with connect() as client, ExitStack() as afterwards:
        afterwards.enter_context(trace.get_tracer(__name__).start_as_current_span("guide"))
        agent = client.agents.create(
            model=MODEL, name="guide-seller", instructions="Give prices.", tools=tools.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="What does an oak board cost?")
        choice = {"type": "function", "function": {"name": "price_of"}}
        client.runs.create_and_process(thread.id, assistant_id=agent.id, toolset=tools, tool_choice=choice)
        for message in client.messages.list(thread.id, order="asc"):
            print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    main()
