"""A journal that goes on with another service than the one it was begun with.

What a service has begun, it ends: a turn that is open there, and one that continues a conversation there, is
carried out there as long as the project has that service. Only what begins anew begins here.
"""

from __future__ import annotations

from agent_tasks.errors import OtherServiceError
from agent_tasks.journal import Operation
from agent_tasks.logs import get_logger
from agent_tasks.operations.agents import ensure_agent
from agent_tasks.operations.models import TurnSpec
from agent_tasks.operations.workspace import Workspace

logger = get_logger("agent_tasks.operations")

SERVICE = "service"
"""Field of a turn's fingerprint: the service that it was begun with, if that is not the classic one."""


async def home_of_conversation(ws: Workspace, turn: TurnSpec) -> Workspace | None:
    """The workspace over the service that has the conversation which a turn continues.

    Args:
        ws: where the turn was asked for; its home if it continues none.
        turn: the turn.

    Returns:
        None: that service is not there.

    Raises:
        ServiceError: the project fails, or refuses the caller.
        TransportError: it could not be reached.
    """
    earlier = await ws.journal.operations.get(ws.scope, turn.after) if turn.after is not None else None
    return ws if earlier is None else await ws.side(_service_of(earlier))


def is_here(ws: Workspace, operation: Operation) -> bool:
    """Whether a turn is this service's, and was not begun on another one."""
    return _service_of(operation) == ws.backend.capabilities.in_keys


async def home_of(ws: Workspace, turn: TurnSpec, operation: Operation) -> Workspace:
    """The workspace over the service that has begun a turn which is not this one's; see `is_here`.

    Raises:
        OtherServiceError: it is not there.
        ServiceError: the project fails, or refuses the caller.
        TransportError: it could not be reached.
    """
    if turn.after is None:
        return await side_of(ws, operation)
    # Its conversation is here, so that there nothing can have been sent: it is claimed anew.
    await ws.journal.operations.fail(ws.scope, operation.key, _refused(operation))
    return ws


async def moved(ws: Workspace, there: Workspace, turn: TurnSpec) -> TurnSpec:
    """A turn as the other service of the project carries it out: with an agent that is there.

    Args:
        ws: where the turn was asked for.
        there: where it is carried out; the turn stays what it is if that is the same.
        turn: the turn.

    Raises:
        OtherServiceError: nothing tells what the agent is.
        AgentTasksError: it could not be made there.
    """
    if there is ws:
        return turn
    spec = turn.agent.spec
    service = there.backend.capabilities.service
    if spec is None:
        raise OtherServiceError(
            f"The turn of step {turn.step!r} is of another service ({service}), and its agent "
            f"{turn.agent.name} is known by its id alone. Take the agent from `ensure_agent` in the same "
            "process, or run once more with AGENT_TASKS_SERVICE as it was.",
            setting="AGENT_TASKS_SERVICE",
        )
    logger.info("The turn of step %r goes on where it was begun: %s", turn.step, service)
    agent = await ensure_agent(there, spec, owner=turn.kept_by, ttl=turn.ttl)
    return turn.model_copy(update={"agent": agent})


async def side_of(ws: Workspace, operation: Operation) -> Workspace:
    """The workspace over the service that may have a turn.

    Raises:
        OtherServiceError: it is not there.
        ServiceError: the project fails, or refuses the caller.
        TransportError: it could not be reached.
    """
    there = await ws.side(_service_of(operation))
    if there is None:
        raise _refused(operation)
    return there


def no_conversation(turn: TurnSpec) -> OtherServiceError:
    """A turn continues a conversation whose service is not there."""
    return OtherServiceError(
        f"Step {turn.step!r} continues the conversation {turn.conversation}, which is on another service "
        "that is not here; conversations do not move. Finish what was begun with AGENT_TASKS_SERVICE as it "
        "was, or begin it anew in a run of its own.",
        setting="AGENT_TASKS_SERVICE",
    )


def _refused(operation: Operation) -> OtherServiceError:
    step, service = operation.fingerprint.get("step"), _service_of(operation) or "classic"
    return OtherServiceError(
        f"The turn of step {step!r} ({operation.key}) was begun on another service ({service}) that is not "
        "here, and the journal does not know its end. Run once more with AGENT_TASKS_SERVICE as it was: that "
        "takes its answer, or cancels it.",
        setting="AGENT_TASKS_SERVICE",
    )


def _service_of(operation: Operation) -> str:
    return str(operation.fingerprint.get(SERVICE, ""))
