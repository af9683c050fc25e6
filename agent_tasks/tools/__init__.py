"""What an agent may use: functions of this program, and tools that the service carries out itself."""

from agent_tasks.tools.answers import parse_answer
from agent_tasks.tools.azure_function import AzureFunctionTool, StorageQueue
from agent_tasks.tools.base import CallableTool, HostedTool, Tool, ToolContext
from agent_tasks.tools.connected import (
    BrowserAutomationTool,
    ComputerUseTool,
    ConnectedAgentTool,
    DeepResearchTool,
    FabricTool,
    SharepointTool,
)
from agent_tasks.tools.files import CodeInterpreterTool, FileSearchTool, attachment, id_asset, uri_asset
from agent_tasks.tools.function import FunctionTool, function_tool
from agent_tasks.tools.loading import load_function, load_object
from agent_tasks.tools.logic_app import LogicAppTool
from agent_tasks.tools.mcp import ApprovalPerTool, AskPerson, McpTool
from agent_tasks.tools.openapi import (
    OpenApiAnonymousAuth,
    OpenApiConnectionAuth,
    OpenApiDefinition,
    OpenApiManagedAuth,
    OpenApiTool,
)
from agent_tasks.tools.policy import WhenUnknown
from agent_tasks.tools.queue_tool import (
    QueueFunctionTool,
    QueueToolDefinition,
    queue_tools,
    read_definitions,
)
from agent_tasks.tools.response_format import response_format
from agent_tasks.tools.search import AzureAISearchTool, BingCustomSearchTool, BingGroundingTool
from agent_tasks.tools.toolset import ToolSet

__all__ = [
    "ApprovalPerTool",
    "AskPerson",
    "AzureAISearchTool",
    "AzureFunctionTool",
    "BingCustomSearchTool",
    "BingGroundingTool",
    "BrowserAutomationTool",
    "CallableTool",
    "CodeInterpreterTool",
    "ComputerUseTool",
    "ConnectedAgentTool",
    "DeepResearchTool",
    "FabricTool",
    "FileSearchTool",
    "FunctionTool",
    "HostedTool",
    "LogicAppTool",
    "McpTool",
    "OpenApiAnonymousAuth",
    "OpenApiConnectionAuth",
    "OpenApiDefinition",
    "OpenApiManagedAuth",
    "OpenApiTool",
    "QueueFunctionTool",
    "QueueToolDefinition",
    "SharepointTool",
    "StorageQueue",
    "Tool",
    "ToolContext",
    "ToolSet",
    "WhenUnknown",
    "attachment",
    "function_tool",
    "id_asset",
    "load_function",
    "load_object",
    "parse_answer",
    "queue_tools",
    "read_definitions",
    "response_format",
    "uri_asset",
]
