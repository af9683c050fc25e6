"""What becomes of a delivery of a call: an answer, another try, or nothing since nobody waits any more.

`respond` serves a tool's input queue. A failure that may pass is raised, so that the queue delivers the call
again. What has failed at every try, or took its host down with it, ends in the poison queue: `give_up`
serves that one, answers with an error, and parks the call for the operator.

Why not let the last try answer for itself? A host that is killed, that runs out of memory or is stopped by
`functionTimeout` does not come to its last line; the poison queue gets the call all the same.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import app_settings
import large_values
import tracing
from answers import CLOCK_SKEW, AnswerStore, Busy, Claim, ClaimLostError, Stored
from azure.core.exceptions import AzureError
from logs import get_logger
from queue_messages import (
    Call,
    NoCorrelationIdError,
    UndecodableCallError,
    error_value,
    fits,
    read_call,
    write_answer,
)
from queue_tool import InvalidArgumentsError, QueueTool, TransientError

logger = get_logger("queue_tools")

Tool = QueueTool[..., Any]

_LOOK_AGAIN = 0.5  # seconds between looks at a call that another delivery works on
_LEEWAY = 5.0  # seconds for taking a call over once a dead host's lease has ended


class CallBusyError(TransientError):
    """Another delivery of the call is still at work; this one is delivered again."""


@dataclass(frozen=True)
class Delivery:
    """A message as the host hands it over."""

    body: bytes
    inserted_at: datetime | None = None
    """When it was put into the queue, by the storage service's clock."""

    @property
    def age(self) -> float:
        """Seconds since it was put into the queue; 0 if that is not known."""
        if self.inserted_at is None:
            return 0.0
        at = self.inserted_at if self.inserted_at.tzinfo else self.inserted_at.replace(tzinfo=UTC)
        return max(0.0, (datetime.now(UTC) - at).total_seconds())


@dataclass(frozen=True)
class GivenUp:
    """What becomes of a message from the poison queue."""

    answer: str | None
    """The message for the output queue; None: it cannot be answered, or nobody waits."""
    is_parked: bool
    """Whether it is kept for the operator."""


async def respond(tool: Tool, delivery: Delivery) -> str | None:
    """Answer a call from the input queue.

    Returns the message for the output queue; None: its deadline is over.

    Raises:
        TransientError: the queue shall deliver it again.
        NoCorrelationIdError: nobody could find an answer; the host moves it to the poison queue at last.
        AzureError: the storage account cannot be reached; the queue shall deliver it again.
    """
    try:
        call = read_call(delivery.body)
    except NoCorrelationIdError as error:
        logger.error("%s: %s", tool.name, error)
        tracing.count(tool.name, "refused")
        raise
    except UndecodableCallError as error:
        logger.warning("%s: CorrelationId %s: %s", tool.name, error.correlation_id, error)
        tracing.count(tool.name, "refused")
        return _refusal("undecodable_message", str(error), error.correlation_id)
    with tracing.call_span(tool.name, call.correlation_id, call.traceparent):
        if _is_over(tool, call, delivery):
            return None
        try:
            arguments = tool.validate(await _arguments(call))
        except (InvalidArgumentsError, large_values.BadReferenceError) as error:
            is_invalid = isinstance(error, InvalidArgumentsError)
            kind = "invalid_arguments" if is_invalid else "undecodable_message"
            logger.warning("%s: CorrelationId %s: %s", tool.name, call.correlation_id, kind)
            tracing.count(tool.name, "refused")
            return _refusal(kind, str(error), call.correlation_id)
        return await _answer_once(tool, call, arguments)


