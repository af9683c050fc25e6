"""A call as the app reads it, and an answer as it writes it; the format is `message_format`'s.

The run that made the call waits for an answer with its `CorrelationId` and for nothing else: so a call that
names one is always answered, and one that names none cannot be.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from message_format import (
    ARGUMENTS_KEY,
    ARGUMENTS_REFERENCE_KEY,
    CORRELATION_KEY,
    DEADLINE_KEY,
    MAX_PAYLOAD_BYTES,
    REDRIVE_KEY,
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
    "RESERVED",
    "Call",
    "NoCorrelationIdError",
    "Reference",
    "UndecodableCallError",
    "encode",
    "error_value",
    "fits",
    "read_call",
    "read_reference",
    "unparsed",
    "write_answer",
]

MAX_CORRELATION_CHARS = 512
"""Longest `CorrelationId`; the services' own have less than 100 characters."""

_CORRELATION_IN_TEXT = re.compile(
    rf'"{CORRELATION_KEY}"\s*:\s*"([^"\\]{{1,{MAX_CORRELATION_CHARS}}})"', re.IGNORECASE
)


class NoCorrelationIdError(ValueError):
    """A message names no `CorrelationId`: nobody could find its answer, so it belongs in the poison queue."""


class UndecodableCallError(ValueError):
    """A message is not a call, but its `CorrelationId` is known, so that it can be answered."""

    def __init__(self, correlation_id: str, reason: str) -> None:
        super().__init__(correlation_id, reason)
        self.correlation_id = correlation_id
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


@dataclass(frozen=True)
class Call:
    """One call of a tool: its arguments by name, not validated yet, and the id its answer has to carry."""

    arguments: dict[str, Any]
    correlation_id: str
    deadline: float | None = None
    """Seconds since the message was inserted; None: the app's own."""
    traceparent: str | None = None
    arguments_reference: Reference | None = None
    """Where the arguments are, if they are not in the message."""
    is_redrive: bool = False


def read_call(body: bytes) -> Call:
    """Read a queue message, plain or in base64.

    Raises NoCorrelationIdError and UndecodableCallError.
    """
    text = _text(body)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _undecodable(text, f"the message is not valid JSON: {error}") from None
    if not isinstance(message, dict):
        raise _undecodable(text, f"the message is a JSON {type(message).__name__}, not an object")
    fields = {key.lower(): value for key, value in message.items()}
    flat = {key: value for key, value in message.items() if key.lower() not in RESERVED}
    arguments = fields.get(ARGUMENTS_KEY, flat)
    if isinstance(arguments, str):
        # Models write arguments as JSON text, and a service may pass them on as they are.
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise _undecodable(text, f"{ARGUMENTS_KEY} is not valid JSON: {error}") from None
    if arguments is None:  # what models write for a function without parameters
        arguments = {}
    if not isinstance(arguments, dict):
        raise _undecodable(text, f"{ARGUMENTS_KEY} is not a JSON object")
    correlation_id = _correlation_id(message) or _correlation_id(arguments)
    if correlation_id is None:
        raise NoCorrelationIdError(
            f"the message names no {CORRELATION_KEY} (a text of up to {MAX_CORRELATION_CHARS} characters), "
            "so it cannot be answered"
        )
    try:
        reference = fields.get(ARGUMENTS_REFERENCE_KEY.lower())
        return Call(
            {key: value for key, value in arguments.items() if key.lower() != CORRELATION_KEY.lower()},
            correlation_id,
            deadline=_deadline(fields.get(DEADLINE_KEY.lower())),
            traceparent=fields[TRACE_KEY] if isinstance(fields.get(TRACE_KEY), str) else None,
            arguments_reference=None if reference is None else read_reference(reference),
            is_redrive=fields.get(REDRIVE_KEY.lower()) is True,
        )
    except ValueError as error:
        raise UndecodableCallError(correlation_id, str(error)) from None


def write_answer(value: str, correlation_id: str, reference: Reference | None = None) -> str:
    """The message that answers a call: JSON text in ASCII.

    With a `reference` to the value itself, `value` is what readers get that cannot follow it.
    """
    answer: dict[str, Any] = {VALUE_KEY: value, CORRELATION_KEY: correlation_id}
    if reference is not None:
        answer[VALUE_REFERENCE_KEY] = asdict(reference)
    # Escaped to ASCII: what a model writes may hold half a character, which no encoding would take.
    return json.dumps(answer)


def unparsed(text: str) -> str:
    """A text for an output binding that has to arrive as it is, or in base64.

    The host reads a text in braces or brackets as JSON: of a list it makes a message for each element (of
    `[]` none), an object it writes anew, and at what is no JSON it fails.
    """
    return encode(text) if text.strip()[:1] in ("{", "[") else text


def fits(message: str) -> bool:
    """Whether a queue takes the message."""
    return len(message.encode()) <= MAX_PAYLOAD_BYTES


def error_value(kind: str, message: str) -> str:
    """The `Value` that tells the agent of an error: JSON text `{"error": {"type": ..., "message": ...}}`."""
    return json.dumps({"error": {"type": kind, "message": message}}, ensure_ascii=False)


def _text(body: bytes) -> str:
    """The message's text. Some senders put a byte order mark before it, or before what is encoded there."""
    return unpacked(body).decode("utf-8-sig", errors="replace")


def _correlation_id(mapping: dict[str, Any]) -> str | None:
    for key, value in mapping.items():
        if key.lower() == CORRELATION_KEY.lower() and isinstance(value, str) and value:
            return value if len(value) <= MAX_CORRELATION_CHARS else None
    return None


def _deadline(given: object) -> float | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, int | float) or not given > 0:
        raise ValueError(f"{DEADLINE_KEY} is not a number of seconds above 0")
    try:
        return float(given)
    except OverflowError:
        raise ValueError(f"{DEADLINE_KEY} is too large a number") from None


def _undecodable(text: str, reason: str) -> ValueError:
    """The error for a broken message: answerable if a `CorrelationId` can be made out in its text."""
    found = _CORRELATION_IN_TEXT.search(text)
    if found is None:
        return NoCorrelationIdError(f"{reason}; it names no {CORRELATION_KEY}, so it cannot be answered")
    return UndecodableCallError(found.group(1), reason)
