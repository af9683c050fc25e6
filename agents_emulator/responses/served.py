"""Where operations of the successor's wire are: below `/openai/v1`, and at the endpoint of an agent."""

from __future__ import annotations

from collections.abc import Iterable

from agents_emulator.endpoints import NAMED_AGENT_VERSIONS, Handler, Operation

OPENAI = "/openai/v1"
AGENT_ENDPOINT = "/agents/{agent_name}/endpoint/protocols/openai"


def below(table: Iterable[tuple[str, str, str, Handler]], *, of_agent: bool = False) -> tuple[Operation, ...]:
    """Return operations from rows of name, method, path and handler.

    Below `/openai/v1` they need no `api-version` (recorded); at the endpoint of an agent they do.
    """
    prefix = AGENT_ENDPOINT if of_agent else OPENAI
    versions = NAMED_AGENT_VERSIONS if of_agent else ()
    return tuple(
        Operation(name, method, f"{prefix}{path}", handler, versions=versions)
        for name, method, path, handler in table
    )
