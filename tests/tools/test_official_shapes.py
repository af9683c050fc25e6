"""The classes of the official library send the same, apart from empty defaults that they add."""

from __future__ import annotations

from typing import Any

import pytest
from azure.ai.agents import models as official

from agent_tasks import tools
from tests.tools.test_hosted import QUEUES, SPEC

QUEUE = {
    name: official.AzureFunctionStorageQueue(
        storage_service_endpoint=queue.queue_service_endpoint, queue_name=queue.queue_name
    )
    for name, queue in QUEUES.items()
}
SCHEMA = {"type": "object", "properties": {}}


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in ("", [], None)}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


PAIRS: dict[str, tuple[tools.Tool, Any]] = {
    "code interpreter": (tools.CodeInterpreterTool(["f"]), official.CodeInterpreterTool(["f"])),
    "file search": (tools.FileSearchTool(["vs_1"]), official.FileSearchTool(["vs_1"])),
    "bing": (tools.BingGroundingTool("c", count=5), official.BingGroundingTool("c")),
    "ai search": (
        tools.AzureAISearchTool("c", "i", top_k=3),
        official.AzureAISearchTool("c", "i", top_k=3),
    ),
    "connected agent": (
        tools.ConnectedAgentTool("asst_1", "lawyer", "Law."),
        official.ConnectedAgentTool("asst_1", "lawyer", "Law."),
    ),
    "azure function": (
        tools.AzureFunctionTool("f", "F.", SCHEMA, **QUEUES),
        official.AzureFunctionTool("f", "F.", SCHEMA, **QUEUE),
    ),
    "openapi, anonymous": (
        tools.OpenApiTool("w", SPEC, "W."),
        official.OpenApiTool("w", "W.", SPEC, official.OpenApiAnonymousAuthDetails()),
    ),
    "openapi, connection": (
        tools.OpenApiTool("w", SPEC, "W.", tools.OpenApiConnectionAuth("c")),
        official.OpenApiTool(
            "w",
            "W.",
            SPEC,
            official.OpenApiConnectionAuthDetails(
                security_scheme=official.OpenApiConnectionSecurityScheme(connection_id="c")
            ),
        ),
    ),
    "openapi, managed identity": (
        tools.OpenApiTool("w", SPEC, "W.", tools.OpenApiManagedAuth("a")),
        official.OpenApiTool(
            "w",
            "W.",
            SPEC,
            official.OpenApiManagedAuthDetails(
                security_scheme=official.OpenApiManagedSecurityScheme(audience="a")
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_same_definitions_and_resources(name: str) -> None:
    ours, theirs = PAIRS[name]
    assert ours.definitions == [without_empty(definition.as_dict()) for definition in theirs.definitions]
    assert ours.resources == without_empty(theirs.resources.as_dict())