async def give_up(tool: Tool, delivery: Delivery) -> GivenUp:
    """Answer a call from the poison queue with an error, unless its first answer is there.

    Raises TransientError and AzureError as `respond` does.
    """
    try:
        call = read_call(delivery.body)
    except NoCorrelationIdError as error:
        logger.error("%s: a dead letter: %s", tool.name, error)
        tracing.count(tool.name, "parked")
        return GivenUp(None, is_parked=True)
    except UndecodableCallError as error:
        tracing.count(tool.name, "parked")
        answer = _refusal("undecodable_message", str(error), error.correlation_id)
        return GivenUp(answer, is_parked=True)
    with tracing.call_span(tool.name, call.correlation_id, call.traceparent):
        if _is_over(tool, call, delivery):
            return GivenUp(None, is_parked=True)
        store = AnswerStore(tool.name)
        # The host does not soon deliver it again, so the lease of a worker that is dead is waited out.
        lease = app_settings.claim_lease() + CLOCK_SKEW + _LEEWAY
        claim = await _claim(tool, store, call, _sent(call), redrive=call.is_redrive, at_least=lease)
        if isinstance(claim, Stored):
            tracing.count(tool.name, "repeated")
            return GivenUp(claim.answer, is_parked=claim.may_redrive)
        if claim.is_orphan:
            value = tool.given_up("tool_failed", f"{tool.name} was interrupted at every try")
        else:
            reason = claim.failure or "the operator finds the reason in the log"
            value = error_value("tool_unavailable", f"{tool.name} failed at every try: {reason}")
        answer = write_answer(value, call.correlation_id)
        may_redrive = tool.repeatable or not claim.is_orphan
        await store.finish(call.correlation_id, claim, answer, may_redrive=may_redrive)
        logger.error("%s: CorrelationId %s: given up, a dead letter now", tool.name, call.correlation_id)
        tracing.count(tool.name, "parked")
        return GivenUp(answer, is_parked=True)


async def _answer_once(tool: Tool, call: Call, arguments: dict[str, Any]) -> str:
    """The call's answer, computed only if there is none yet."""
    store = AnswerStore(tool.name)
    sent = _sent(call)
    claim = await _claim(tool, store, call, sent, redrive=call.is_redrive)
    if isinstance(claim, Stored):
        return _repeated(tool, call, claim)
    if claim.is_orphan and not tool.repeatable:
        value = tool.given_up("outcome_unknown", f"nobody knows how far {tool.name} came with this call")
        answer = write_answer(value, call.correlation_id)
        logger.error("%s: CorrelationId %s: outcome unknown; not run again", tool.name, call.correlation_id)
    else:
        async with _lease_kept(store, call.correlation_id, claim):
            try:
                value = await tool.run(arguments, call.correlation_id)
                answer = await _message(tool, value, call.correlation_id)
            except TransientError as error:
                tracing.count(tool.name, "retried")
                with suppress(ClaimLostError, AzureError):  # its lease ends by itself
                    await store.release(call.correlation_id, claim, str(error))
                raise
    try:
        await store.finish(call.correlation_id, claim, answer)
    except ClaimLostError:
        # This host gave no sign for too long, and another one has answered: the first answer counts.
        claim_now = await _claim(tool, store, call, sent)
        if isinstance(claim_now, Stored):
            return _repeated(tool, call, claim_now)
        await store.finish(call.correlation_id, claim_now, answer)
    except AzureError:
        # The agent gets its answer. A duplicate finds the claim of a lost host, and `repeatable` decides.
        logger.exception("%s: CorrelationId %s: the answer was not kept", tool.name, call.correlation_id)
    logger.info("%s: CorrelationId %s: answered", tool.name, call.correlation_id)
    tracing.count(tool.name, "answered")
    return answer


def _repeated(tool: Tool, call: Call, stored: Stored) -> str:
    if not stored.same_arguments:
        logger.error("%s: CorrelationId %s: used for another call", tool.name, call.correlation_id)
        tracing.count(tool.name, "refused")
        reason = "this CorrelationId was used before, with other arguments; each call needs one of its own"
        return write_answer(error_value("correlation_id_reused", reason), call.correlation_id)
    logger.info("%s: CorrelationId %s: the first answer is sent again", tool.name, call.correlation_id)
    tracing.count(tool.name, "repeated")
    return stored.answer


