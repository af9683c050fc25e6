"""The arguments of a tool call as people may see them: in the journal, in lists and in errors."""

from __future__ import annotations

from agent_tasks.display import one_line
from agent_tasks.redaction import loggable

__all__ = ["shown_arguments"]

_HEAD, _TAIL = 400, 100  # characters of long arguments that are kept: calls may differ at either end


def shown_arguments(arguments: str) -> str:
    """Arguments on one line, without the values of headers and without characters that turn or hide text.

    Args:
        arguments: the call's arguments, as the agent wrote them.

    Returns:
        About 500 characters at most.
    """
    text = loggable(arguments.encode("utf-8", "replace"))
    line = one_line(text)
    return line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} ... {line[-_TAIL:]}"
