"""Which service a resource is of, by its id: no service deletes what another one made, or says it is gone."""

from __future__ import annotations

from agent_tasks.backends.base import ResourceKind
from agent_tasks.errors import OtherServiceError

__all__ = ["refuse_classic", "refuse_successors"]

_CLASSIC = {"agent": "asst_", "conversation": "thread_"}


def refuse_classic(kind: ResourceKind, remote_id: str) -> None:
    """Refuse what the classic service made; files and stores are the same on both.

    Raises:
        OtherServiceError: it is.
    """
    if kind in _CLASSIC and remote_id.startswith(_CLASSIC[kind]):
        raise _other(kind, remote_id, "the classic service", "classic")


def refuse_successors(kind: ResourceKind, remote_id: str) -> None:
    """Refuse what the classic service never made.

    Raises:
        OtherServiceError: it is of the successor, or of a server of responses.
    """
    if (kind == "agent" and ":" in remote_id) or (
        kind == "conversation" and remote_id.startswith(("conv_", "local-"))
    ):
        raise _other(kind, remote_id, "the successor", "responses")


def _other(kind: str, remote_id: str, service: str, setting: str) -> OtherServiceError:
    return OtherServiceError(
        f"The {kind} {remote_id} is of {service}, and another one is set, so it stays as it is. "
        f"`agent-tasks resources sweep --yes` with AGENT_TASKS_SERVICE={setting} deletes it when its "
        "time to live is over.",
        setting="AGENT_TASKS_SERVICE",
    )
