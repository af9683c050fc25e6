"""What a request says of its agent: a reference to a version, or all of it in the request itself."""

from __future__ import annotations

import re
from typing import Any, Protocol

from agent_tasks.backends.base import AgentSpec, JsonObject, Mark, TurnRequest
from agent_tasks.backends.marks import metadata_of
from agent_tasks.backends.responses.tools import flat_tools
from agent_tasks.errors import ConfigurationError

__all__ = ["ROUND_FIELD", "InlineWords", "VersionWords", "Words", "agent_name", "definition", "marked"]

ROUND_FIELD = "agent_tasks_round"
"""Metadata field of a response: which round of its attempt it is."""

_NAME_LENGTH = 63  # of an agent's name, its mark included (docs/wire.md, "The successor")


class Words(Protocol):
    """How a request speaks of its agent."""

    def fields(self, request: TurnRequest, *, later: bool = False) -> JsonObject:
        """The fields of `POST /responses` that say what answers, and how.

        Args:
            request: what the turn asks.
            later: whether it is a round after the first, which answers calls.
        """
        ...


class VersionWords:
    """The agent is kept on the service, as a version that the request refers to."""

    def fields(self, request: TurnRequest, *, later: bool = False) -> JsonObject:
        """A reference with its version.

        Raises:
            ConfigurationError: the turn says something that only the agent may say.
        """
        owned = {
            "response_format": request.response_format,
            "instructions": request.instructions,
            "headers of an MCP server": any(server.headers for server in request.servers) or None,
        }
        for what, value in owned.items():
            if value is not None:
                raise ConfigurationError(
                    f"A turn of the agent {request.agent_id} says its own {what}, which this service takes "
                    "from the agent alone (400 `Not allowed when agent is specified.`). Give it to the "
                    "agent; for headers, use a connection of the project.",
                    setting=what,
                )
        name, _, version = request.agent_id.rpartition(":")
        if not name:
            raise ConfigurationError(
                f"{request.agent_id} is no version of an agent of this service (NAME:VERSION). An agent that "
                "was made on the classic service is made anew by `ensure_agent`.",
                setting="agent",
            )
        reference = {"type": "agent_reference", "name": name, "version": version}
        return {"agent_reference": reference, **_bounds(request, later)}


class InlineWords:
    """The agent is in the request; nothing of it is kept on the service."""

    def fields(self, request: TurnRequest, *, later: bool = False) -> JsonObject:
        """Model, instructions and tools.

        Raises:
            ConfigurationError: what the agent is, is not known here.
        """
        spec = request.spec
        if spec is None:
            raise ConfigurationError(
                f"The agent {request.agent_id} is known by its id alone, and this service keeps no agents. "
                "Take it from `ensure_agent` in the same process.",
                setting="agent",
            )
        given = {
            "model": spec.model,
            "instructions": request.instructions if request.instructions is not None else spec.instructions,
            "tools": flat_tools(spec, request.servers, with_headers=True) or None,
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "text": _text(request.response_format or spec.response_format),
        }
        return {name: value for name, value in given.items() if value is not None} | _bounds(request, later)


def definition(spec: AgentSpec) -> JsonObject:
    """What a version of an agent is, for `POST /agents/NAME/versions`."""
    given = {
        "kind": "prompt",
        "model": spec.model,
        "instructions": spec.instructions,
        "tools": flat_tools(spec) or None,
        "temperature": spec.temperature,
        "top_p": spec.top_p,
        "text": _text(spec.response_format),
    }
    return {name: value for name, value in given.items() if value is not None}


def agent_name(spec: AgentSpec, mark: Mark) -> str:
    """The name of an agent on the service: its own one with the mark, the only one of its kind."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", spec.name).strip("-") or "agent"
    return f"{readable[: _NAME_LENGTH - len(mark.text) - 1].rstrip('-')}-{mark.text}"


def marked(mark: Mark, round: int) -> dict[str, str]:
    """The metadata of a response."""
    return {**metadata_of(mark), ROUND_FIELD: str(round)}


def _bounds(request: TurnRequest, later: bool) -> JsonObject:
    choice = _choice(request.tool_choice)
    if later and choice not in ("auto", "none"):
        choice = None  # a call that is asked for in every round would be made for ever
    given = {"tool_choice": choice, "max_output_tokens": request.max_completion_tokens}
    return {name: value for name, value in given.items() if value is not None}


def _choice(choice: JsonObject | str | None) -> Any:
    if isinstance(choice, dict) and "function" in choice:
        return {"type": "function", "name": choice["function"]["name"]}
    return choice


def _text(response_format: JsonObject | str | None) -> JsonObject | None:
    if not isinstance(response_format, dict):
        return None
    if response_format.get("type") == "json_schema":
        return {"format": {"type": "json_schema", **response_format["json_schema"]}}
    return {"format": dict(response_format)}
