"""Tools: what an agent may use."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from agent_tasks.wire.base import ByType, Open, WireModel

__all__ = [
    "AnyOpenApiAuthDetails",
    "AnyToolDefinition",
    "AzureAISearchToolDefinition",
    "AzureFunctionBinding",
    "AzureFunctionDefinition",
    "AzureFunctionStorageQueue",
    "AzureFunctionToolDefinition",
    "BingCustomSearchConfiguration",
    "BingCustomSearchToolDefinition",
    "BingCustomSearchToolParameters",
    "BingGroundingSearchConfiguration",
    "BingGroundingSearchToolParameters",
    "BingGroundingToolDefinition",
    "BrowserAutomationToolConnectionParameters",
    "BrowserAutomationToolDefinition",
    "BrowserAutomationToolParameters",
    "CodeInterpreterToolDefinition",
    "ComputerUseEnvironment",
    "ComputerUseToolDefinition",
    "ComputerUseToolParameters",
    "ConnectedAgentDetails",
    "ConnectedAgentToolDefinition",
    "DeepResearchBingGroundingConnection",
    "DeepResearchDetails",
    "DeepResearchToolDefinition",
    "FabricDataAgentToolParameters",
    "FileSearchRankingOptions",
    "FileSearchToolDefinition",
    "FileSearchToolDefinitionDetails",
    "FunctionDefinition",
    "FunctionToolDefinition",
    "MCPToolDefinition",
    "MicrosoftFabricToolDefinition",
    "OpenApiAnonymousAuthDetails",
    "OpenApiAuthDetails",
    "OpenApiAuthType",
    "OpenApiConnectionAuthDetails",
    "OpenApiConnectionSecurityScheme",
    "OpenApiFunctionDefinition",
    "OpenApiManagedAuthDetails",
    "OpenApiManagedSecurityScheme",
    "OpenApiToolDefinition",
    "SharepointGroundingToolParameters",
    "SharepointToolDefinition",
    "ToolConnection",
    "ToolDefinition",
]


class ToolConnection(WireModel):
    """A connection of the project, by its resource id."""

    connection_id: str


class ToolDefinition(WireModel):
    """Base of all tools; stands for any type that this version does not know."""

    type: str


class FunctionDefinition(WireModel):
    """A function as the model sees it."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    """JSON schema of the arguments."""
    strict: bool | None = None
    """Recorded: the service adds `false` to its echo."""


class FunctionToolDefinition(ToolDefinition):
    """A function that the caller runs: the run stops at `requires_action` for it."""

    type: Literal["function"] = "function"
    function: FunctionDefinition


class CodeInterpreterToolDefinition(ToolDefinition):
    """Python in the service's sandbox."""

    type: Literal["code_interpreter"] = "code_interpreter"


class FileSearchRankingOptions(WireModel):
    """How search results are ranked."""

    ranker: str
    score_threshold: float
    """0 to 1; results below it are left out."""


class FileSearchToolDefinitionDetails(WireModel):
    """Limits of a file search."""

    max_num_results: int | None = None
    ranking_options: FileSearchRankingOptions | None = None


class FileSearchToolDefinition(ToolDefinition):
    """Search in vector stores."""

    type: Literal["file_search"] = "file_search"
    file_search: FileSearchToolDefinitionDetails | None = None


class BingGroundingSearchConfiguration(WireModel):
    """One Bing connection and what to ask it for."""

    connection_id: str
    market: str | None = None
    set_lang: str | None = None
    count: int | None = None
    freshness: str | None = None


class BingGroundingSearchToolParameters(WireModel):
    """Parameters of Bing grounding."""

    search_configurations: list[BingGroundingSearchConfiguration]


class BingGroundingToolDefinition(ToolDefinition):
    """Web search by Bing."""

    type: Literal["bing_grounding"] = "bing_grounding"
    bing_grounding: BingGroundingSearchToolParameters


class BingCustomSearchConfiguration(BingGroundingSearchConfiguration):
    """One Bing custom search instance and what to ask it for."""

    instance_name: str


class BingCustomSearchToolParameters(WireModel):
    """Parameters of Bing custom search."""

    search_configurations: list[BingCustomSearchConfiguration]


class BingCustomSearchToolDefinition(ToolDefinition):
    """Search in chosen sites by Bing (preview)."""

    type: Literal["bing_custom_search"] = "bing_custom_search"
    bing_custom_search: BingCustomSearchToolParameters


class AzureAISearchToolDefinition(ToolDefinition):
    """Search in Azure AI Search indexes; the indexes are in the tool resources."""

    type: Literal["azure_ai_search"] = "azure_ai_search"


class AzureFunctionStorageQueue(WireModel):
    """A storage queue."""

    queue_service_endpoint: str
    queue_name: str


class AzureFunctionBinding(WireModel):
    """Where the service sends calls to, or reads answers from."""

    type: str = "storage_queue"
    storage_queue: AzureFunctionStorageQueue


class AzureFunctionDefinition(WireModel):
    """A function served over two queues."""

    function: FunctionDefinition
    input_binding: AzureFunctionBinding
    output_binding: AzureFunctionBinding


class AzureFunctionToolDefinition(ToolDefinition):
    """A function that the service calls over storage queues itself: the run stays `in_progress`."""

    type: Literal["azure_function"] = "azure_function"
    azure_function: AzureFunctionDefinition


class ConnectedAgentDetails(WireModel):
    """Another agent of the project."""

    id: str
    name: str
    description: str


