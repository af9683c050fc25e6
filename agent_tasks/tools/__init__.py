"""What an agent may call: typed Python functions, described by their own signature and docstring."""

from agent_tasks.tools.function import FunctionTool, ToolContext, function_tool
from agent_tasks.tools.loading import load_function
from agent_tasks.tools.toolset import Toolset

__all__ = ["FunctionTool", "ToolContext", "Toolset", "function_tool", "load_function"]
