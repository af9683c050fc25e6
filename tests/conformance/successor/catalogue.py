"""What there is to conform to on the successor's wire, and which official clients are made to use it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

CLIENTS_FOLDER = Path(__file__).resolve().parents[3] / ".venv" / "successor-clients"

OPERATIONS: dict[str, str] = {
    "agent_versions.create": "POST /agents/{}/versions",
    "agent_versions.list": "GET /agents/{}/versions",
    "agent_versions.get": "GET /agents/{}/versions/{}",
    "agent_versions.delete": "DELETE /agents/{}/versions/{}",
    "named_agents.create": "POST /agents",
    "named_agents.list": "GET /agents",
    "named_agents.get": "GET /agents/{}",
    "named_agents.update": "POST /agents/{}",
    "named_agents.patch": "PATCH /agents/{}",
    "named_agents.delete": "DELETE /agents/{}",
    "named_agents.enable": "POST /agents/{}:enable",
    "named_agents.disable": "POST /agents/{}:disable",
    "conversations.create": "POST /openai/v1/conversations",
    "conversations.list": "GET /openai/v1/conversations",
    "conversations.get": "GET /openai/v1/conversations/{}",
    "conversations.update": "POST /openai/v1/conversations/{}",
    "conversations.delete": "DELETE /openai/v1/conversations/{}",
    "conversation_items.create": "POST /openai/v1/conversations/{}/items",
    "conversation_items.list": "GET /openai/v1/conversations/{}/items",
    "conversation_items.get": "GET /openai/v1/conversations/{}/items/{}",
    "conversation_items.delete": "DELETE /openai/v1/conversations/{}/items/{}",
    "responses.create": "POST /openai/v1/responses",
    "responses.list": "GET /openai/v1/responses",
    "responses.get": "GET /openai/v1/responses/{}",
    "responses.cancel": "POST /openai/v1/responses/{}/cancel",
    "responses.delete": "DELETE /openai/v1/responses/{}",
    "responses.input_items": "GET /openai/v1/responses/{}/input_items",
    "files.list": "GET /openai/v1/files",
    "files.upload": "POST /openai/v1/files",
    "files.get": "GET /openai/v1/files/{}",
    "files.content": "GET /openai/v1/files/{}/content",
    "files.delete": "DELETE /openai/v1/files/{}",
    "vector_stores.create": "POST /openai/v1/vector_stores",
    "vector_stores.list": "GET /openai/v1/vector_stores",
    "vector_stores.get": "GET /openai/v1/vector_stores/{}",
    "vector_stores.update": "POST /openai/v1/vector_stores/{}",
    "vector_stores.delete": "DELETE /openai/v1/vector_stores/{}",
    "vector_stores.search": "POST /openai/v1/vector_stores/{}/search",
    "vector_store_files.create": "POST /openai/v1/vector_stores/{}/files",
    "vector_store_files.list": "GET /openai/v1/vector_stores/{}/files",
    "vector_store_files.get": "GET /openai/v1/vector_stores/{}/files/{}",
    "vector_store_files.delete": "DELETE /openai/v1/vector_stores/{}/files/{}",
    "file_batches.create": "POST /openai/v1/vector_stores/{}/file_batches",
    "file_batches.get": "GET /openai/v1/vector_stores/{}/file_batches/{}",
    "file_batches.cancel": "POST /openai/v1/vector_stores/{}/file_batches/{}/cancel",
    "file_batches.list_files": "GET /openai/v1/vector_stores/{}/file_batches/{}/files",
    "containers.create": "POST /openai/v1/containers",
    "containers.list": "GET /openai/v1/containers",
    "containers.get": "GET /openai/v1/containers/{}",
    "containers.delete": "DELETE /openai/v1/containers/{}",
    "container_files.create": "POST /openai/v1/containers/{}/files",
    "container_files.list": "GET /openai/v1/containers/{}/files",
    "container_files.get": "GET /openai/v1/containers/{}/files/{}",
    "container_files.content": "GET /openai/v1/containers/{}/files/{}/content",
    "container_files.delete": "DELETE /openai/v1/containers/{}/files/{}",
}
"""Method and path by the name that the local service's request log uses."""

AGENT_OPERATIONS = tuple(
    name for name in OPERATIONS if name.partition(".")[0] in ("agent_versions", "named_agents")
)
OPENAI_OPERATIONS = tuple(name for name in OPERATIONS if name not in AGENT_OPERATIONS)

