"""Arguments of another kind than a class takes are refused when the object is made, not when a call is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_tasks.client import AgentsClient, AsyncAgentsClient, RetryPolicy, Timeouts
from agent_tasks.errors import ConfigurationError
from agent_tasks.queues import StorageConnection
from agent_tasks.tools import (
    AzureAISearchTool,
    BingGroundingTool,
    CodeInterpreterTool,
    ComputerUseTool,
    ConnectedAgentTool,
    FileSearchTool,
    McpTool,
    OpenApiTool,
    QueueFunctionTool,
    function_tool,
    queue_tools,
    read_definitions,
)

DEFINITIONS = read_definitions(Path(__file__).parents[2] / "examples" / "queues" / "tools.json")
STORAGE = StorageConnection.from_string("AccountName=a;AccountKey=a2V5")
HERE = "http://127.0.0.1:9/api/projects/p"
any_value: Any = "STORAGE"


def look_up(number: str) -> str:
    """Look up."""
    return number


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: queue_tools(DEFINITIONS, drive="pipeline", connection=any_value), "connection is a str"),
        (lambda: queue_tools(DEFINITIONS, drive="service", connection=any_value), "connection is a str"),
        (lambda: queue_tools(DEFINITIONS, drive="pipelin", connection=STORAGE), "drive is 'pipelin'"),
        (lambda: queue_tools(DEFINITIONS, drive="pipeline", connection=STORAGE, deadline="60"), "deadline"),
        (
            lambda: queue_tools(DEFINITIONS, drive="pipeline", connection=STORAGE, idempotent="no"),
            "idempotent",
        ),
        (lambda: QueueFunctionTool(DEFINITIONS[0], any_value), "from_settings"),
        (lambda: QueueFunctionTool(any_value, STORAGE), "definition is a str"),
        (lambda: StorageConnection(connection_string="AccountName=a"), "from_string"),
        (lambda: StorageConnection(queue_endpoint=5), "queue_endpoint is a int"),
        (lambda: CodeInterpreterTool("file_1"), "a list of str"),
        (lambda: CodeInterpreterTool([1]), "file_ids"),
        (lambda: FileSearchTool("vs_1"), "vector_store_ids"),
        (lambda: FileSearchTool(max_num_results="5"), "max_num_results is a str"),
        (lambda: McpTool("s", "https://x.example", allowed_tools="search"), "allowed_tools"),
        (lambda: McpTool("s", "https://x.example", approve=True), "approve is a bool"),
        (lambda: McpTool("s", "https://x.example", require_approval="sometimes"), "require_approval"),
        (lambda: OpenApiTool("t", "{}"), "spec is a str"),
        (lambda: OpenApiTool("t", {}, auth="key"), "auth is a str"),
        (lambda: AzureAISearchTool("c", "i", top_k="3"), "top_k is a str"),
        (lambda: BingGroundingTool("c", count="3"), "count is a str"),
        (lambda: ConnectedAgentTool("asst_1", "a", None), "description"),
        (lambda: ComputerUseTool("1024", 768), "display_width is a str"),
        (lambda: function_tool(timeout="5")(look_up), "timeout is a str"),
        (lambda: RetryPolicy(attempts="3"), "attempts is a str"),
        (lambda: Timeouts(read="3"), "read is a str"),
        (lambda: AsyncAgentsClient(HERE, None, timeout=30), "timeout is a int"),
        (lambda: AgentsClient(HERE, None, retry=3), "retry is a int"),
        (lambda: AgentsClient(HERE, any_value), "credential is a str"),
    ],
)
def test_an_argument_of_another_kind_is_refused_at_once(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        make()
    assert said in str(refused.value)
    assert refused.value.setting


def test_what_fits_is_taken() -> None:
    McpTool("s", "https://x.example", headers={"a": SecretStr("b"), "c": "d"}, approve=lambda call: True)
    assert len(queue_tools(DEFINITIONS, drive="pipeline", connection=STORAGE, deadline=60)) == len(
        DEFINITIONS
    )
    assert RetryPolicy(total_time=5).total_time == 5
