"""What was said in turns, kept for people to look at: prompt, answer, tool calls, citations, what it cost.

It is kept in the journal together with a turn's result, or with its failure, for as many days as
`AGENT_TASKS_TRANSCRIPT_DAYS` says; secrets are left out, and with `AGENT_TASKS_SHOW_CONTENT=false` all texts.
No operation reads it: without it everything goes on as with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.backends.base import (
    Citation,
)
from agent_tasks.backends.usage import Usage
from agent_tasks.errors import AgentTasksError, ConfigurationError
from agent_tasks.journal import NewTranscript, ToolCallRecord, ToolCallState, Transcript
from agent_tasks.logs import get_logger
from agent_tasks.operations.models import TurnResult, TurnSpec
from agent_tasks.operations.transcript_rules import TranscriptRules
from agent_tasks.operations.workspace import Workspace
from agent_tasks.redaction import redacted

__all__ = [
    "MadeCall",
    "TranscriptBody",
    "find_transcript",
    "keep_failure",
    "kept_with",
    "prune_transcripts",
]

logger = get_logger("agent_tasks.operations")

MAX_CHARS = 100_000
"""Characters of a text that a transcript holds."""

_DAY = 86_400.0


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MadeCall(_Model):
    """A tool call of a turn."""

    name: str
    state: ToolCallState
    arguments: str | None = None
    """As people may see them, shortened."""
    output: str | None = None
    error_type: str | None = None


class TranscriptBody(_Model):
    """What was said in a turn."""

    model: str = ""
    """The model deployment, where this process made the agent."""
    turn_id: str = ""
    conversation: str = ""
    prompt: str | None = None
    """None: texts are not kept (`AGENT_TASKS_SHOW_CONTENT`)."""
    answer: str | None = None
    error: str | None = None
    """Why there is no answer."""
    calls: list[MadeCall] = Field(default_factory=list)
    citations: list[Citation] = Field(default_factory=list)
    usage: Usage = Field(default_factory=Usage)
    attempts: int = 1
    seconds: float = 0.0


def kept_with(
    ws: Workspace, turn: TurnSpec, result: TurnResult, calls: Sequence[ToolCallRecord]
) -> Callable[[sa.Connection], None] | None:
    """Return what keeps a transcript in the transaction that commits the result; None: it is not kept."""
    rules = ws.transcripts
    if not rules.days:
        return None
    citations = result.citations
    if not rules.content:
        citations = [one.model_copy(update={"quote": None}) for one in citations]
    body = TranscriptBody(
        model=turn.agent.spec.model if turn.agent.spec is not None else "",
        turn_id=result.turn_id,
        conversation=result.conversation,
        prompt=_kept(turn.prompt, rules),
        answer=_kept(result.text, rules),
        calls=[_call(one, rules) for one in calls],
        citations=citations,
        usage=result.usage,
        attempts=result.attempts,
        seconds=result.seconds,
    )
    new = _new(turn, result.key, body)
    return lambda connection: ws.journal.transcripts.put_within(connection, ws.scope, new)


async def keep_failure(ws: Workspace, turn: TurnSpec, key: str, error: AgentTasksError, usage: Usage) -> None:
    """Keep what was asked, and why there is no answer; a journal that refuses does not hide the failure."""
    rules = ws.transcripts
    if not rules.days:
        return
    try:
        calls = await ws.journal.calls.of(ws.scope, key)
        body = TranscriptBody(
            model=turn.agent.spec.model if turn.agent.spec is not None else "",
            turn_id=getattr(error, "run_id", None) or "",
            conversation=getattr(error, "thread_id", None) or "",
            prompt=_kept(turn.prompt, rules),
            error=f"{type(error).__name__}: {redacted(str(error))}"[:MAX_CHARS],
            calls=[_call(one, rules) for one in calls],
            usage=usage,
        )
        await ws.journal.transcripts.put(ws.scope, _new(turn, key, body))
    except AgentTasksError as refused:
        logger.warning("The transcript of %s was not kept: %s", key, refused)


async def prune_transcripts(ws: Workspace) -> int:
    """Delete the transcripts that are older than they may be; returns how many."""
    if not ws.transcripts.days:
        return 0
    return await ws.journal.transcripts.prune(time.time() - ws.transcripts.days * _DAY)


async def find_transcript(ws: Workspace, key_start: str) -> tuple[Transcript, TranscriptBody]:
    """Find the transcript of a turn.

    Args:
        ws: where to look.
        key_start: the beginning of the turn's operation key, as lists show it.

    Raises:
        ConfigurationError: there is none, or several begin like this.
        JournalError: the journal can't be read.
    """
    found = await ws.journal.transcripts.get(ws.scope, key_start)
    if len(found) != 1:
        why = "Several transcripts begin" if found else "No transcript begins"
        raise ConfigurationError(
            f"{why} with {key_start!r}. `agent-tasks transcripts list` shows those that are kept; they are "
            "deleted after AGENT_TASKS_TRANSCRIPT_DAYS."
        )
    return found[0], found[0].read(TranscriptBody)


def _new(turn: TurnSpec, key: str, body: TranscriptBody) -> NewTranscript:
    return NewTranscript(key, turn.owner, turn.step, turn.agent.name, body.model_dump(mode="json"))


def _call(record: ToolCallRecord, rules: TranscriptRules) -> MadeCall:
    return MadeCall(
        name=record.name,
        state=record.state,
        arguments=_kept(record.arguments, rules),
        output=_kept(record.output, rules),
        error_type=record.error_type,
    )


def _kept(text: str | None, rules: TranscriptRules) -> str | None:
    """A text without its secrets, and not longer than may be; None where texts are not kept."""
    if text is None or not rules.content:
        return None
    # Cut after secrets are out: half of one is not recognised.
    shown = redacted(text[: 2 * MAX_CHARS]).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return shown if len(shown) <= MAX_CHARS else f"{shown[:MAX_CHARS]}... (the rest is not kept)"
