"""Calls and answers as they stand in queue messages.

A call is a JSON object: the arguments *flat* beside the `CorrelationId` (the agents service of today), or
under `function_args` (its successor). An answer is `{"Value": <text>, "CorrelationId": <same>}`. Both travel
in base64, which the Functions host expects by default; plain JSON is read too. Names are read in any letter
case. What a pipeline's call may carry besides, and the Function App understands:

| field | meaning |
| --- | --- |
| `DeadlineSeconds` | seconds since the message was inserted after which nobody waits for its answer |
| `traceparent` | the trace that the call belongs to (W3C trace context) |
| `ArgumentsReference` | a `Reference` to the arguments, if they are too large for a message |
| `ValueReference` (answers) | a `Reference` to the value; `Value` is then for readers that cannot follow it |

Sources: documentation of the agents service and of Azure Functions; limits measured on Azurite.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from agent_tasks.errors import QueueAnswerError

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

MAX_MESSAGE_BYTES = 65_536
"""Largest message that a queue takes, in bytes as it is sent."""
MAX_PAYLOAD_BYTES = 49_152
"""Largest text before base64, in bytes: three quarters of it."""

BYTE_ORDER_MARK = "\ufeff"

CallShape = Literal["flat", "function_args"]
"""Where the arguments of a call stand."""

_RESERVED = frozenset(
    {"correlationid", "function_args", "deadlineseconds", "traceparent", "argumentsreference", "redrive"}
)


@dataclass(frozen=True)
class Reference:
    """Where a text is that was too large for a message, and how to see that it is the right one."""

    container: str
    blob: str
    sha256: str
    """Of the text in UTF-8, as hexadecimal characters."""
    size: int
    """Bytes of the text in UTF-8."""


@dataclass(frozen=True)
class AnswerMessage:
    """An answer as it stands in its message."""

    correlation_id: str
    value: str
    """What the function answered; a value that is not a text is its JSON."""
    reference: Reference | None = None
    """Where the value itself is, if it was too large."""


def encode(text: str) -> str:
    """A text as it is put into a queue: base64 of its UTF-8."""
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def decode(body: str) -> str:
    """The text of a message, in base64 or plain.

    JSON has braces, which base64 has not. A byte order mark, which some senders put first, does not hide
    the base64; in the text itself it stays.

    Raises:
        QueueAnswerError: the bytes are not UTF-8.
    """
    try:
        data = base64.b64decode(body.removeprefix(BYTE_ORDER_MARK).strip(), validate=True)
    except (binascii.Error, ValueError):
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
    fields: dict[str, Any] = {"CorrelationId": correlation_id}
    if deadline is not None:
        fields["DeadlineSeconds"] = deadline
    if traceparent is not None:
        fields["traceparent"] = traceparent
    if reference is not None:
        fields["ArgumentsReference"] = asdict(reference)
        arguments = {}
    if shape == "function_args" or any(name.lower() in _RESERVED for name in arguments):
        # A parameter with a reserved name cannot stand flat: it would be taken for the sender's field.
        return json.dumps({"function_args": dict(arguments), **fields})
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
    correlation_id = fields.get("correlationid")
    if not isinstance(correlation_id, str) or not correlation_id:
        raise QueueAnswerError("the message names no CorrelationId, so nobody can be told of it")
    if "value" not in fields and "valuereference" not in fields:
        raise QueueAnswerError("the message has no Value", correlation_id=correlation_id)
    value = fields.get("value")
    reference = fields.get("valuereference")
    return AnswerMessage(
        correlation_id,
        value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False),
        None if reference is None else _read_reference(reference, correlation_id),
    )


def _read_reference(given: object, correlation_id: str) -> Reference:
    if isinstance(given, dict):
        texts = [given.get(name) for name in ("container", "blob", "sha256")]
        size = given.get("size")
        if all(isinstance(text, str) and text for text in texts) and type(size) is int and size >= 0:
            return Reference(str(texts[0]), str(texts[1]), str(texts[2]), size)
    raise QueueAnswerError(
        "its ValueReference is none: it needs container, blob, sha256 (texts) and size (bytes)",
        correlation_id=correlation_id,
    )
