"""Named places between two commits or effects, where a test can kill or freeze the process.

An operation is durable if the process may die between any two of its steps. So each such place has a name
here, and `crash_point(NAME)` stands there in the code. It does nothing unless the environment variable
`AGENT_TASKS_CRASH_POINT` names it::

    AGENT_TASKS_CRASH_POINT=turn.started              # SIGKILL to this process when it gets there
    AGENT_TASKS_CRASH_POINT=tool.done:2               # when it gets there for the second time
    AGENT_TASKS_CRASH_POINT=turn.intended:1:freeze:90 # stand still for 90 seconds, heartbeats included

`agent_tasks.testing` sets the variable for child processes; docs/durability.md explains the points.
"""

from __future__ import annotations

import functools
import math
import os
import signal
import time
from dataclasses import dataclass
from typing import Final

from agent_tasks.errors import ConfigurationError

VARIABLE: Final = "AGENT_TASKS_CRASH_POINT"
"""The environment variable that arms a point: `NAME[:NTH][:ACTION]`, ACTION `kill` or `freeze:SECONDS`."""


@dataclass(frozen=True)
class CrashPoint:
    """A place between two commits or effects."""

    name: str
    description: str
    """What has happened there, and what has not."""
    after: str | None = None
    """A point of recovery: a process gets there only when an earlier one was killed at this point."""
    only: str | None = None
    """With which service a process gets there: `responses`, or `inline` where nothing is kept; None: all."""


_ALL = (
    CrashPoint("agent.intended", "the intent of an agent is committed, nothing is sent"),
    CrashPoint("agent.absent", "an agent was not found by its mark, and is not sent again yet",
               after="agent.intended"),
    CrashPoint("agent.created", "the service has the agent, the journal does not know its id"),
    CrashPoint("agent.found", "a lost agent was found by its mark, not committed yet", after="agent.created"),
    CrashPoint("agent.committed", "the agent is in the journal and in the ledger"),
    CrashPoint("upload.intended", "the intent of an upload is committed, nothing is sent"),
    CrashPoint("upload.absent", "an upload was not found by its mark, and is not sent again yet",
               after="upload.intended"),
    CrashPoint("upload.created", "the service has the file, the journal does not know its id"),
    CrashPoint("upload.found", "a lost file was found by its mark, not committed yet",
               after="upload.created"),
    CrashPoint("upload.committed", "the file is in the journal and in the ledger"),
    CrashPoint("store.intended", "the intent of a vector store is committed, nothing is sent"),
    CrashPoint("store.absent", "a store was not found by its mark, and is not sent again yet",
               after="store.intended"),
    CrashPoint("store.created", "the service has the store, the journal does not know its id"),
    CrashPoint("store.found", "a lost store was found by its mark, not committed yet", after="store.created"),
    CrashPoint("store.attached", "the store's id is in the journal, files may be missing in it"),
    CrashPoint("store.files_added", "the service took a further portion of files, its answer is read"),
    CrashPoint("store.ingested", "every file is ingested or refused, the result is not committed"),
    CrashPoint("store.committed", "the store's result is in the journal"),
    CrashPoint("turn.intended", "the intent of a turn is committed, nothing is sent"),
    CrashPoint("turn.absent", "a turn was not found by its mark, and is not sent again yet",
               after="turn.intended"),
    CrashPoint("conversation.created", "the service has the conversation, the journal does not know it",
               only="responses"),
    CrashPoint("conversation.attached", "the conversation is in the journal, no response is asked for",
               only="responses"),
    CrashPoint("response.unread", "the service has begun a response, nothing of it is read",
               only="responses"),
    CrashPoint("turn.started", "the service runs the turn, the journal does not know its id"),
    CrashPoint("turn.found", "a lost turn was found by its mark, not committed yet", after="turn.started"),
    CrashPoint("turn.attached", "the turn's id and its conversation are in the journal"),
    CrashPoint("turn.ended", "the answer is there, not committed"),
    CrashPoint("turn.committed", "the answer is in the journal"),
    CrashPoint("attempt.ended", "an attempt at a turn failed, the next one is not intended yet"),
    CrashPoint("attempt.intended", "the intent of the next attempt is committed, nothing is sent"),
    CrashPoint("tools.needed", "the agent asked for functions, none has begun"),
    CrashPoint("tool.begun", "the beginning of a call is committed, the function has not run"),
    CrashPoint("tool.done", "the function has run, its output is not committed"),
    CrashPoint("tool.committed", "the output of a call is in the journal"),
    CrashPoint("tools.ready", "the outputs of all calls are committed, none is sent"),
    CrashPoint("tools.submitted", "the service has the outputs and continues the turn"),
    CrashPoint("round.unread", "the service has begun the next round's response, nothing of it is read",
               only="responses"),
    CrashPoint("turn.remembered", "what a round gave is in the journal, nothing is done with it",
               only="inline"),
    CrashPoint("approvals.needed", "the agent wants calls of an MCP server approved, nothing is decided"),
    CrashPoint("approvals.ready", "the decisions are committed, none is sent"),
    CrashPoint("approvals.submitted", "the service has the decisions and continues the turn"),
    CrashPoint("decision.asked", "a question to a person is in the journal, what asked does not know it"),
    CrashPoint("decision.seen", "a person was shown the question and has decided, nothing is committed"),
    CrashPoint("decision.decided", "the decision is in the journal, who decided was not told"),
    CrashPoint("decision.taken", "the step that asked has the decision, and has done nothing with it"),
    CrashPoint("review.deciding", "a person has decided about a document, nothing is committed"),
    CrashPoint("review.decided", "the decision and its row are in the journal, the results lack them"),
    CrashPoint("review.undoing", "a person takes a decision back, nothing is committed"),
    CrashPoint("review.undone", "the row is as it was before the decision, the results are not"),
    CrashPoint("review.published", "the results say what was decided"),
    CrashPoint("cleanup.listed", "what belongs to an owner is read from the ledger, nothing is deleted"),
    CrashPoint("cleanup.deleted", "a resource is deleted on the service, the ledger does not know it"),
    CrashPoint("cleanup.committed", "the ledger knows that a resource is gone"),
    CrashPoint("send.ready",
               "a request that changes something is about to leave, for the first time or again"),
    CrashPoint("send.waiting",
               "the service did not take a request now, and the client waits to send it again"),
    CrashPoint("batch.claimed", "documents are claimed in a shared journal, none of them has been worked on"),
    CrashPoint("step.ended", "a step of a document is carried out or left out, the next one is not begun"),
    CrashPoint("spares.intended", "the intent of some conversations ahead is committed, nothing is sent",
               only="responses"),
    CrashPoint("spares.made", "the service has one of them, the journal does not know its id",
               only="responses"),
    CrashPoint("spares.found", "those that a dead worker has made were found, not committed yet",
               after="spares.made", only="responses"),
    CrashPoint("spares.committed", "they are in the ledger, no turn has taken one", only="responses"),
    CrashPoint("batch.document",
               "a document's outcome is in the journal, its conversations are there, its claim is held"),
    CrashPoint("batch.settled", "all documents have their outcomes, no question is asked"),
    CrashPoint("batch.published", "results and report are written, what the batch made is not deleted"),
    CrashPoint("batch.released", "what the batch made is deleted, the end of the run is not committed"),
    CrashPoint("batch.ended", "the end of the run is committed, and its leases are free"),
)  # fmt: skip

