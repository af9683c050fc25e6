"""Tools that search outside the project's files: Azure AI Search and Bing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import HostedTool, given, named
from agent_tasks.wire import (
    AISearchIndexResource,
    AzureAISearchQueryType,
    AzureAISearchToolDefinition,
    AzureAISearchToolResource,
    BingCustomSearchConfiguration,
    BingCustomSearchToolDefinition,
    BingCustomSearchToolParameters,
    BingGroundingSearchConfiguration,
    BingGroundingSearchToolParameters,
    BingGroundingToolDefinition,
    ToolDefinition,
    ToolResources,
)

MAX_BING_RESULTS = 50


@dataclass(frozen=True)
class AzureAISearchTool(HostedTool):
    """Search in an index of Azure AI Search; the answer cites the documents by address.

    Name the index by connection and name, or by the id of a registered index asset.

    Raises ConfigurationError where neither is given, or both.
    """

    index_connection_id: str | None = None
    """Id of the project's connection to the search service."""
    index_name: str | None = None
    """Name of the index in that service."""
    query_type: AzureAISearchQueryType | str = AzureAISearchQueryType.SIMPLE
    """How to search: `simple`, `semantic`, `vector`, `vector_simple_hybrid`, `vector_semantic_hybrid`."""
    top_k: int | None = None
    """Documents per search; the service's own default is 5."""
    filter: str | None = None
    """OData filter that every document must meet."""
    index_asset_id: str | None = None
    """Id of a registered index asset, instead of connection and name."""

    def __post_init__(self) -> None:
        by_name = self.index_connection_id is not None or self.index_name is not None
        if by_name == (self.index_asset_id is not None):
            raise ConfigurationError(
                "AzureAISearchTool needs index_connection_id and index_name, or index_asset_id alone"
            )
        if by_name:
            named(
                "AzureAISearchTool",
                index_connection_id=self.index_connection_id or "",
                index_name=self.index_name or "",
            )
        if self.top_k is not None and self.top_k < 1:
            raise ConfigurationError(f"AzureAISearchTool: top_k must be 1 or more, not {self.top_k}")

    def _definitions(self) -> list[ToolDefinition]:
        return [AzureAISearchToolDefinition()]

    def _resources(self) -> ToolResources | None:
        index = AISearchIndexResource(
            **given(
                index_connection_id=self.index_connection_id,
                index_name=self.index_name,
                query_type=self.query_type,
                top_k=self.top_k,
                filter=self.filter,
                index_asset_id=self.index_asset_id,
            )
        )
        return ToolResources(azure_ai_search=AzureAISearchToolResource(indexes=[index]))


@dataclass(frozen=True)
class BingGroundingTool(HostedTool):
    """Search of the web by Bing; the answer cites pages as `url_citation`.

    Raises ConfigurationError without a connection, or for `count` outside 1 to 50.
    """

    connection_id: str
    """Id of the project's connection to Grounding with Bing Search."""
    market: str | None = None
    """Where results come from, such as `en-US`."""
    set_lang: str | None = None
    """Language of texts in results, such as `en`."""
    count: int | None = None
    """Results per search, 1 to 50; the service's own default is 5."""
    freshness: str | None = None
    """How old results may be: `Day`, `Week`, `Month`, or two dates `2026-01-01..2026-02-01`."""

    def __post_init__(self) -> None:
        named(type(self).__name__, connection_id=self.connection_id)
        if self.count is not None and not 1 <= self.count <= MAX_BING_RESULTS:
            raise ConfigurationError(
                f"{type(self).__name__}: count must be 1 to {MAX_BING_RESULTS}, not {self.count}"
            )

    def _options(self) -> dict[str, Any]:
        return given(
            connection_id=self.connection_id,
            market=self.market,
            set_lang=self.set_lang,
            count=self.count,
            freshness=self.freshness,
        )

    def _definitions(self) -> list[ToolDefinition]:
        search = BingGroundingSearchConfiguration(**self._options())
        parameters = BingGroundingSearchToolParameters(search_configurations=[search])
        return [BingGroundingToolDefinition(bing_grounding=parameters)]


@dataclass(frozen=True)
class BingCustomSearchTool(BingGroundingTool):
    """Search in the sites of a Bing custom search instance (preview)."""

    instance_name: str = ""
    """The instance that lists the sites."""

    def __post_init__(self) -> None:
        super().__post_init__()
        named("BingCustomSearchTool", instance_name=self.instance_name)

    def _definitions(self) -> list[ToolDefinition]:
        search = BingCustomSearchConfiguration(**self._options(), instance_name=self.instance_name)
        parameters = BingCustomSearchToolParameters(search_configurations=[search])
        return [BingCustomSearchToolDefinition(bing_custom_search=parameters)]
