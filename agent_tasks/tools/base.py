"""What all tools have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from agent_tasks.errors import ConfigurationError
from agent_tasks.field_types import check_field_types
from agent_tasks.tools.policy import WhenUnknown
from agent_tasks.wire import ToolDefinition, ToolResources


@dataclass(frozen=True)
class ToolContext:
    """What a function may know about the call it serves, by taking a parameter annotated ``ToolContext``."""

    call_id: str
    """Id of the tool call as the service gave it."""
    turn_id: str
    """Id of the agent's turn that asked for the call."""
    idempotency_key: str
    """The same text each time this call is repeated: hand it to systems that recognise repeated requests."""


@runtime_checkable
class Tool(Protocol):
    """Something an agent may use: how the service is told of it, and what it works on."""

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """Entries for the `tools` of an agent or a run, as on the wire."""
        ...

    @property
    def resources(self) -> dict[str, Any]:
        """`tool_resources` of an agent, a thread or a run, as on the wire; `{}` if there are none.

        May hold secrets (headers of an MCP server): hand it to the client, never to a log.
        """
        ...


@runtime_checkable
class CallableTool(Tool, Protocol):
    """A tool that runs here: the run stops at `requires_action` until its output is submitted."""

    @property
    def name(self) -> str:
        """The name that the model calls."""
        ...

    @property
    def idempotent(self) -> bool:
        """Whether an interrupted call may be repeated."""
        ...

    @property
    def when_unknown(self) -> WhenUnknown:
        """What happens to such a call if it may not."""
        ...

    async def call(self, arguments_json: str, context: ToolContext) -> str:
        """Carry out a call; the text is its output. Raises whatever went wrong."""
        ...


class HostedTool(ABC):
    """Base of the tools that the service carries out itself.

    Subclasses are dataclasses, whose values are checked against their types.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own: Callable[[Any], None] | None = getattr(cls, "__post_init__", None)

        def check_values(self: Any) -> None:
            check_field_types(self)
            if own is not None:
                own(self)

        cls.__post_init__ = check_values  # type: ignore[attr-defined]

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """Entries for the `tools` of an agent or a run, as on the wire."""
        return [definition.to_wire() for definition in self._definitions()]

    @property
    def resources(self) -> dict[str, Any]:
        """`tool_resources` of an agent, a thread or a run, as on the wire; `{}` if there are none."""
        resources = self._resources()
        return {} if resources is None else resources.to_wire()

    @abstractmethod
    def _definitions(self) -> list[ToolDefinition]:
        """The definitions as wire models."""

    def _resources(self) -> ToolResources | None:
        """The resources as a wire model."""
        return None


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not None: what is left out is not sent."""
    return {key: value for key, value in fields.items() if value is not None}


def named(tool: str, **fields: str) -> None:
    """Raises ConfigurationError for a field that must be named and is empty."""
    for field, value in fields.items():
        if not isinstance(value, str) or not value.strip():
            raise ConfigurationError(f"{tool} needs {field}: it is empty", setting=field)


def at_most(tool: str, field: str, values: tuple[Any, ...], most: int) -> None:
    """Raises ConfigurationError for more values than the service takes (docs/wire.md, "Limits")."""
    if len(values) > most:
        raise ConfigurationError(
            f"{tool} takes at most {most} {field}, not {len(values)} (a limit of the service)", setting=field
        )
