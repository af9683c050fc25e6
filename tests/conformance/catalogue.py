"""What there is to conform to: the operations and tools of both api-versions, and who is made to use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

V1 = "v1"
PREVIEW = "2025-05-15-preview"
ApiVersion = Literal["v1", "2025-05-15-preview"]

OPERATIONS: dict[str, str] = {
    "agents.create": "POST /assistants",
    "agents.list": "GET /assistants",
    "agents.get": "GET /assistants/{}",
    "agents.update": "POST /assistants/{}",
    "agents.delete": "DELETE /assistants/{}",
    "threads.create": "POST /threads",
    "threads.list": "GET /threads",
    "threads.get": "GET /threads/{}",
    "threads.update": "POST /threads/{}",
    "threads.delete": "DELETE /threads/{}",
    "messages.create": "POST /threads/{}/messages",
    "messages.list": "GET /threads/{}/messages",
    "messages.get": "GET /threads/{}/messages/{}",
    "messages.update": "POST /threads/{}/messages/{}",
    "messages.delete": "DELETE /threads/{}/messages/{}",
    "runs.create": "POST /threads/{}/runs",
    "runs.create_thread_and_run": "POST /threads/runs",
    "runs.list": "GET /threads/{}/runs",
    "runs.get": "GET /threads/{}/runs/{}",
    "runs.update": "POST /threads/{}/runs/{}",
    "runs.cancel": "POST /threads/{}/runs/{}/cancel",
    "runs.submit_tool_outputs": "POST /threads/{}/runs/{}/submit_tool_outputs",
    "run_steps.list": "GET /threads/{}/runs/{}/steps",
    "run_steps.get": "GET /threads/{}/runs/{}/steps/{}",
    "files.list": "GET /files",
    "files.upload": "POST /files",
    "files.get": "GET /files/{}",
    "files.content": "GET /files/{}/content",
    "files.delete": "DELETE /files/{}",
    "vector_stores.create": "POST /vector_stores",
    "vector_stores.list": "GET /vector_stores",
    "vector_stores.get": "GET /vector_stores/{}",
    "vector_stores.update": "POST /vector_stores/{}",
    "vector_stores.delete": "DELETE /vector_stores/{}",
    "vector_store_files.create": "POST /vector_stores/{}/files",
    "vector_store_files.list": "GET /vector_stores/{}/files",
    "vector_store_files.get": "GET /vector_stores/{}/files/{}",
    "vector_store_files.delete": "DELETE /vector_stores/{}/files/{}",
    "file_batches.create": "POST /vector_stores/{}/file_batches",
    "file_batches.get": "GET /vector_stores/{}/file_batches/{}",
    "file_batches.cancel": "POST /vector_stores/{}/file_batches/{}/cancel",
    "file_batches.list_files": "GET /vector_stores/{}/file_batches/{}/files",
}
"""Method and path by the name that the local service's request log uses."""

PREVIEW_OPERATIONS = frozenset({"messages.delete"})

V1_TOOLS = (
    "function",
    "code_interpreter",
    "file_search",
    "openapi",
    "connected_agent",
    "azure_ai_search",
    "bing_grounding",
    "azure_function",
)
PREVIEW_TOOLS = (
    "mcp",
    "bing_custom_search",
    "sharepoint_grounding",
    "fabric_dataagent",
    "deep_research",
    "browser_automation",
    "computer_use_preview",
)
TOOLS = V1_TOOLS + PREVIEW_TOOLS
"""By the type of their definitions."""

CONVENIENCES: dict[str, str] = {
    "polling": "a run is created and followed to its end",
    "thread and polling": "a thread and its run are created at once and followed to the end",
    "stream": "the events of a run, iterated over",
    "event handler": "the events of a run, handed to the methods of a handler",
    "streamed outputs": "tool outputs are submitted and the rest of the run is streamed",
    "automatic calls, polling": "functions are called while a run is followed",
    "automatic calls, stream": "functions are called within a stream",
    "upload and poll": "a file is uploaded and waited for",
    "save": "a file is saved into a folder",
    "store and poll": "a vector store is made and waited for",
    "store file and poll": "a file is added to a vector store and waited for",
    "file batch and poll": "files are added to a vector store and waited for",
    "data sources": "files of the project's storage are put into a store, searched and attached",
    "last message": "the last text of a role",
}
"""What clients offer above the operations."""

RECORDINGS = (
    "js_create_and_list_runs.json",
    "js_vector_store_file.json",
    "py_azure_function_call.json",
    "py_code_interpreter_tool_streaming.json",
    "py_create_vector_store_batch_azure.json",
    "py_get_run_step.json",
    "py_include_file_search_results_stream.json",
    "py_mcp_tool.json",
    "py_open_api_tool_step.json",
    "py_submit_tool_outputs_to_run.json",
)


@dataclass(frozen=True)
class Driver:
    """A client that is made to use the service.

    Attributes:
        client: `ours`, or the version of the official client.
        style: `blocking` or `async`.
        api_version: what it asks for.
    """

    client: Literal["ours", "1.1.0", "1.2.0b6"]
    style: Literal["blocking", "async"]
    api_version: ApiVersion

    def __str__(self) -> str:
        return f"{self.client}-{self.style}-{self.api_version}"

    @property
    def operations(self) -> list[str]:
        """The operations that this client has."""
        return [name for name in OPERATIONS if self.api_version == PREVIEW or name not in PREVIEW_OPERATIONS]

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that this client has."""
        return TOOLS if self.api_version == PREVIEW else V1_TOOLS


OURS = [
    Driver("ours", style, version)
    for version in (V1, PREVIEW)
    for style in ("blocking", "async")
]  # fmt: skip
OFFICIAL = [Driver("1.1.0", style, V1) for style in ("blocking", "async")]
OFFICIAL_PREVIEW = [Driver("1.2.0b6", style, PREVIEW) for style in ("blocking", "async")]
DRIVERS = [*OURS, *OFFICIAL, *OFFICIAL_PREVIEW]
TOOL_DRIVERS = [driver for driver in DRIVERS if (driver.client, driver.api_version) != ("ours", V1)]
"""Those that are asked about tools: for our client, the preview's tools contain those of `v1`."""