CRASH_POINTS: Final[dict[str, CrashPoint]] = {point.name: point for point in _ALL}
"""All crash points by name, in the order in which a pipeline gets to them."""


@dataclass
class _Armed:
    name: str
    nth: int = 1
    freeze: float | None = None  # seconds; None: kill


def _unusable(value: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{VARIABLE}={value!r}: {why}. Write NAME, NAME:NTH, NAME:kill or NAME:NTH:freeze:SECONDS with a "
        "name of agent_tasks.crashpoints.CRASH_POINTS, or unset the variable."
    )


def _parse(value: str) -> _Armed:
    name, *rest = value.split(":")
    if name not in CRASH_POINTS:
        raise _unusable(value, f"there is no crash point {name!r}")
    armed = _Armed(name)
    if rest and rest[0].isdecimal():
        armed.nth = int(rest.pop(0))
        if armed.nth < 1:
            raise _unusable(value, "times are counted from 1")
    if rest in ([], ["kill"]):
        return armed
    if rest[0] != "freeze" or len(rest) != 2:
        raise _unusable(value, f"there is no action {':'.join(rest)!r}")
    try:
        armed.freeze = float(rest[1])
    except ValueError:
        armed.freeze = math.nan
    if not 0 < armed.freeze < math.inf:
        raise _unusable(value, f"{rest[1]!r} is no number of seconds")
    return armed


@functools.cache
def _armed() -> _Armed | None:
    value = os.environ.get(VARIABLE)
    return _parse(value) if value else None


def crash_point(name: str) -> None:
    """Die or stand still here if the environment says so; otherwise do nothing.

    Args:
        name: a name of `CRASH_POINTS`.

    Raises:
        ConfigurationError: the variable names no crash point, or is not written as it must be.
        LookupError: the name is not registered, which is a mistake in the code.
    """
    if name not in CRASH_POINTS:
        raise LookupError(f"The crash point {name!r} is not registered in agent_tasks.crashpoints.")
    armed = _armed()
    if armed is None or armed.name != name:
        return
    armed.nth -= 1
    if armed.nth != 0:
        return
    if armed.freeze is not None:
        time.sleep(armed.freeze)  # blocks the event loop on purpose: heartbeats must stop too
        return
    os.kill(os.getpid(), signal.SIGKILL)
