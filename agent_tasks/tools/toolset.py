"""The function tools of one agent, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.function import FunctionTool


class Toolset(Mapping[str, FunctionTool]):
    """Immutable mapping of tool name to `FunctionTool`, in the order given.

    Args:
        tools: Tools, or plain functions that `FunctionTool.from_callable` can describe.

    Raises:
        ConfigurationError: Two tools have the same name.
    """

    def __init__(self, tools: Iterable[FunctionTool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, FunctionTool] = {}
        for given in tools:
            tool = given if isinstance(given, FunctionTool) else FunctionTool.from_callable(given)
            if tool.name in self._tools:
                raise ConfigurationError(f"two tools are named {tool.name}; give one of them another name")
            self._tools[tool.name] = tool

    def __getitem__(self, name: str) -> FunctionTool:
        return self._tools[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __repr__(self) -> str:
        return f"Toolset({', '.join(self._tools)})"

    def definitions(self) -> list[dict[str, Any]]:
        """The tools as JSON-able definitions, as an agent's ``tools`` list holds them."""
        return [
            tool.definition().model_dump(mode="json", exclude_unset=True) for tool in self._tools.values()
        ]
