"""What an endpoint of the Responses wire has: asked once, of the endpoint itself."""

from __future__ import annotations

import secrets

from agent_tasks.backends.responses.service import Abilities, is_gone
from agent_tasks.client import AsyncResponsesClient, path_of
from agent_tasks.errors import (
    AgentTasksError,
    AuthenticationError,
    BadRequestError,
    PermissionDeniedError,
    ServerError,
    ServiceError,
    TransportError,
)
from agent_tasks.pauses import Pauses

__all__ = ["abilities_of"]

_PROBE = "agent_tasks_probe"


async def abilities_of(client: AsyncResponsesClient) -> Abilities:
    """What a server of responses without agents has. Makes an empty conversation, which costs nothing.

    Args:
        client: speaks below the address of `/responses`.

    Raises:
        ServiceError: it refuses the caller, or fails.
        TransportError: it could not be reached.
    """
    mark = {_PROBE: secrets.token_hex(8)}
    try:
        conversation, is_alone = await _made(client, mark)
    except ServiceError as error:
        _raise_unless_absent(error)
        return Abilities(agents=False, conversations=False, lists=False, background=False)
    try:
        lists = await _has_lists(client, conversation)
        if lists and not is_alone:
            await _delete_lost(client, mark, besides=conversation)
    finally:
        await _gone(client, conversation)
    return Abilities(agents=False, conversations=True, lists=lists)


async def _made(client: AsyncResponsesClient, mark: dict[str, str]) -> tuple[str, bool]:
    """A conversation, and whether it is the only one: one whose answer was lost is there, too."""
    lost: AgentTasksError | None = None
    async for _ in Pauses(0.2, 2.0, growth=4.0, times=3):
        try:
            made = await client.post("/conversations", {"metadata": mark})
        except (TransportError, ServerError) as error:
            if not error.outcome_unknown or getattr(error, "status", None) == 501:
                raise
            lost = error
        else:
            return str(made["id"]), lost is None
    assert lost is not None  # noqa: S101 - there was a try, and it did not succeed
    raise lost


async def _delete_lost(client: AsyncResponsesClient, mark: dict[str, str], *, besides: str) -> None:
    page = await client.get("/conversations", {"order": "desc", "limit": 100})
    for one in page.get("data") or []:
        if one.get("id") != besides and (one.get("metadata") or {}).get(_PROBE) == mark[_PROBE]:
            await _gone(client, str(one["id"]))


async def _gone(client: AsyncResponsesClient, conversation: str) -> None:
    try:
        await client.delete(path_of("conversations", conversation))
    except ServiceError as error:
        if not is_gone(error):
            raise


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