async def _claim(
    tool: Tool,
    store: AnswerStore,
    call: Call,
    arguments: dict[str, Any],
    *,
    redrive: bool = False,
    at_least: float = 0.0,
) -> Claim | Stored:
    """The claim of a call, or its answer. Another delivery that is at work is waited for.

    Raises CallBusyError when that one takes longer than the function may, and than `at_least` seconds.
    """
    try:
        async with asyncio.timeout(max(tool.timeout, at_least)):
            while True:
                claim = await store.claim(call.correlation_id, arguments, redrive=redrive)
                if not isinstance(claim, Busy):
                    return claim
                await asyncio.sleep(_LOOK_AGAIN)
    except TimeoutError:
        raise CallBusyError(f"{tool.name} is still at work on this call") from None


@asynccontextmanager
async def _lease_kept(store: AnswerStore, correlation_id: str, claim: Claim) -> AsyncIterator[None]:
    """Renew a claim while the block runs."""

    async def renew() -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), app_settings.claim_lease() / 3)
                return
            try:
                await store.renew(correlation_id, claim)
            except ClaimLostError:
                return  # `finish` will see it too
            except AzureError as error:
                logger.warning("%s: CorrelationId %s: not renewed: %s", store.tool, correlation_id, error)

    ended = asyncio.Event()
    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        ended.set()  # not cancelled: a request under way would leave the row with an ETag nobody knows
        await renewal


async def _arguments(call: Call) -> dict[str, Any]:
    """The arguments, read from their blob if they are not in the message.

    Raises InvalidArgumentsError and BadReferenceError.
    """
    if call.arguments_reference is None:
        return call.arguments
    text = await large_values.load(call.arguments_reference)
    try:
        arguments = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentsError(f"the arguments are not valid JSON: {error}") from None
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise InvalidArgumentsError("the arguments are not a JSON object")
    return arguments


def _sent(call: Call) -> dict[str, Any]:
    """What the sender sent, for telling two calls apart: of large arguments the hash is enough."""
    reference = call.arguments_reference
    return call.arguments if reference is None else {"sha256": reference.sha256}


async def _message(tool: Tool, value: str, correlation_id: str) -> str:
    """The answer as a message; a value that is too large for a queue goes to a blob.

    Raises TransientError if the blob cannot be written and the function may run again.
    """
    answer = write_answer(value, correlation_id)
    if fits(answer):
        return answer
    reason = (
        f"the answer has {len(value.encode('utf-8', 'replace'))} bytes, too many for a queue: ask for less"
    )
    told = error_value("answer_too_large", reason)
    try:
        reference = await large_values.store(value)
    except large_values.TextTooLargeError as error:
        return write_answer(error_value("answer_too_large", str(error)), correlation_id)
    except AzureError as error:
        if tool.repeatable:
            raise TransientError("the answer could not be put into a blob") from error
        logger.exception("%s: CorrelationId %s: the answer was not kept", tool.name, correlation_id)
        return write_answer(told, correlation_id)
    return write_answer(told, correlation_id, reference)


def _refusal(kind: str, reason: str, correlation_id: str) -> str:
    """An error as a message. The reason may repeat what was sent: it is cut until a queue takes it."""
    while not fits(answer := write_answer(error_value(kind, reason), correlation_id)):
        reason = f"{reason[: len(reason) // 2]} ..."
    return answer


def _is_over(tool: Tool, call: Call, delivery: Delivery) -> bool:
    """Whether nobody waits for the answer any more. A redriven call is sent for its effect: it has no end."""
    if call.is_redrive:
        return False
    deadline = call.deadline or app_settings.call_deadline()
    if delivery.age <= deadline:
        return False
    logger.warning(
        "%s: CorrelationId %s: dropped, %.0f s old; its deadline was %g s",
        tool.name, call.correlation_id, delivery.age, deadline,
    )  # fmt: skip
    tracing.count(tool.name, "dropped")
    return True
