"""Tools that work on files: code interpreter and file search, and files that come with a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_tasks import wire
from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.base import HostedTool, at_most, given, named
from agent_tasks.wire import (
    CodeInterpreterToolDefinition,
    CodeInterpreterToolResource,
    FileSearchRankingOptions,
    FileSearchToolDefinition,
    FileSearchToolDefinitionDetails,
    FileSearchToolResource,
    ToolDefinition,
    ToolResources,
    VectorStoreConfiguration,
    VectorStoreConfigurations,
    VectorStoreDataSource,
    VectorStoreDataSourceAssetType,
)
from agent_tasks.wire.content import AttachmentTool

MAX_INTERPRETER_FILES = 20
MAX_SEARCH_RESULTS = 50


def uri_asset(uri: str) -> VectorStoreDataSource:
    """A file in the project's own storage, by its address (`azureml://...`, or a blob's https address)."""
    named("a data source", uri=uri)
    return VectorStoreDataSource(uri=uri, type=VectorStoreDataSourceAssetType.URI_ASSET)


def id_asset(asset_id: str) -> VectorStoreDataSource:
    """A registered data asset of the project, by its id."""
    named("a data source", asset_id=asset_id)
    return VectorStoreDataSource(uri=asset_id, type=VectorStoreDataSourceAssetType.ID_ASSET)


@dataclass(frozen=True)
class CodeInterpreterTool(HostedTool):
    """Python in the service's sandbox: it computes, draws, reads and writes files.

    Files that it wrote come back in the answer as `file_path` annotations and image contents.

    Raises ConfigurationError for files together with data sources, and for more than 20 of them.
    """

    file_ids: Sequence[str] = ()
    """Uploaded files that the code can read."""
    data_sources: Sequence[VectorStoreDataSource] = ()
    """Files in the project's own storage that the code can read: `uri_asset(...)`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "file_ids", _distinct(self.file_ids))
        object.__setattr__(self, "data_sources", tuple(self.data_sources))
        if self.file_ids and self.data_sources:
            raise ConfigurationError("CodeInterpreterTool takes file_ids or data_sources, not both")
        at_most("CodeInterpreterTool", "file_ids", tuple(self.file_ids), MAX_INTERPRETER_FILES)
        at_most("CodeInterpreterTool", "data_sources", tuple(self.data_sources), MAX_INTERPRETER_FILES)

    def _definitions(self) -> list[ToolDefinition]:
        return [CodeInterpreterToolDefinition()]

    def _resources(self) -> ToolResources | None:
        if not self.file_ids and not self.data_sources:
            return None
        found = given(file_ids=list(self.file_ids) or None, data_sources=list(self.data_sources) or None)
        return ToolResources(code_interpreter=CodeInterpreterToolResource(**found))


@dataclass(frozen=True)
class FileSearchTool(HostedTool):
    """Search in vector stores; the answer cites what it found.

    Name a store that was built before (`vector_store_ids`), or let the service build one from files in the
    project's own storage (`data_sources`: enterprise file search).

    Raises ConfigurationError for more than one store, and for ranking options out of their range.
    """

    vector_store_ids: Sequence[str] = ()
    """The store to search in, at most one."""
    data_sources: Sequence[VectorStoreDataSource] = ()
    """Files in the project's own storage: `uri_asset(...)`."""
    store_name: str = "data-sources"
    """Name of the store that the service builds from `data_sources`."""
    max_num_results: int | None = None
    """Results per search, 1 to 50; the service's own default is 20."""
    ranker: str | None = None
    """`auto` or `default_2024_08_21` (recorded default)."""
    score_threshold: float | None = None
    """0 to 1: results below it are left out."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector_store_ids", _distinct(self.vector_store_ids))
        object.__setattr__(self, "data_sources", tuple(self.data_sources))
        at_most("FileSearchTool", "vector_store_ids", tuple(self.vector_store_ids), 1)
        if self.vector_store_ids and self.data_sources:
            raise ConfigurationError("FileSearchTool takes vector_store_ids or data_sources, not both")
        if self.max_num_results is not None and not 1 <= self.max_num_results <= MAX_SEARCH_RESULTS:
            raise ConfigurationError(
                f"FileSearchTool: max_num_results must be 1 to {MAX_SEARCH_RESULTS}, "
                f"not {self.max_num_results}"
            )
        if self.score_threshold is not None and not 0 <= self.score_threshold <= 1:
            raise ConfigurationError(
                f"FileSearchTool: score_threshold must be 0 to 1, not {self.score_threshold}"
            )

    def _definitions(self) -> list[ToolDefinition]:
        ranking = None
        if self.ranker is not None or self.score_threshold is not None:
            ranking = FileSearchRankingOptions(
                ranker=self.ranker or "auto", score_threshold=self.score_threshold or 0.0
            )
        details = given(max_num_results=self.max_num_results, ranking_options=ranking)
        if not details:
            return [FileSearchToolDefinition()]
        return [FileSearchToolDefinition(file_search=FileSearchToolDefinitionDetails(**details))]

    def _resources(self) -> ToolResources | None:
        if self.data_sources:
            store = VectorStoreConfigurations(
                name=self.store_name,
                configuration=VectorStoreConfiguration(data_sources=list(self.data_sources)),
            )
            return ToolResources(file_search=FileSearchToolResource(vector_stores=[store]))
        if not self.vector_store_ids:
            return None
        return ToolResources(file_search=FileSearchToolResource(vector_store_ids=list(self.vector_store_ids)))


def attachment(
    file: str | VectorStoreDataSource, *tools: CodeInterpreterTool | FileSearchTool
) -> dict[str, Any]:
    """A file that comes with a message, for `attachments=` of `messages.create`.

    Args:
        file: Id of an uploaded file, or a data source (`uri_asset(...)`).
        tools: Which tools may use it; by default `FileSearchTool()`.
    """
    if isinstance(file, str):
        named("an attachment", file=file)
    # In an attachment a tool is named without its options (spec: MessageAttachmentToolDefinition).
    kinds: list[AttachmentTool] = [
        "code_interpreter" if isinstance(tool, CodeInterpreterTool) else "file_search"
        for tool in tools or (FileSearchTool(),)
    ]
    return wire.attachment(file, *kinds).to_wire()


def _distinct(values: Sequence[str]) -> tuple[str, ...]:
    if isinstance(values, str):
        raise ConfigurationError(f"a list of ids is needed, not the text {values!r}: write [{values!r}]")
    return tuple(dict.fromkeys(values))
