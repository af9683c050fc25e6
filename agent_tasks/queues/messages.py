"""A call as a pipeline writes it, and an answer as it reads it; the format is `message_format`'s."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from agent_tasks.errors import QueueAnswerError
from agent_tasks.queues.message_format import (
    ARGUMENTS_KEY,
    ARGUMENTS_REFERENCE_KEY,
    CORRELATION_KEY,
    DEADLINE_KEY,
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    RESERVED,
    TRACE_KEY,
    VALUE_KEY,
    VALUE_REFERENCE_KEY,
    Reference,
    encode,
    read_reference,
    unpacked,
)

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_PAYLOAD_BYTES",
    "AnswerMessage",
    "CallShape",
    "Reference",
    "decode",
    "encode",
    "read_answer",
    "read_json",
    "write_call",
]

BYTE_ORDER_MARK = "\ufeff"

CallShape = Literal["flat", "function_args"]
"""Where the arguments of a call stand."""


@dataclass(frozen=True)
class AnswerMessage:
    """An answer as it stands in its message."""

    correlation_id: str
    value: str
    """What the function answered; a value that is not a text is its JSON."""
    reference: Reference | None = None
    """Where the value itself is, if it was too large."""


def decode(body: str) -> str:
    """The text of a message, in base64 or plain.

    Raises:
        QueueAnswerError: the bytes are not UTF-8.
    """
    given = body.encode("utf-8", "surrogatepass")
    data = unpacked(given)
    if data is given:
        return body
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise QueueAnswerError("the message is neither base64 of UTF-8 nor plain text") from None


def write_call(
    arguments: Mapping[str, Any],
    correlation_id: str,
    *,
    shape: CallShape = "flat",
    deadline: float | None = None,
    traceparent: str | None = None,
    reference: Reference | None = None,
) -> str:
    """The text of a call's message (JSON, before base64).

    Args:
        arguments: of the function, by name; left out where `reference` says where they are.
        correlation_id: id that the answer will carry: the id of the tool call.
        shape: where the arguments stand.
        deadline: seconds after which nobody waits any more.
        traceparent: W3C trace context.
        reference: where the arguments are, if they are too large.
    """
    fields: dict[str, Any] = {CORRELATION_KEY: correlation_id}
    if deadline is not None:
        fields[DEADLINE_KEY] = deadline
    if traceparent is not None:
        fields[TRACE_KEY] = traceparent
    if reference is not None:
        fields[ARGUMENTS_REFERENCE_KEY] = asdict(reference)
        arguments = {}
    if shape == "function_args" or any(name.lower() in RESERVED for name in arguments):
        # A parameter with a reserved name cannot stand flat: it would be taken for the sender's field.
        return json.dumps({ARGUMENTS_KEY: dict(arguments), **fields})
    return json.dumps({**arguments, **fields})


def read_json(body: str) -> Any:
    """The JSON in a message, with or without a byte order mark.

    Raises:
        QueueAnswerError: the bytes are not UTF-8.
        ValueError: it is no JSON.
        RecursionError: it is too deep.
    """
    return json.loads(decode(body).removeprefix(BYTE_ORDER_MARK))


def read_answer(body: str) -> AnswerMessage:
    """An answer from the body of its message.

    Raises:
        QueueAnswerError: it is not JSON, no object, names no `CorrelationId`, or its reference is none. Where
            the id is known, the error carries it.
    """
    try:
        message = read_json(body)
    except (ValueError, RecursionError) as error:
        raise QueueAnswerError(f"the message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise QueueAnswerError(f"the message is a JSON {type(message).__name__}, not an object")
    fields = {name.lower(): value for name, value in message.items()}
    correlation_id = fields.get(CORRELATION_KEY.lower())
    if not isinstance(correlation_id, str) or not correlation_id:
        raise QueueAnswerError("the message names no CorrelationId, so nobody can be told of it")
    if not {VALUE_KEY.lower(), VALUE_REFERENCE_KEY.lower()} & fields.keys():
        raise QueueAnswerError("the message has no Value", correlation_id=correlation_id)
    value = fields.get(VALUE_KEY.lower())
    given = fields.get(VALUE_REFERENCE_KEY.lower())
    try:
        reference = None if given is None else read_reference(given)
    except ValueError as error:
        raise QueueAnswerError(
            f"its {VALUE_REFERENCE_KEY} is none: {error}", correlation_id=correlation_id
        ) from None
    return AnswerMessage(
        correlation_id,
        value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False),
        reference,
    )
