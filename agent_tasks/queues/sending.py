"""Putting a call into a queue: at least once, under an id by which the receiver knows a repetition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from agent_tasks.errors import QueueMessageTooLargeError, StorageUnreachableError
from agent_tasks.pauses import Pauses
from agent_tasks.queues.claim_check import ClaimCheck
from agent_tasks.queues.messages import MAX_PAYLOAD_BYTES, CallShape, encode, write_call
from agent_tasks.queues.storage import Queue

__all__ = ["send_call"]

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0


async def send_call(
    queue: Queue,
    arguments: Mapping[str, Any],
    correlation_id: str,
    *,
    within: float,
    shape: CallShape = "flat",
    deadline: float | None = None,
    traceparent: str | None = None,
    claim_check: ClaimCheck | None = None,
) -> str:
    """Puts a call into the input queue of a function; returns the message's id.

    It is repeated while the storage does not answer. A put whose answer was lost may have had its effect, and
    a queue cannot be searched: so the message may be there twice, both times under the same `CorrelationId`.
    The Function App of this project answers the second from what it stored at the first.

    Args:
        queue: the input queue.
        arguments: of the function, by name.
        correlation_id: the id of the tool call.
        within: seconds to keep trying.
        shape: where the arguments stand in the message.
        deadline: seconds after which nobody waits for the answer any more.
        traceparent: W3C trace context.
        claim_check: where arguments go that are too large for a message.

    Raises:
        QueueMessageTooLargeError: the arguments are too large, and there is no `claim_check`.
        StorageUnreachableError: the storage did not answer until the end; the call may have been sent.
        QueueError: the queue is missing, or the storage refuses.
    """
    extra: dict[str, Any] = {"shape": shape, "deadline": deadline, "traceparent": traceparent}
    text = write_call(arguments, correlation_id, **extra)
    pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE, growth=2.0, within=within)
    while True:
        try:
            if claim_check is not None and len(text.encode()) > MAX_PAYLOAD_BYTES:
                reference = await claim_check.store(json.dumps(dict(arguments)))
                text = write_call({}, correlation_id, **extra, reference=reference)
            return await queue.put(encode(text))
        except QueueMessageTooLargeError as error:
            error.correlation_id = correlation_id
            raise
        except StorageUnreachableError as error:
            if not await pauses.wait():
                error.correlation_id = correlation_id
                raise
