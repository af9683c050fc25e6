"""The operator's side of queue tools: what lies in their queues, and sending failed calls again.

A call that failed at every try goes to `<input>-poison`; the Function App answers it from there with an
error and moves it to the dead letters in `<input>-parked`. Answers that no call waited for are moved by
readers to those in `<output>-parked`.

Redriving puts a call back into its input queue under the same `CorrelationId`, marked `Redrive`: the app then
computes a call anew whose stored answer is an error from the poison queue, and answers every other one with
the answer that it has. So a message that is put back and not deleted, since the operator's process died in
between, is put back a second time and still computed once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent_tasks.errors import QueueAnswerError, QueueError, QueueMessageTooLargeError, QueueNotFoundError
from agent_tasks.queues import Queue, ReceivedMessage, Storage, encode
from agent_tasks.queues.messages import read_json

POISON = "-poison"
PARKED = "-parked"
INPUT = "-input"
OUTPUT = "-output"

_HIDDEN_FOR = 120
"""Seconds for which the calls of one round are nobody else's; enough for 32 of them."""


@dataclass(frozen=True)
class QueuePair:
    """The queues of one tool."""

    input: str
    output: str

    @property
    def tool(self) -> str:
        """The tool's name, as far as its queues tell it."""
        return self.input.removesuffix(INPUT).replace("-", "_")

    @property
    def failed(self) -> tuple[str, str]:
        """Where its failed calls are: waiting for an answer, and waiting for the operator."""
        return self.input + POISON, self.input + PARKED


@dataclass(frozen=True)
class QueueState:
    """What lies in a queue; `depth` None if there is no such queue."""

    name: str
    depth: int | None
    """Messages, those included that somebody works on (as Azure counts them: approximately)."""
    oldest: float | None
    """Seconds since the oldest visible message was put there; None if there is none."""


@dataclass(frozen=True)
class ToolQueues:
    """What lies in the queues of a tool."""

    tool: str
    input: QueueState
    output: QueueState
    poison: QueueState
    """Failed calls that the app has not answered yet."""
    parked: QueueState
    """Failed calls that were answered with an error; `redrive` sends them again."""
    strays: QueueState
    """Answers that nobody waited for."""


@dataclass(frozen=True)
class Redriven:
    """What became of one failed call."""

    queue: str
    """The queue that it was in."""
    correlation_id: str | None
    left: str | None = None
    """Why it was left where it is; None: it was sent again, or would be."""


async def find_pairs(storage: Storage) -> list[QueuePair]:
    """The tools of an account, by the names of its queues: `X-input` and `X-output`.

    Tools with other names are told from their poison and parked queues.

    Raises QueueError.
    """
    names = set(await storage.queue_names())
    inputs = {name for name in names if name.endswith(INPUT)}
    for name in names:
        for suffix in (POISON, PARKED):
            before = name.removesuffix(suffix)
            if before != name and not before.endswith((OUTPUT, POISON, PARKED)):
                inputs.add(before)
    return [QueuePair(name, name.removesuffix(INPUT) + OUTPUT) for name in sorted(inputs)]


async def queue_states(storage: Storage, pairs: Iterable[QueuePair]) -> list[ToolQueues]:
    """What lies in the queues of each tool. Raises QueueError; a queue that is not there is no error."""
    return [
        ToolQueues(
            pair.tool,
            input=await _state(storage, pair.input),
            output=await _state(storage, pair.output),
            poison=await _state(storage, pair.input + POISON),
            parked=await _state(storage, pair.input + PARKED),
            strays=await _state(storage, pair.output + PARKED),
        )
        for pair in pairs
    ]


async def redrive(
    storage: Storage,
    pairs: Iterable[QueuePair],
    *,
    limit: int = 1000,
    dry_run: bool = True,
    on_moved: Callable[[Redriven], None] | None = None,
) -> list[Redriven]:
    """Send failed calls again, from the poison and parked queues of each tool into its input queue.

    A call is put into the input queue first and deleted from where it was afterwards: it is never nowhere.
    What is no call, or names no `CorrelationId`, is left.

    Args:
        storage: the account, open.
        pairs: the tools.
        limit: calls to send at most.
        dry_run: only look. Of each queue the first 32 are seen.
        on_moved: called with each one as soon as it is done.

    Raises:
        QueueNotFoundError: an input queue is missing.
        QueueError: the account cannot be reached or refuses; what was not finished stays where it is.
    """
    done: list[Redriven] = []
    for pair in pairs:
        for name in pair.failed:
            queue, room = storage.queue(name), limit - len(done)
            if dry_run:
                done += await _looked_at(queue, room)
            else:
                done += await _move(queue, storage.queue(pair.input), room, on_moved)
    return done


async def _looked_at(queue: Queue, limit: int) -> list[Redriven]:
    if limit <= 0:
        return []
    try:
        seen = await queue.peek(min(limit, 32))
    except QueueNotFoundError:
        return []
    return [_marked(queue.name, message)[0] for message in seen]


async def _move(
    source: Queue, target: Queue, limit: int, on_moved: Callable[[Redriven], None] | None
) -> list[Redriven]:
    moved: list[Redriven] = []
    left: list[ReceivedMessage] = []
    seen: set[str] = set()
    try:
        while len(moved) < limit:
            try:
                received = await source.receive(min(32, limit - len(moved)), hidden_for=_HIDDEN_FOR)
            except QueueNotFoundError:
                break
            fresh = [message for message in received if message.id not in seen]
            left += [message for message in received if message.id in seen]
            if not fresh:
                break
            for place, message in enumerate(fresh):
                seen.add(message.id)
                outcome, body = _marked(source.name, message)
                if body is not None:
                    try:
                        await target.put(body)
                    except QueueMessageTooLargeError:
                        outcome = Redriven(source.name, outcome.correlation_id, "too large with its mark")
                        body = None
                    except QueueError:
                        left += fresh[place:]
                        raise
                if body is None:
                    left.append(message)
                else:
                    # False: it was hidden for too long, and somebody else has it: they find the answer.
                    await source.delete(message)
                moved.append(outcome)
                if on_moved is not None:
                    on_moved(outcome)
    finally:
        for message in left:
            await source.hide(message, 0)
    return moved


def _marked(queue: str, message: ReceivedMessage) -> tuple[Redriven, str | None]:
    """A failed call with the mark of a redrive; None in place of its body if it is no call."""
    try:
        call: Any = read_json(message.body)
    except (QueueAnswerError, ValueError, RecursionError):
        return Redriven(queue, None, "it is no JSON"), None
    if not isinstance(call, dict):
        return Redriven(queue, None, "it is no call"), None
    inner = call.get("function_args")
    correlation_id = _correlation_id(call) or (_correlation_id(inner) if isinstance(inner, dict) else None)
    if correlation_id is None:
        return Redriven(queue, None, "it names no CorrelationId"), None
    marked = {name: value for name, value in call.items() if name.lower() != "redrive"}
    return Redriven(queue, correlation_id), encode(json.dumps({**marked, "Redrive": True}))


def _correlation_id(fields: dict[str, Any]) -> str | None:
    for name, value in fields.items():
        if name.lower() == "correlationid" and isinstance(value, str) and value:
            return value
    return None


async def _state(storage: Storage, name: str) -> QueueState:
    queue = storage.queue(name)
    try:
        depth = await queue.depth()
        seen: Sequence[ReceivedMessage] = await queue.peek(1)
    except QueueNotFoundError:
        return QueueState(name, None, None)
    oldest = (datetime.now(UTC) - seen[0].inserted_at).total_seconds() if seen else None
    return QueueState(name, depth, oldest)
