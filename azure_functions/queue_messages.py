"""The messages of a queue tool: what the agent service sends, and what it waits for.

A call is a JSON object with the arguments and a `CorrelationId`; the answer is `{"Value": <string>,
"CorrelationId": <same>}`. The arguments come flat, beside the `CorrelationId`, from the agents service of
today, and under `function_args` from its successor. The run that made the call waits for an answer with its
`CorrelationId` and for nothing else: so a call that names one is always answered, and one that names none
cannot be.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

CORRELATION_KEY = "CorrelationId"
ARGUMENTS_KEY = "function_args"
MAX_ANSWER_BYTES = 49_152
"""Largest answer in bytes: the queue takes 64 KiB, of which base64 leaves three quarters."""

_CORRELATION_IN_TEXT = re.compile(rf'"{CORRELATION_KEY}"\s*:\s*"([^"\\]{{1,512}})"', re.IGNORECASE)


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


def read_call(body: bytes) -> Call:
    """Read a queue message, plain or in base64 (as it arrives when the host does not decode it).

    Raises NoCorrelationIdError and UndecodableCallError.
    """
    text = _text(body)
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _undecodable(text, f"the message is not valid JSON: {error}") from None
    if not isinstance(message, dict):
        raise _undecodable(text, f"the message is a JSON {type(message).__name__}, not an object")
    flat = {key: value for key, value in message.items() if key.lower() != CORRELATION_KEY.lower()}
    arguments = flat.get(ARGUMENTS_KEY, flat)
    if isinstance(arguments, str):
        # Models write arguments as JSON text, and a service may pass them on as they are.
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise _undecodable(text, f"{ARGUMENTS_KEY} is not valid JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise _undecodable(text, f"{ARGUMENTS_KEY} is not a JSON object")
    correlation_id = _correlation_id(message) or _correlation_id(arguments)
    if correlation_id is None:
        raise NoCorrelationIdError(f"the message names no {CORRELATION_KEY}, so it cannot be answered")
    return Call(
        {key: value for key, value in arguments.items() if key.lower() != CORRELATION_KEY.lower()},
        correlation_id,
    )


def write_answer(value: str, correlation_id: str) -> str:
    """The message that answers a call. A value too large for a queue is replaced by an error that says so."""
    # Escaped to ASCII: what a model writes may hold half a character, which no encoding would take.
    answer = json.dumps({"Value": value, CORRELATION_KEY: correlation_id})
    size = len(answer)
    if size <= MAX_ANSWER_BYTES:
        return answer
    reason = f"the answer has {size} bytes, a queue message holds {MAX_ANSWER_BYTES}: ask for less"
    return json.dumps({"Value": error_value("answer_too_large", reason), CORRELATION_KEY: correlation_id})


def error_value(kind: str, message: str) -> str:
    """The `Value` that tells the agent of an error: JSON text `{"error": {"type": ..., "message": ...}}`."""
    return json.dumps({"error": {"type": kind, "message": message}}, ensure_ascii=False)


def _text(body: bytes) -> str:
    """The message's text. A JSON object has braces, which base64 has not: the two cannot be mixed up."""
    try:
        decoded = base64.b64decode(body.strip(), validate=True)
    except binascii.Error:
        decoded = body
    return decoded.decode("utf-8", errors="replace")


def _correlation_id(mapping: dict[str, Any]) -> str | None:
    for key, value in mapping.items():
        if key.lower() == CORRELATION_KEY.lower() and isinstance(value, str) and value:
            return value
    return None


def _undecodable(text: str, reason: str) -> ValueError:
    """The error for a broken message: answerable if a `CorrelationId` can be made out in its text."""
    found = _CORRELATION_IN_TEXT.search(text)
    if found is None:
        return NoCorrelationIdError(f"{reason}; it names no {CORRELATION_KEY}, so it cannot be answered")
    return UndecodableCallError(found.group(1), reason)