MODEL_TOOLS = ("function", "code_interpreter", "file_search", "mcp", "web_search", "computer_use_preview")
"""Tools that the openai client knows, too."""
PLATFORM_TOOLS = (
    "web_search_preview",
    "openapi",
    "azure_function",
    "azure_ai_search",
    "bing_grounding",
    "bing_custom_search_preview",
    "sharepoint_grounding_preview",
    "fabric_dataagent_preview",
    "browser_automation",
    "browser_automation_preview",
    "a2a",
    "a2a_preview",
)
TOOLS = MODEL_TOOLS + PLATFORM_TOOLS
"""By the type of their definitions: the classic service's under their new names, search of the web, A2A."""

REFUSED_TOOLS = (
    "apply_patch",
    "capture_structured_outputs",
    "computer",
    "custom",
    "fabric_iq_preview",
    "github_copilot_toolset_preview",
    "image_generation",
    "local_shell",
    "memory_search_preview",
    "microsoft_copilot_toolset_preview",
    "namespace",
    "programmatic_tool_calling",
    "shell",
    "tool_search",
    "toolbox_search_preview",
    "web_iq_preview",
    "work_iq_preview",
)
"""Other published tools: an agent may have them, and its responses fail with `unsupported_tool`."""

CONVENIENCES: dict[str, str] = {
    "stream helper": "`responses.stream`: events put together to the response as they come",
    "parsed answer": "`responses.parse`: an answer as an instance of a model class",
    "resumed stream": "a background response's events asked for again, after one of them",
    "upload and poll": "a file is uploaded into a store and waited for",
    "agent endpoint": "responses at the endpoint of one agent, of the version that its rules say",
    "structured inputs": "values of a response that stand in an agent's instructions",
    "agent run": "agent-framework: an agent of the service answers, and calls a function",
    "agent session": "agent-framework: a second turn remembers the first one",
    "agent stream": "agent-framework: an answer as it comes",
    "chat client": "agent-framework: the model without an agent, with a function and a schema",
}
"""What clients offer above the operations."""

RECORDINGS = (
    "agents_crud.json",
    "function_tool_with_conversation.json",
    "preview_background_poll.json",
    "preview_background_stream_and_replay.json",
    "preview_code_interpreter_file.json",
    "preview_conversations_list_and_items.json",
    "preview_delete_response_then_get_400.json",
    "preview_file_search_stream.json",
    "preview_list_responses_by_conversation.json",
    "preview_mcp_approval.json",
    "reported_not_allowed_when_agent_is_specified.json",
    "unsupported_file_type_400.json",
    "v1_a2a_stream.json",
    "v1_agent_not_found_disabled.json",
    "v1_azure_function_500_three_times.json",
    "v1_azure_function_timeout_408_then_resent.json",
    "v1_cancel_background.json",
    "v1_function_call_stream_with_agent.json",
    "v1_gateway_timeout_408_twice.json",
    "v1_list_responses.json",
    "v1_response_without_input_in_conversation.json",
    "v1_workflow_stream.json",
)


@dataclass(frozen=True)
class Client:
    """An official client of the successor's wire.

    Attributes:
        name: package and version.
        folder: where it is installed, below `.venv/successor-clients`.
        module: what drives with it.
        operations: what it has methods for, or sends as it is told.
        tools: what it has classes for.
        conveniences: what it offers above the operations.
        styles: in which it can be used.
    """

    name: str
    folder: str
    module: str
    operations: tuple[str, ...]
    tools: tuple[str, ...]
    conveniences: tuple[str, ...]
    styles: tuple[Literal["blocking", "async"], ...] = ("blocking", "async")

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """The folder of its packages."""
        return CLIENTS_FOLDER / self.folder


@dataclass(frozen=True)
class Driver:
    """An official client that is made to use the service in one style."""

    client: Client
    style: Literal["blocking", "async"]

    def __str__(self) -> str:
        return f"{self.client}-{self.style}"


_OPENAI_CONVENIENCES = ("stream helper", "parsed answer", "resumed stream", "upload and poll")
CLIENTS = (
    Client(
        "azure-ai-projects 2.10.0",
        "azure-ai-projects",
        "projects_client",
        (*AGENT_OPERATIONS, *OPENAI_OPERATIONS),
        TOOLS,
        (*_OPENAI_CONVENIENCES, "agent endpoint", "structured inputs"),
    ),
    Client(
        "openai 3.57.0",
        "azure-ai-projects",
        "openai_client",
        OPENAI_OPERATIONS,
        MODEL_TOOLS,
        _OPENAI_CONVENIENCES,
    ),
    Client(
        "openai 2.54.0",
        "openai-2",
        "openai_client",
        OPENAI_OPERATIONS,
        MODEL_TOOLS,
        _OPENAI_CONVENIENCES,
    ),
    Client(
        "agent-framework-foundry 1.15.0",
        "agent-framework",
        "agent_framework_client",
        (),
        (),
        ("agent run", "agent session", "agent stream", "chat client"),
        ("async",),
    ),
)
DRIVERS = [Driver(client, style) for client in CLIENTS for style in client.styles]
