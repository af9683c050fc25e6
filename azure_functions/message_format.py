# Copied from agent_tasks/queues/message_format.py by `make generate`: change that one.
"""What calls and answers look like in queue messages: common to the pipeline and to the Function App.

A call is a JSON object with the arguments and a `CorrelationId`; the answer is `{"Value": <string>,
"CorrelationId": <same>}`. The arguments come flat, beside the `CorrelationId`, from the agents service of
today, and under `function_args` from its successor and from pipelines. Names are read in any letter case.
Both travel in base64, which the Functions host expects by default; plain JSON is read too. A sender may add:

| field | meaning |
| --- | --- |
| `DeadlineSeconds` | seconds since the message was inserted after which nobody waits for its answer |
| `traceparent` | the trace that the call belongs to (W3C trace context) |
| `ArgumentsReference` | a `Reference` to the arguments, if they are too large for a queue |
| `ValueReference` (answers) | a `Reference` to the value; `Value` is then for readers that cannot follow it |
| `Redrive` | true: an operator sends it again after it had failed for good; no deadline then |

Sources: documentation of the agents service and of Azure Functions; limits measured on Azurite.
"""

from __future__ import annotations

import base64
import binascii
import codecs
from dataclasses import dataclass

CORRELATION_KEY = "CorrelationId"
ARGUMENTS_KEY = "function_args"
DEADLINE_KEY = "DeadlineSeconds"
TRACE_KEY = "traceparent"
ARGUMENTS_REFERENCE_KEY = "ArgumentsReference"
REDRIVE_KEY = "Redrive"
VALUE_KEY = "Value"
VALUE_REFERENCE_KEY = "ValueReference"

RESERVED = frozenset(
    key.lower()
    for key in (
        *(CORRELATION_KEY, ARGUMENTS_KEY, DEADLINE_KEY, TRACE_KEY),
        *(ARGUMENTS_REFERENCE_KEY, REDRIVE_KEY),
    )
)
"""Names that no parameter of a tool may have: in a flat message they would be taken for the sender's."""

MAX_MESSAGE_BYTES = 65_536
"""Largest message that a queue takes, in bytes as it is sent."""
MAX_PAYLOAD_BYTES = 49_152
"""Largest text before base64, in bytes: three quarters of it."""


@dataclass(frozen=True)
class Reference:
    """Where a text is that was too large for a message, and how to see that it is the right one."""

    container: str
    blob: str
    sha256: str
    """Of the text in UTF-8, as hexadecimal characters."""
    size: int
    """Bytes of the text in UTF-8."""


def encode(text: str) -> str:
    """A text as it is put into a queue: base64 of its UTF-8."""
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


def unpacked(body: bytes) -> bytes:
    """The bytes of a message, out of base64 if it is in base64; else the very object that was given.

    A JSON object has braces, which base64 has not: the two cannot be mixed up. A byte order mark, which some
    senders put first, does not hide the base64; in what is encoded it stays.
    """
    try:
        return base64.b64decode(body.removeprefix(codecs.BOM_UTF8).strip(), validate=True)
    except binascii.Error:
        return body


def read_reference(given: object) -> Reference:
    """A reference as it stands in a message. Raises ValueError if it is none."""
    if isinstance(given, dict):
        texts = [given.get(name) for name in ("container", "blob", "sha256")]
        size = given.get("size")
        if all(isinstance(text, str) and text for text in texts) and type(size) is int and size >= 0:
            return Reference(str(texts[0]), str(texts[1]), str(texts[2]), size)
    raise ValueError("a reference needs container, blob, sha256 (texts) and size (bytes)")
