"""Drives a service with the official client: either version, blocking or async.

`python -m tests.conformance.official ENDPOINT STYLE PART FOLDER` prints one JSON line a finding. Run that way
with the folder of the preview first on PYTHONPATH, it drives with the preview, which cannot be installed
beside the release.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure.ai.agents import AgentsClient, models
from azure.ai.agents import __version__ as VERSION  # noqa: N812
from azure.ai.agents.aio import AgentsClient as AsyncAgentsClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy

from tests.conformance.catalogue import PREVIEW, TOOLS, V1, V1_TOOLS
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


class NoCredential:
    """The official client asks for a credential; the local service on loopback asks for none."""

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Never called, because the authentication policy is replaced."""
        raise AssertionError("no token is needed on loopback")


class Recorder(models.AgentEventHandler):  # type: ignore[type-arg]
    """Notes which of its methods were called, blocking."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Seen()

    def on_message_delta(self, delta: Any) -> None:
        """Part of an answer."""
        self.seen.called.append("on_message_delta")
        self.seen.text += delta.text

    def on_thread_message(self, message: Any) -> None:
        """State of a message."""
        self.seen.called.append("on_thread_message")

    def on_thread_run(self, run: Any) -> None:
        """State of the run."""
        self.seen.called.append("on_thread_run")
        self.seen.status = plain(run.status)

    def on_run_step(self, step: Any) -> None:
        """State of a step."""
        self.seen.called.append("on_run_step")

    def on_run_step_delta(self, delta: Any) -> None:
        """Part of a step."""
        self.seen.called.append("on_run_step_delta")

    def on_error(self, data: str) -> None:
        """An error event."""
        self.seen.called.append("on_error")

    def on_done(self) -> None:
        """The end."""
        self.seen.called.append("on_done")

    def on_unhandled_event(self, event_type: str, event_data: Any) -> None:
        """Anything else."""
        self.seen.called.append("on_unhandled_event")


def _awaited(method: str) -> Any:
    async def call(self: Any, *data: Any) -> None:
        getattr(self.inner, method)(*data)

    return call


class AsyncRecorder(models.AsyncAgentEventHandler):  # type: ignore[type-arg]
    """The same for the async client."""

    def __init__(self) -> None:
        super().__init__()
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


class OfficialClient:
    """The official client under the names that the scenarios use."""

    not_found = ResourceNotFoundError
    refused = HttpResponseError

    def __init__(self, client: Any, style: str) -> None:
        self._client = client
        self._blocking = style == "blocking"
        self.api_version = PREVIEW if hasattr(models, "McpTool") else V1
        self.agents = SimpleNamespace(
            create=client.create_agent,
            get=client.get_agent,
            update=client.update_agent,
            list=client.list_agents,
            delete=client.delete_agent,
        )
        self.threads = client.threads
        self.messages = client.messages
        self.runs = SimpleNamespace(
            create=lambda thread_id, *, assistant_id, **fields: client.runs.create(
                thread_id, agent_id=assistant_id, **fields
            ),
            create_thread_and_run=lambda *, assistant_id, **fields: client.create_thread_and_run(
                agent_id=assistant_id, **fields
            ),
            get=client.runs.get,
            list=client.runs.list,
            update=client.runs.update,
            cancel=client.runs.cancel,
            submit_tool_outputs=client.runs.submit_tool_outputs,
        )
        self.run_steps = client.run_steps
        self.files = client.files
        self.vector_stores = SimpleNamespace(
            create=client.vector_stores.create,
            get=client.vector_stores.get,
            update=client.vector_stores.modify,
            list=client.vector_stores.list,
            delete=client.vector_stores.delete,
        )
        self.vector_store_files = client.vector_store_files
        self.file_batches = client.vector_store_file_batches

    def functions(self) -> list[Any]:
        """See `scenarios.Client`, also for all that follows."""
        return list(self._function_tool().definitions)

    def _function_tool(self) -> Any:
        return (models.FunctionTool if self._blocking else models.AsyncFunctionTool)({stock_level})

    def is_a(self, value: Any, model: str) -> bool:
        # A model that this version does not know yet is kept as its base class.
        return isinstance(value, getattr(models, model, models.RunStepToolCall))

    def output(self, call_id: str, output: str) -> Any:
        return models.ToolOutput(tool_call_id=call_id, output=output)

    async def upload(self, path: Path) -> Any:
        return await settled(self.files.upload(file_path=str(path), purpose=models.FilePurpose.AGENTS))

    async def listed_files(self) -> list[Any]:
        return list((await settled(self.files.list(purpose=models.FilePurpose.AGENTS))).data)

    async def content(self, file_id: str) -> bytes:
        return b"".join(await every(self.files.get_content(file_id)))

    async def save(self, file_id: str, folder: Path, name: str) -> None:
        await settled(self.files.save(file_id, name, folder))

    async def streamed(self, thread_id: str, assistant_id: str) -> tuple[list[str], str]:
        names, text = [], ""
        stream = await settled(self._client.runs.stream(thread_id, agent_id=assistant_id))
        async with entered(stream) as events:
            for event_type, data, _ in await every(events):
                names.append(plain(event_type))
                text += data.text if isinstance(data, models.MessageDeltaChunk) else ""
        return names, text

    async def handled(self, thread_id: str, assistant_id: str, **fields: Any) -> Seen:
        handler = self._recorder()
        stream = self._client.runs.stream(thread_id, agent_id=assistant_id, event_handler=handler, **fields)
        async with entered(await settled(stream)) as events:
            await settled(events.until_done())
        return handler.seen

    def _recorder(self) -> Any:
        return Recorder() if self._blocking else AsyncRecorder()

    async def submit_streamed(self, run: Any, **answers: list[Any]) -> Seen:
        handler = self._recorder()
        await settled(
            self._client.runs.submit_tool_outputs_stream(
                run.thread_id, run.id, event_handler=handler, **answers
            )
        )
        await settled(handler.until_done())
        return handler.seen

    def call_functions(self) -> None:
        toolset = models.ToolSet() if self._blocking else models.AsyncToolSet()
        toolset.add(self._function_tool())
        self._client.enable_auto_function_calls(toolset)

    async def process(self, thread_id: str, assistant_id: str) -> Any:
        return await settled(
            self._client.runs.create_and_process(thread_id, agent_id=assistant_id, polling_interval=PACE)
        )

    async def process_thread(self, assistant_id: str, text: str) -> Any:
        message = models.ThreadMessageOptions(role="user", content=text)
        return await settled(
            self._client.create_thread_and_process_run(
                agent_id=assistant_id,
                thread=models.AgentThreadCreationOptions(messages=[message]),
                polling_interval=PACE,
            )
        )

    async def last_text(self, thread_id: str) -> str:
        newest = await settled(self.messages.get_last_message_text_by_role(thread_id, "assistant"))
        return str(newest.text.value)

    async def upload_and_poll(self, path: Path) -> Any:
        return await settled(
            self.files.upload_and_poll(
                file_path=str(path), purpose=models.FilePurpose.AGENTS, polling_interval=PACE
            )
        )

    async def store_and_poll(self, file_ids: list[str]) -> Any:
        return await settled(
            self._client.vector_stores.create_and_poll(file_ids=file_ids, polling_interval=PACE)
        )

    async def store_file_and_poll(self, store_id: str, file_id: str) -> Any:
        return await settled(
            self.vector_store_files.create_and_poll(store_id, file_id=file_id, polling_interval=PACE)
        )

    async def batch_and_poll(self, store_id: str, file_ids: list[str]) -> Any:
        return await settled(
            self.file_batches.create_and_poll(store_id, file_ids=file_ids, polling_interval=PACE)
        )

    def data_source(self, uri: str) -> Any:
        return models.VectorStoreDataSource(
            asset_identifier=uri, asset_type=models.VectorStoreDataSourceAssetType.URI_ASSET
        )

    def inline_search(self, source: Any) -> dict[str, Any]:
        described = models.VectorStoreConfigurations(
            store_name="inline",
            store_configuration=models.VectorStoreConfiguration(data_sources=[source]),
        )
        resource = models.FileSearchToolResource(vector_stores=[described])
        return {
            "tools": models.FileSearchTool().definitions,
            "tool_resources": models.ToolResources(file_search=resource),
        }

    def attachment(self, source: Any) -> Any:
        return models.MessageAttachment(data_source=source, tools=models.FileSearchTool().definitions)

    def tools(self) -> tuple[str, ...]:
        return TOOLS if self.api_version == PREVIEW else V1_TOOLS

    def wire(self, value: Any) -> Any:
        return value.as_dict()

    def screenshot(self, call_id: str, image_url: str) -> Any:
        picture = models.ComputerScreenshot(image_url=image_url)
        return models.ComputerToolOutput(tool_call_id=call_id, output=picture)

    def approval(self, call_id: str) -> Any:
        return models.ToolApproval(tool_call_id=call_id, approve=True)

    def tool(self, kind: str, around: Surroundings, prepared: Prepared) -> Any:
        match kind:
            case "function":
                return self._function_tool()
            case "code_interpreter":
                return models.CodeInterpreterTool(file_ids=[prepared.file_id])
            case "file_search":
                return models.FileSearchTool(vector_store_ids=[prepared.store_id])
            case "openapi":
                auth = models.OpenApiAnonymousAuthDetails()
                return models.OpenApiTool("prices", "Prices of goods.", around.document, auth)
            case "connected_agent":
                return models.ConnectedAgentTool(prepared.agent_id, "helper", "Helps.")
            case "azure_ai_search":
                return models.AzureAISearchTool(CONNECTION, "prices")
            case "bing_grounding":
                return models.BingGroundingTool(CONNECTION)
            case "azure_function":
                queues = [
                    models.AzureFunctionStorageQueue(storage_service_endpoint=QUEUES, queue_name=name)
                    for name in QUEUE_NAMES
                ]
                return models.AzureFunctionTool("stock_level", "Counts.", STOCK_PARAMETERS, *queues)
            case "mcp":
                tool = models.McpTool("numbers", around.mcp, ["add"])
                tool.update_headers("x-secret", "secret")
                return tool
            case "bing_custom_search":
                return models.BingCustomSearchTool(CONNECTION, "instance")
            case "sharepoint_grounding":
                return models.SharepointTool(CONNECTION)
            case "fabric_dataagent":
                return models.FabricTool(CONNECTION)
            case "deep_research":
                return models.DeepResearchTool(CONNECTION, "o3-deep-research")
            case "browser_automation":
                return models.BrowserAutomationTool(CONNECTION)
            case "computer_use_preview":
                return models.ComputerUseTool(1024, 768, "browser")
        raise ValueError(kind)


async def drive(endpoint: str, style: str, part: str, folder: Path) -> list[Finding]:
    """Play all scenarios of a part (`operations`, `tools`); returns what was found."""
    checks = Checks()
    kind: Any = AgentsClient if style == "blocking" else AsyncAgentsClient
    client = kind(endpoint=endpoint, credential=NoCredential(), authentication_policy=SansIOHTTPPolicy())
    async with entered(client) as opened:
        scenarios: Any = Operations if part == "operations" else Tools
        await scenarios(OfficialClient(opened, style), folder, checks).play()
    return checks.findings


def main() -> None:
    """Print the version of the client, then the findings, one a line."""
    print(json.dumps({"version": VERSION}))
    endpoint, style, part, folder = sys.argv[1:]
    for kind, name, error in asyncio.run(drive(endpoint, style, part, Path(folder))):
        print(json.dumps({"kind": kind, "name": name, "error": error}))


if __name__ == "__main__":
    main()
