"""Carrying out one call of a function that an agent asked for: the only place where functions are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent_tasks.client.functions import error_output
from agent_tasks.errors import UnknownToolError
from agent_tasks.logs import get_logger
from agent_tasks.telemetry import tool_span
from agent_tasks.tools.base import CallableTool, ToolContext

logger = get_logger("agent_tasks.tools")


@dataclass(frozen=True)
class Executed:
    """What came of a call."""

    output: str
    """What the agent is told: what the function gave, or ``{"error": {"type": ..., "message": ...}}``."""
    error: Exception | None = None
    """What went wrong, if the output tells of that."""

    @property
    def error_type(self) -> str | None:
        """The kind of error, as the journal keeps it."""
        return None if self.error is None else type(self.error).__name__


async def execute(
    functions: Mapping[str, CallableTool], name: str, arguments: str, context: ToolContext
) -> Executed:
    """Call a function with the model's arguments, in a span of its own; a failure becomes an output.

    The tool itself parses and checks the arguments, hands the context on and bounds time and output
    (`CallableTool.call`).

    Args:
        functions: what can be called, by name.
        name: the function that the model called.
        arguments: its arguments as the model wrote them: a JSON object.
        context: what the function may know of the call.
    """
    try:
        with tool_span(name, context.call_id, arguments) as span:
            tool = functions.get(name)
            if tool is None:
                raise _unknown(name, functions)
            output = await tool.call(arguments, context)
            span.returned(output)
    except Exception as error:  # whatever a user's function raises is told to the agent
        return failed(name, context.call_id, context.turn_id, error)
    return Executed(output)


def failed(name: str, call_id: str, turn_id: str, error: Exception) -> Executed:
    """A call that failed, or that is not made: logged by its names alone, and told to the agent."""
    logger.warning("Function %s (%s of %s) gave %s", name, call_id, turn_id, type(error).__name__)
    return Executed(error_output(error), error)


def _unknown(name: str, functions: Mapping[str, CallableTool]) -> UnknownToolError:
    """The error for a call of something that is not there; says what is."""
    there = ", ".join(sorted(functions)) or "none"
    return UnknownToolError(f"There is no function {name!r}; there is: {there}.", tool=name)