class ConnectedAgentToolDefinition(ToolDefinition):
    """Another agent as a tool."""

    type: Literal["connected_agent"] = "connected_agent"
    connected_agent: ConnectedAgentDetails


class OpenApiAuthType(StrEnum):
    """How an OpenAPI tool signs in."""

    ANONYMOUS = "anonymous"
    CONNECTION = "connection"
    MANAGED_IDENTITY = "managed_identity"


class OpenApiAuthDetails(WireModel):
    """How the service signs in to an OpenAPI service; stands for any unknown way."""

    type: str


class OpenApiAnonymousAuthDetails(OpenApiAuthDetails):
    """No sign-in."""

    type: Literal["anonymous"] = "anonymous"


class OpenApiConnectionSecurityScheme(WireModel):
    """A connection of the project that holds the secret."""

    connection_id: str


class OpenApiConnectionAuthDetails(OpenApiAuthDetails):
    """Sign-in by a connection of the project."""

    type: Literal["connection"] = "connection"
    security_scheme: OpenApiConnectionSecurityScheme


class OpenApiManagedSecurityScheme(WireModel):
    """The audience of the token."""

    audience: str


class OpenApiManagedAuthDetails(OpenApiAuthDetails):
    """Sign-in by the project's managed identity."""

    type: Literal["managed_identity"] = "managed_identity"
    security_scheme: OpenApiManagedSecurityScheme


AnyOpenApiAuthDetails = Annotated[
    OpenApiAnonymousAuthDetails
    | OpenApiConnectionAuthDetails
    | OpenApiManagedAuthDetails
    | OpenApiAuthDetails,
    ByType(),
]


class OpenApiFunctionDefinition(WireModel):
    """An OpenAPI document whose operations become functions."""

    name: str
    description: str | None = None
    spec: Any
    """The OpenAPI document as JSON."""
    auth: AnyOpenApiAuthDetails
    default_params: list[str] | None = None
    functions: list[FunctionDefinition] | None = None


class OpenApiToolDefinition(ToolDefinition):
    """HTTP operations that the service calls itself."""

    type: Literal["openapi"] = "openapi"
    openapi: OpenApiFunctionDefinition


class MCPToolDefinition(ToolDefinition):
    """Tools of an MCP server (preview)."""

    type: Literal["mcp"] = "mcp"
    server_label: str
    server_url: str
    allowed_tools: list[str] | None = None
    """Recorded: the service echoes `null` where it was left out."""


class FabricDataAgentToolParameters(WireModel):
    """Connections to Fabric data agents."""

    connections: list[ToolConnection] | None = None


class MicrosoftFabricToolDefinition(ToolDefinition):
    """A Microsoft Fabric data agent (preview)."""

    type: Literal["fabric_dataagent"] = "fabric_dataagent"
    fabric_dataagent: FabricDataAgentToolParameters


class SharepointGroundingToolParameters(WireModel):
    """Connections to SharePoint sites."""

    connections: list[ToolConnection] | None = None


class SharepointToolDefinition(ToolDefinition):
    """Search in SharePoint (preview)."""

    type: Literal["sharepoint_grounding"] = "sharepoint_grounding"
    sharepoint_grounding: SharepointGroundingToolParameters


class DeepResearchBingGroundingConnection(WireModel):
    """The Bing connection that deep research searches with."""

    connection_id: str


class DeepResearchDetails(WireModel):
    """The research model and its connections."""

    deep_research_model: str
    bing_grounding_connections: list[DeepResearchBingGroundingConnection]


class DeepResearchToolDefinition(ToolDefinition):
    """Research by a model made for it (preview)."""

    type: Literal["deep_research"] = "deep_research"
    deep_research: DeepResearchDetails


class BrowserAutomationToolConnectionParameters(WireModel):
    """The connection to a browser workspace."""

    id: str


class BrowserAutomationToolParameters(WireModel):
    """Parameters of browser automation."""

    connection: BrowserAutomationToolConnectionParameters


class BrowserAutomationToolDefinition(ToolDefinition):
    """A remote browser (preview)."""

    type: Literal["browser_automation"] = "browser_automation"
    browser_automation: BrowserAutomationToolParameters


class ComputerUseEnvironment(StrEnum):
    """What a model that uses a computer has before it."""

    WINDOWS = "windows"
    MAC = "mac"
    LINUX = "linux"
    BROWSER = "browser"


class ComputerUseToolParameters(WireModel):
    """The display that the model acts on, in pixels."""

    display_width: int
    display_height: int
    environment: Open[ComputerUseEnvironment]


class ComputerUseToolDefinition(ToolDefinition):
    """Mouse and keyboard, carried out by the caller (preview)."""

    type: Literal["computer_use_preview"] = "computer_use_preview"
    computer_use_preview: ComputerUseToolParameters


AnyToolDefinition = Annotated[
    AzureAISearchToolDefinition
    | AzureFunctionToolDefinition
    | BingCustomSearchToolDefinition
    | BingGroundingToolDefinition
    | BrowserAutomationToolDefinition
    | CodeInterpreterToolDefinition
    | ComputerUseToolDefinition
    | ConnectedAgentToolDefinition
    | DeepResearchToolDefinition
    | FileSearchToolDefinition
    | FunctionToolDefinition
    | MCPToolDefinition
    | MicrosoftFabricToolDefinition
    | OpenApiToolDefinition
    | SharepointToolDefinition
    | ToolDefinition,
    ByType(),
]
