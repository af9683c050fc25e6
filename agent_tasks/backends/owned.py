"""Which service a resource is of, by its id: no service deletes what another one made, or says it is gone."""

from __future__ import annotations

from agent_tasks.backends.base import ResourceKind
from agent_tasks.errors import OtherServiceError

__all__ = ["is_of_other", "refuse_classic", "refuse_successors"]

_CLASSIC = {"agent": "asst_", "conversation": "thread_"}


def refuse_classic(kind: ResourceKind, remote_id: str) -> None:
    """Refuse what the classic service made; files and stores are the same on both.

    Raises:
        OtherServiceError: it is.
    """
    if _is_classic(kind, remote_id):
        raise _other(kind, remote_id, "the classic service", "classic")


def refuse_successors(kind: ResourceKind, remote_id: str) -> None:
    """Refuse what the classic service never made.

    Raises:
        OtherServiceError: it is of the successor, or of a server of responses.
    """
    if _is_successors(kind, remote_id):
        raise _other(kind, remote_id, "the successor", "responses")


def is_of_other(kind: ResourceKind, remote_id: str, in_keys: str) -> bool:
    """Whether another service made something than the one that `in_keys` tells from others in keys."""
    return _is_classic(kind, remote_id) if in_keys else _is_successors(kind, remote_id)


def _is_classic(kind: ResourceKind, remote_id: str) -> bool:
    return kind in _CLASSIC and remote_id.startswith(_CLASSIC[kind])


def _is_successors(kind: ResourceKind, remote_id: str) -> bool:
    return (kind == "agent" and ":" in remote_id) or (
        kind == "conversation" and remote_id.startswith(("conv_", "local-"))
    )


def _other(kind: str, remote_id: str, service: str, setting: str) -> OtherServiceError:
    return OtherServiceError(
        f"The {kind} {remote_id} is of {service}, and another one is set, so it stays as it is. "
        f"`agent-tasks resources sweep --yes` with AGENT_TASKS_SERVICE={setting} deletes it when its "
        "time to live is over.",
        setting="AGENT_TASKS_SERVICE",
    )
