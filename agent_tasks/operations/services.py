"""A journal that goes on with another service than the one it was begun with."""

from __future__ import annotations

from agent_tasks.errors import OtherServiceError
from agent_tasks.journal import Operation
from agent_tasks.operations.workspace import Workspace

SERVICE = "service"
"""Field of a turn's fingerprint: the service that it was begun with, if that is not the classic one."""


def refuse_anothers(ws: Workspace, operation: Operation) -> None:
    """Refuse a turn that another service may have, which alone can tell what became of it.

    Raises:
        OtherServiceError: it may.
    """
    if not _is_anothers(ws, operation):
        return
    step, there = operation.fingerprint.get("step"), _service_of(operation)
    raise OtherServiceError(
        f"The turn of step {step!r} ({operation.key}) was begun on another service ({there}), and the "
        "journal does not know its end. Run once more with AGENT_TASKS_SERVICE as it was: that takes its "
        "answer, or cancels it.",
        setting="AGENT_TASKS_SERVICE",
    )


async def refuse_anothers_conversation(ws: Workspace, step: str, after: str | None) -> None:
    """Refuse to continue a conversation that another service has.

    Args:
        ws: where to work.
        step: the step that continues it.
        after: key of the turn that it continues; None: it begins a conversation.

    Raises:
        OtherServiceError: another one has it.
    """
    earlier = await ws.journal.operations.get(ws.scope, after) if after is not None else None
    if earlier is None or not _is_anothers(ws, earlier):
        return
    raise OtherServiceError(
        f"Step {step!r} continues the conversation of step {earlier.fingerprint.get('step')!r}, which is on "
        f"another service ({_service_of(earlier)}); conversations do not move. Finish what was begun with "
        "AGENT_TASKS_SERVICE as it was, or begin it anew in a run of its own.",
        setting="AGENT_TASKS_SERVICE",
    )


def _is_anothers(ws: Workspace, operation: Operation) -> bool:
    return bool(operation.fingerprint.get(SERVICE, "") != ws.backend.capabilities.in_keys)


def _service_of(operation: Operation) -> str:
    return str(operation.fingerprint.get(SERVICE) or "classic")
