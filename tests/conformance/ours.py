"""Drives a service with our own clients, blocking or async."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent_tasks import tools, wire
from agent_tasks.client import (
    AgentEventHandler,
    AgentsClient,
    AsyncAgentEventHandler,
    AsyncAgentsClient,
)
from agent_tasks.errors import BadRequestError, NotFoundError
from agent_tasks.tools import ToolSet
from tests.conformance.catalogue import PREVIEW, TOOLS, V1_TOOLS
from tests.conformance.checks import Checks, Finding, entered, every, settled
from tests.conformance.rules import stock_level
from tests.conformance.scenarios import PACE, Operations, Seen, plain
from tests.conformance.tool_scenarios import (
    CONNECTION,
    QUEUE_NAMES,
    QUEUES,
    STOCK_PARAMETERS,
    Prepared,
    Surroundings,
    Tools,
)


class Recorder(AgentEventHandler):
    """Notes which of its methods were called, blocking."""

    def __init__(self) -> None:
        self.seen = Seen()

    def on_message_delta(self, delta: wire.MessageDeltaChunk) -> None:
        """Part of an answer."""
        self.seen.called.append("on_message_delta")
        self.seen.text += delta.text

    def on_thread_message(self, message: wire.ThreadMessage) -> None:
        """State of a message."""
        self.seen.called.append("on_thread_message")

    def on_thread_run(self, run: wire.ThreadRun) -> None:
        """State of the run."""
        self.seen.called.append("on_thread_run")
        self.seen.status = plain(run.status)

    def on_run_step(self, step: wire.RunStep) -> None:
        """State of a step."""
        self.seen.called.append("on_run_step")

    def on_run_step_delta(self, delta: wire.RunStepDeltaChunk) -> None:
        """Part of a step."""
        self.seen.called.append("on_run_step_delta")

    def on_error(self, error: Any) -> None:
        """An error event."""
        self.seen.called.append("on_error")

    def on_done(self) -> None:
        """The end."""
        self.seen.called.append("on_done")

    def on_unhandled_event(self, event: wire.StreamEvent) -> None:
        """Anything else."""
        self.seen.called.append("on_unhandled_event")


def _awaited(method: str) -> Any:
    async def call(self: Any, *data: Any) -> None:
        getattr(self.inner, method)(*data)

    return call


class AsyncRecorder(AsyncAgentEventHandler):
    """The same for the async client."""

    def __init__(self) -> None:
        self.inner = Recorder()
        self.seen = self.inner.seen

    on_message_delta = _awaited("on_message_delta")
    on_thread_message = _awaited("on_thread_message")
    on_thread_run = _awaited("on_thread_run")
    on_run_step = _awaited("on_run_step")
    on_run_step_delta = _awaited("on_run_step_delta")
    on_error = _awaited("on_error")
    on_done = _awaited("on_done")
    on_unhandled_event = _awaited("on_unhandled_event")


class OurClient:
    """Our client as the scenarios see it; its resources are used as they are."""

    not_found = NotFoundError
    refused = BadRequestError

    def __init__(self, client: Any, style: str, api_version: str) -> None:
        self._client = client
        self._blocking = style == "blocking"
        self.api_version = api_version
        self.agents = client.agents
        self.threads = client.threads
        self.messages = client.messages
        self.runs = client.runs
        self.run_steps = client.run_steps
        self.files = client.files
        self.vector_stores = client.vector_stores
        self.vector_store_files = client.vector_store_files
        self.file_batches = client.vector_store_file_batches

    def functions(self) -> list[Any]:
        """See `scenarios.Client`, also for all that follows."""
        return ToolSet([stock_level]).definitions

    def is_a(self, value: Any, model: str) -> bool:
        return isinstance(value, getattr(wire, model))

    def output(self, call_id: str, output: str) -> Any:
        return wire.ToolOutput(tool_call_id=call_id, output=output)

    async def upload(self, path: Path) -> Any:
        return await settled(self.files.upload(path))

    async def listed_files(self) -> list[Any]:
        return await every(self.files.list(purpose="assistants"))

    async def content(self, file_id: str) -> bytes:
        return b"".join(await every(self.files.get_content(file_id)))

    async def save(self, file_id: str, folder: Path, name: str) -> None:
        await settled(self.files.save(file_id, folder, name))

    async def streamed(self, thread_id: str, assistant_id: str) -> tuple[list[str], str]:
        names, text = [], ""
        async with entered(self.runs.stream(thread_id, assistant_id=assistant_id)) as events:
            for event in await every(events):
                names.append(plain(event.event))
                text += event.data.text if isinstance(event.data, wire.MessageDeltaChunk) else ""
        return names, text

    async def handled(self, thread_id: str, assistant_id: str, **fields: Any) -> Seen:
        handler = self._recorder()
        stream = self.runs.stream(thread_id, assistant_id=assistant_id, event_handler=handler, **fields)
        async with entered(stream) as events:
            await settled(events.until_done(check=False))
        return handler.seen

    def _recorder(self) -> Any:
        return Recorder() if self._blocking else AsyncRecorder()

    async def submit_streamed(self, run: Any, **answers: list[Any]) -> Seen:
        handler = self._recorder()
        stream = self.runs.submit_tool_outputs_stream(run.thread_id, run.id, event_handler=handler, **answers)
        async with entered(stream) as events:
            await settled(events.until_done(check=False))
        return handler.seen

    def call_functions(self) -> None:
        self._client.enable_auto_function_calls(ToolSet([stock_level]))

    async def process(self, thread_id: str, assistant_id: str) -> Any:
        return await settled(
            self.runs.create_and_process(thread_id, assistant_id=assistant_id, poll_interval=PACE)
        )

    async def process_thread(self, assistant_id: str, text: str) -> Any:
        return await settled(
            self.runs.create_thread_and_process(
                assistant_id=assistant_id,
                thread={"messages": [{"role": "user", "content": text}]},
                poll_interval=PACE,
            )
        )

    async def last_text(self, thread_id: str) -> str:
        newest = await settled(self.messages.get_last_message_by_role(thread_id, "assistant"))
        return str(newest.text_messages[-1].text.value)

    async def upload_and_poll(self, path: Path) -> Any:
        return await settled(self.files.upload_and_poll(path, poll_interval=PACE))

    async def store_and_poll(self, file_ids: list[str]) -> Any:
        return await settled(self.vector_stores.create_and_poll(file_ids=file_ids, poll_interval=PACE))

    async def store_file_and_poll(self, store_id: str, file_id: str) -> Any:
        return await settled(
            self.vector_store_files.create_and_poll(store_id, file_id=file_id, poll_interval=PACE)
        )

    async def batch_and_poll(self, store_id: str, file_ids: list[str]) -> Any:
        return await settled(
            self.file_batches.create_and_poll(store_id, file_ids=file_ids, poll_interval=PACE)
        )

    def data_source(self, uri: str) -> Any:
        return tools.uri_asset(uri)

    def inline_search(self, source: Any) -> dict[str, Any]:
        search = tools.FileSearchTool(data_sources=[source], store_name="inline")
        return {"tools": search.definitions, "tool_resources": search.resources}

    def attachment(self, source: Any) -> Any:
        return tools.attachment(source)

    def tools(self) -> tuple[str, ...]:
        return TOOLS if self.api_version == PREVIEW else V1_TOOLS

    def wire(self, value: Any) -> Any:
        return value if isinstance(value, dict) else value.to_wire()

    def screenshot(self, call_id: str, image_url: str) -> Any:
        picture = wire.ComputerScreenshot(type="computer_screenshot", image_url=image_url)
        return wire.ComputerToolOutput(type="computer_call_output", tool_call_id=call_id, output=picture)

    def approval(self, call_id: str) -> Any:
        return wire.ToolApproval(tool_call_id=call_id, approve=True)

    def tool(self, kind: str, around: Surroundings, prepared: Prepared) -> Any:
        queues = [tools.StorageQueue(QUEUES, name) for name in QUEUE_NAMES]
        made: dict[str, Any] = {
            "function": ToolSet([stock_level]),
            "code_interpreter": tools.CodeInterpreterTool(file_ids=[prepared.file_id]),
            "file_search": tools.FileSearchTool(vector_store_ids=[prepared.store_id]),
            "openapi": tools.OpenApiTool("prices", around.document, "Prices of goods."),
            "connected_agent": tools.ConnectedAgentTool(prepared.agent_id, "helper", "Helps."),
            "azure_ai_search": tools.AzureAISearchTool(CONNECTION, "prices"),
            "bing_grounding": tools.BingGroundingTool(CONNECTION),
            "azure_function": tools.AzureFunctionTool("stock_level", "Counts.", STOCK_PARAMETERS, *queues),
            "mcp": tools.McpTool("numbers", around.mcp, ["add"], headers={"x-secret": SecretStr("secret")}),
            "bing_custom_search": tools.BingCustomSearchTool(CONNECTION, instance_name="instance"),
            "sharepoint_grounding": tools.SharepointTool(CONNECTION),
            "fabric_dataagent": tools.FabricTool(CONNECTION),
            "deep_research": tools.DeepResearchTool(CONNECTION, "o3-deep-research"),
            "browser_automation": tools.BrowserAutomationTool(CONNECTION),
            "computer_use_preview": tools.ComputerUseTool(1024, 768),
        }
        return made[kind]


async def drive(endpoint: str, style: str, part: str, folder: Path, api_version: str) -> list[Finding]:
    """Play all scenarios of a part (`operations`, `tools`); returns what was found."""
    checks = Checks()
    kind: Any = AgentsClient if style == "blocking" else AsyncAgentsClient
    async with entered(kind(endpoint, None, api_version=api_version)) as client:
        scenarios: Any = Operations if part == "operations" else Tools
        await scenarios(OurClient(client, style, api_version), folder, checks).play()
    return checks.findings
