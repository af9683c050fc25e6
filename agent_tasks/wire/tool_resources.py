"""Tool resources: what tools work on, files, stores, indexes and headers."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from agent_tasks.wire.base import Open, WireModel

__all__ = [
    "AISearchIndexResource",
    "AzureAISearchQueryType",
    "AzureAISearchToolResource",
    "CodeInterpreterToolResource",
    "FileSearchToolResource",
    "MCPApprovalPerTool",
    "MCPRequiredApproval",
    "MCPToolList",
    "MCPToolResource",
    "ToolResources",
    "VectorStoreConfiguration",
    "VectorStoreConfigurations",
    "VectorStoreDataSource",
    "VectorStoreDataSourceAssetType",
]


class VectorStoreDataSourceAssetType(StrEnum):
    """What the identifier of a data source is."""

    URI_ASSET = "uri_asset"
    ID_ASSET = "id_asset"


class VectorStoreDataSource(WireModel):
    """A file in the project's own storage, named by its address or its id."""

    uri: str
    type: Open[VectorStoreDataSourceAssetType]


class VectorStoreConfiguration(WireModel):
    """The data sources of a vector store that the service builds itself."""

    data_sources: list[VectorStoreDataSource]


class VectorStoreConfigurations(WireModel):
    """A named vector store that the service builds itself (enterprise file search)."""

    name: str
    configuration: VectorStoreConfiguration


class CodeInterpreterToolResource(WireModel):
    """Files for the code interpreter, at most 20. Recorded: data sources come back as `file_ids`."""

    file_ids: list[str] | None = None
    data_sources: list[VectorStoreDataSource] | None = None


class FileSearchToolResource(WireModel):
    """The vector store to search in, at most one."""

    vector_store_ids: list[str] | None = None
    vector_stores: list[VectorStoreConfigurations] | None = None


class AzureAISearchQueryType(StrEnum):
    """How an index is searched."""

    SIMPLE = "simple"
    SEMANTIC = "semantic"
    VECTOR = "vector"
    VECTOR_SIMPLE_HYBRID = "vector_simple_hybrid"
    VECTOR_SEMANTIC_HYBRID = "vector_semantic_hybrid"


class AISearchIndexResource(WireModel):
    """An index of Azure AI Search."""

    index_connection_id: str | None = None
    index_name: str | None = None
    query_type: Open[AzureAISearchQueryType] | None = None
    top_k: int | None = None
    filter: str | None = None
    index_asset_id: str | None = None


class AzureAISearchToolResource(WireModel):
    """The indexes to search in."""

    indexes: list[AISearchIndexResource] | None = None


class MCPToolList(WireModel):
    """Names of tools of an MCP server."""

    tool_names: list[str]


class MCPApprovalPerTool(WireModel):
    """Which tools need approval."""

    never: MCPToolList | None = None
    always: MCPToolList | None = None


MCPRequiredApproval = str | MCPApprovalPerTool
"""`never`, `always`, or a word for each tool."""


class MCPToolResource(WireModel):
    """Headers for an MCP server. Recorded: their values come back as `REDACTED`."""

    server_label: str
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    require_approval: MCPRequiredApproval | None = None


class ToolResources(WireModel):
    """What the tools of an agent, a thread or a run work on. Recorded: `{}` in the bodies of runs."""

    code_interpreter: CodeInterpreterToolResource | None = None
    file_search: FileSearchToolResource | None = None
    azure_ai_search: AzureAISearchToolResource | None = None
    mcp: list[MCPToolResource] | None = None
