"""Every tool, in the shape in which the wire has it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools import (
    ApprovalPerTool,
    AzureAISearchTool,
    AzureFunctionTool,
    BingCustomSearchTool,
    BingGroundingTool,
    BrowserAutomationTool,
    CodeInterpreterTool,
    ComputerUseTool,
    ConnectedAgentTool,
    DeepResearchTool,
    FabricTool,
    FileSearchTool,
    FunctionTool,
    McpTool,
    OpenApiAnonymousAuth,
    OpenApiConnectionAuth,
    OpenApiManagedAuth,
    OpenApiTool,
    SharepointTool,
    StorageQueue,
    Tool,
    ToolSet,
    attachment,
    id_asset,
    uri_asset,
)
from agent_tasks.wire import AnyToolDefinition, MessageAttachment, ToolDefinition, ToolResources
from agents_emulator.strictness import check_body

SPEC = {
    "openapi": "3.0.3",
    "info": {"title": "Weather", "version": "1"},
    "paths": {
        "/weather": {"get": {"operationId": "getWeather", "responses": {"200": {"description": "ok"}}}}
    },
}
QUEUES = {
    "input_queue": StorageQueue("https://account.queue.core.windows.net", "calls"),
    "output_queue": StorageQueue("https://account.queue.core.windows.net", "answers"),
}


def stock(item: str) -> int:
    """Tell how many there are."""
    return len(item)


TOOLS: dict[str, tuple[Tool, list[dict[str, Any]], dict[str, Any]]] = {
    "code_interpreter": (
        CodeInterpreterTool(file_ids=["assistant-1", "assistant-1", "assistant-2"]),
        [{"type": "code_interpreter"}],
        {"code_interpreter": {"file_ids": ["assistant-1", "assistant-2"]}},
    ),
    "code_interpreter on data sources": (
        CodeInterpreterTool(data_sources=[uri_asset("azureml://x/y.csv")]),
        [{"type": "code_interpreter"}],
        {"code_interpreter": {"data_sources": [{"uri": "azureml://x/y.csv", "type": "uri_asset"}]}},
    ),
    "file_search": (
        FileSearchTool(["vs_1"], max_num_results=7, score_threshold=0.5),
        [
            {
                "type": "file_search",
                "file_search": {
                    "max_num_results": 7,
                    "ranking_options": {"ranker": "auto", "score_threshold": 0.5},
                },
            }
        ],
        {"file_search": {"vector_store_ids": ["vs_1"]}},
    ),
    "enterprise file search": (
        FileSearchTool(data_sources=[uri_asset("azureml://x/y.pdf"), id_asset("asset:1")], store_name="law"),
        [{"type": "file_search"}],
        {
            "file_search": {
                "vector_stores": [
                    {
                        "name": "law",
                        "configuration": {
                            "data_sources": [
                                {"uri": "azureml://x/y.pdf", "type": "uri_asset"},
                                {"uri": "asset:1", "type": "id_asset"},
                            ]
                        },
                    }
                ]
            }
        },
    ),
    "bing_grounding": (
        BingGroundingTool("conn", market="en-US", count=3, freshness="Week"),
        [
            {
                "type": "bing_grounding",
                "bing_grounding": {
                    "search_configurations": [
                        {"connection_id": "conn", "market": "en-US", "count": 3, "freshness": "Week"}
                    ]
                },
            }
        ],
        {},
    ),
    "bing_custom_search": (
        BingCustomSearchTool("conn", instance_name="laws"),
        [
            {
                "type": "bing_custom_search",
                "bing_custom_search": {
                    "search_configurations": [{"connection_id": "conn", "instance_name": "laws"}]
                },
            }
        ],
        {},
    ),
    "azure_ai_search": (
        AzureAISearchTool("conn", "products", query_type="semantic", top_k=3, filter="price lt 9"),
        [{"type": "azure_ai_search"}],
        {
            "azure_ai_search": {
                "indexes": [
                    {
                        "index_connection_id": "conn",
                        "index_name": "products",
                        "query_type": "semantic",
                        "top_k": 3,
                        "filter": "price lt 9",
                    }
                ]
            }
        },
    ),
    "azure_function": (
        AzureFunctionTool("count", "Counts.", {"type": "object", "properties": {}}, **QUEUES),
        [
            {
                "type": "azure_function",
                "azure_function": {
                    "function": {
                        "name": "count",
                        "description": "Counts.",
                        "parameters": {"type": "object", "properties": {}},
                    },
                    "input_binding": {
                        "type": "storage_queue",
                        "storage_queue": {
                            "queue_service_endpoint": "https://account.queue.core.windows.net",
                            "queue_name": "calls",
                        },
                    },
                    "output_binding": {
                        "type": "storage_queue",
                        "storage_queue": {
                            "queue_service_endpoint": "https://account.queue.core.windows.net",
                            "queue_name": "answers",
                        },
                    },
                },
            }
        ],
        {},
    ),
    "openapi": (
        OpenApiTool("weather", SPEC, "Weather.", OpenApiConnectionAuth("conn"), default_params=["format"])
        .with_definition("more", SPEC, auth=OpenApiManagedAuth("https://audience"))
        .with_definition("same", SPEC)
        .with_definition("open", SPEC, auth=OpenApiAnonymousAuth()),
        [
            {
                "type": "openapi",
                "openapi": {
                    "name": "weather",
                    "spec": SPEC,
                    "description": "Weather.",
                    "auth": {"type": "connection", "security_scheme": {"connection_id": "conn"}},
                    "default_params": ["format"],
                },
            },
            {
                "type": "openapi",
                "openapi": {
                    "name": "more",
                    "spec": SPEC,
                    "auth": {"type": "managed_identity", "security_scheme": {"audience": "https://audience"}},
                },
            },
            {
                "type": "openapi",
                "openapi": {
                    "name": "same",
                    "spec": SPEC,
                    "auth": {"type": "connection", "security_scheme": {"connection_id": "conn"}},
                },
            },
            {"type": "openapi", "openapi": {"name": "open", "spec": SPEC, "auth": {"type": "anonymous"}}},
        ],
        {},
    ),
    "connected_agent": (
        ConnectedAgentTool("asst_1", "lawyer", "Knows the law."),
        [
            {
                "type": "connected_agent",
                "connected_agent": {"id": "asst_1", "name": "lawyer", "description": "Knows the law."},
            }
        ],
        {},
    ),
    "mcp": (
        McpTool(
            "docs", "https://mcp.example/api", ["search"], {"X-Key": "k"}, ApprovalPerTool(never=["search"])
        ),
        [
            {
                "type": "mcp",
                "server_label": "docs",
                "server_url": "https://mcp.example/api",
                "allowed_tools": ["search"],
            }
        ],
        {
            "mcp": [
                {
                    "server_label": "docs",
                    "headers": {"X-Key": "k"},
                    "require_approval": {"never": {"tool_names": ["search"]}},
                }
            ]
        },
    ),
    "fabric_dataagent": (
        FabricTool("conn"),
        [
            {
                "type": "fabric_dataagent",
                "fabric_dataagent": {"connections": [{"connection_id": "conn"}]},
            }
        ],
        {},
    ),
    "sharepoint_grounding": (
        SharepointTool("conn"),
        [
            {
                "type": "sharepoint_grounding",
                "sharepoint_grounding": {"connections": [{"connection_id": "conn"}]},
            }
        ],
        {},
    ),
    "deep_research": (
        DeepResearchTool("conn", "o3-deep-research"),
        [
            {
                "type": "deep_research",
                "deep_research": {
                    "deep_research_model": "o3-deep-research",
                    "bing_grounding_connections": [{"connection_id": "conn"}],
                },
            }
        ],
        {},
    ),
    "browser_automation": (
        BrowserAutomationTool("conn"),
        [{"type": "browser_automation", "browser_automation": {"connection": {"id": "conn"}}}],
        {},
    ),
    "computer_use_preview": (
        ComputerUseTool(1024, 768, "browser"),
        [
            {
                "type": "computer_use_preview",
                "computer_use_preview": {
                    "display_width": 1024,
                    "display_height": 768,
                    "environment": "browser",
                },
            }
        ],
        {},
    ),
    "function": (
        FunctionTool.from_callable(stock),
        [
            {
                "type": "function",
                "function": {
                    "name": "stock",
                    "description": "Tell how many there are.",
                    "parameters": {
                        "type": "object",
                        "properties": {"item": {"type": "string"}},
                        "required": ["item"],
                        "additionalProperties": False,
                    },
                },
            }
        ],
        {},
    ),
}


@pytest.mark.parametrize("name", TOOLS)
def test_tool_has_the_shape_of_the_wire(name: str) -> None:
    tool, definitions, resources = TOOLS[name]
    assert tool.definitions == definitions
    assert tool.resources == resources
    adapter: TypeAdapter[ToolDefinition] = TypeAdapter(AnyToolDefinition)
    for definition in tool.definitions:
        parsed = adapter.validate_python(definition)
        assert type(parsed) is not ToolDefinition, "the wire knows this kind"
        assert parsed.to_wire() == definition
    assert ToolResources.model_validate(tool.resources).to_wire() == resources
    check_body("agents.create", {"model": "m", "tools": tool.definitions, "tool_resources": tool.resources})


def test_every_kind_of_tool_of_the_wire_has_a_class() -> None:
    from agent_tasks.wire import AgentsNamedToolChoiceType

    kinds = {definition["type"] for _, definitions, _ in TOOLS.values() for definition in definitions}
    # A run cannot be made to choose these, so the list of choices does not have them.
    assert kinds == {*map(str, AgentsNamedToolChoiceType), "azure_function", "openapi", "browser_automation"}


def test_tools_without_options_send_none() -> None:
    assert CodeInterpreterTool().resources == FileSearchTool().resources == {}
    assert FileSearchTool().definitions == [{"type": "file_search"}]
    assert McpTool("a", "https://a.example").definitions == [
        {"type": "mcp", "server_label": "a", "server_url": "https://a.example"}
    ]
    assert AzureAISearchTool(index_asset_id="asset").resources["azure_ai_search"]["indexes"] == [
        {"query_type": "simple", "index_asset_id": "asset"}
    ]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: CodeInterpreterTool(["f"], [uri_asset("u")]), "not both"),
        (lambda: CodeInterpreterTool([f"f{n}" for n in range(21)]), "at most 20 file_ids"),
        (lambda: CodeInterpreterTool("f"), "a list of str"),
        (lambda: FileSearchTool(["a", "b"]), "at most 1 vector_store_ids"),
        (lambda: FileSearchTool(["a"], [uri_asset("u")]), "not both"),
        (lambda: FileSearchTool(max_num_results=51), "1 to 50"),
        (lambda: FileSearchTool(score_threshold=1.5), "0 to 1"),
        (lambda: uri_asset(" "), "uri"),
        (lambda: AzureAISearchTool(), "index_asset_id"),
        (lambda: AzureAISearchTool("c", "i", index_asset_id="a"), "alone"),
        (lambda: AzureAISearchTool("c"), "index_name"),
        (lambda: BingGroundingTool(""), "connection_id"),
        (lambda: BingGroundingTool("c", count=0), "1 to 50"),
        (lambda: BingCustomSearchTool("c"), "instance_name"),
        (lambda: ConnectedAgentTool("asst_1", "two words", "d"), "letters, digits"),
        (lambda: FabricTool(""), "connection_id"),
        (lambda: SharepointTool(""), "connection_id"),
        (lambda: DeepResearchTool("c", ""), "deep_research_model"),
        (lambda: BrowserAutomationTool(""), "connection_id"),
        (lambda: ComputerUseTool(0, 5), "0 x 5"),
        (lambda: McpTool("", "https://x"), "server_label"),
        (lambda: McpTool("a", "ftp://x"), "http address"),
        (lambda: McpTool("a", "https://me:secret@x/"), "in headers"),
        (lambda: McpTool("a", "https://x", require_approval="often"), "require_approval"),  # type: ignore[arg-type]
        (lambda: StorageQueue("https://a.example", "Upper"), "lower-case"),
        (lambda: StorageQueue("https://a.example?sig=1", "calls"), "without a signature"),
        (lambda: AzureFunctionTool("f", "d", {}, QUEUES["input_queue"], QUEUES["input_queue"]), "same queue"),
        (lambda: OpenApiTool("two words", SPEC), "letters, digits"),
        (lambda: OpenApiTool("a", {"openapi": "3.0.3"}), "no paths"),
        (lambda: OpenApiTool("a", {"paths": {"/x": {"get": {}}}}), "operationId"),
        (lambda: OpenApiTool("a", SPEC).with_definition("a", SPEC), "two OpenAPI documents"),
        (lambda: OpenApiTool("a", SPEC).without_definition("b"), "no OpenAPI document"),
        (lambda: OpenApiTool("a", SPEC).without_definition("a"), "only"),
    ],
)
def test_impossible_tool_is_refused_in_plain_words(make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_removing_the_first_document_keeps_the_others_sign_in() -> None:
    tool = OpenApiTool("a", SPEC, auth=OpenApiManagedAuth("aud")).with_definition("b", SPEC)
    tool = tool.with_definition("c", SPEC, auth=OpenApiAnonymousAuth()).without_definition("a")
    assert [(d["openapi"]["name"], d["openapi"]["auth"]["type"]) for d in tool.definitions] == [
        ("b", "managed_identity"),
        ("c", "anonymous"),
    ]


def test_azure_function_is_described_by_a_python_function() -> None:
    tool = AzureFunctionTool.from_callable(stock, **QUEUES)
    assert tool.definitions[0]["azure_function"]["function"] == {
        "name": "stock",
        "description": "Tell how many there are.",
        "parameters": FunctionTool.from_callable(stock).parameters,
    }


def test_approvals_carry_the_headers() -> None:
    tool = McpTool("a", "https://x", headers={"Authorization": SecretStr("Bearer t")})
    assert tool.approval("call_1") == {
        "tool_call_id": "call_1",
        "approve": True,
        "headers": {"Authorization": "Bearer t"},
    }
    assert McpTool("a", "https://x").approval("call_1", approve=False) == {
        "tool_call_id": "call_1",
        "approve": False,
    }


def test_attachments_of_messages() -> None:
    by_id = attachment("assistant-1", FileSearchTool(max_num_results=3), CodeInterpreterTool())
    assert by_id == {
        "file_id": "assistant-1",
        "tools": [{"type": "file_search"}, {"type": "code_interpreter"}],
    }
    by_source = attachment(uri_asset("azureml://x"))
    assert by_source == {
        "data_source": {"uri": "azureml://x", "type": "uri_asset"},
        "tools": [{"type": "file_search"}],
    }
    assert MessageAttachment.model_validate(by_source).to_wire() == by_source
    check_body("messages.create", {"role": "user", "content": "x", "attachments": [by_id, by_source]})


def test_a_set_merges_definitions_and_resources() -> None:
    tools = ToolSet(
        [
            stock,
            CodeInterpreterTool(["assistant-1"]),
            FileSearchTool(["vs_1"]),
            McpTool("a", "https://a.example"),
            McpTool("b", "https://b.example", require_approval="never"),
        ]
    )
    assert [definition["type"] for definition in tools.definitions] == [
        "function",
        "code_interpreter",
        "file_search",
        "mcp",
        "mcp",
    ]
    assert tools.resources["code_interpreter"] == {"file_ids": ["assistant-1"]}
    assert tools.resources["file_search"] == {"vector_store_ids": ["vs_1"]}
    assert [(server["server_label"], server["require_approval"]) for server in tools.resources["mcp"]] == [
        ("a", "always"),
        ("b", "never"),
    ]
    assert list(tools.functions) == ["stock"]
    assert len(tools) == 5
    assert len(ToolSet([*tools, BingGroundingTool("c")])) == 6
    check_body("agents.create", {"model": "m", "tools": tools.definitions, "tool_resources": tools.resources})


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        ([CodeInterpreterTool(), CodeInterpreterTool()], "one code_interpreter tool at most"),
        ([FileSearchTool(["a"]), FileSearchTool(["b"])], "one file_search tool at most"),
        ([BingGroundingTool("a"), BingGroundingTool("b")], "one bing_grounding tool at most"),
        ([stock, stock], "two tools are named stock"),
        ([stock, ConnectedAgentTool("asst_1", "stock", "d")], "stock .function and connected_agent."),
        ([McpTool("a", "https://a"), McpTool("a", "https://b")], "MCP server a"),
        ([OpenApiTool("a", SPEC), OpenApiTool("a", SPEC)], "two tools are named a"),
        ([FileSearchTool], "make a tool of it"),
        ([7], "not a tool"),
        ([McpTool(f"s{n}", "https://a") for n in range(129)], "at most 128"),
    ],
)
def test_clashes_are_refused(tools: list[Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ToolSet(tools)
