"""What an endpoint of the Responses wire has: asked once, of the endpoint itself."""

from __future__ import annotations

from agent_tasks.backends.responses.service import Abilities, is_gone
from agent_tasks.client import AsyncResponsesClient, path_of
from agent_tasks.errors import (
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    ServerError,
    ServiceError,
)

__all__ = ["abilities_of"]

_PROBE = {"agent_tasks_probe": "1"}


async def abilities_of(client: AsyncResponsesClient) -> Abilities:
    """What a server of responses without agents has. Makes an empty conversation, which costs nothing.

    Args:
        client: speaks below the address of `/responses`.

    Raises:
        ServiceError: it refuses the caller, or fails.
        TransportError: it could not be reached.
    """
    try:
        made = await client.post("/conversations", {"metadata": _PROBE}, creates=False)
    except ServiceError as error:
        _raise_unless_absent(error)
        return Abilities(agents=False, conversations=False, lists=False, background=False)
    conversation = str(made["id"])
    try:
        lists = await _has_lists(client, conversation)
    finally:
        try:
            await client.delete(path_of("conversations", conversation))
        except ServiceError as error:
            if not is_gone(error):
                raise
    return Abilities(agents=False, conversations=True, lists=lists)


async def _has_lists(client: AsyncResponsesClient, conversation: str) -> bool:
    try:
        page = await client.get("/responses", {"conversation_id": conversation, "limit": 1})
    except ServiceError as error:
        _raise_unless_absent(error)
        return False
    return isinstance(page.get("data"), list)


def _raise_unless_absent(error: ServiceError) -> None:
    """Let pass what says that there is no such path; anything else says nothing about it."""
    tells_nothing = isinstance(error, AuthenticationError | PermissionDeniedError) or (
        isinstance(error, ServerError) and error.status != 501
    )
    if tells_nothing or (error.status not in (404, 405, 501) and not isinstance(error, BadRequestError)):
        raise error
