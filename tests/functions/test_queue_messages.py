"""What the queue tools make of a message, whatever its shape."""

from __future__ import annotations

import base64
import codecs
import json
from types import ModuleType
from typing import Any

import pytest

ARGUMENTS = {"iban": "DE89370400440532013000"}


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({**ARGUMENTS, "CorrelationId": "c1"}, id="flat"),
        pytest.param({"function_args": ARGUMENTS, "CorrelationId": "c1"}, id="nested"),
        pytest.param({"function_args": {**ARGUMENTS, "CorrelationId": "c1"}}, id="nested-with-its-id"),
        pytest.param({"function_args": json.dumps(ARGUMENTS), "CorrelationId": "c1"}, id="nested-as-text"),
        pytest.param({**ARGUMENTS, "correlationid": "c1"}, id="lower-case"),
        pytest.param({**ARGUMENTS, "CORRELATIONID": "c1"}, id="upper-case"),
    ],
)
@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
def test_reads_every_shape_and_encoding(
    queue_messages: ModuleType, message: dict[str, Any], encoded: bool
) -> None:
    body = json.dumps(message).encode()
    call = queue_messages.read_call(base64.b64encode(body) if encoded else body)
    assert call.arguments == ARGUMENTS
    assert call.correlation_id == "c1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"42",
        b'{"iban": "X"}',
        b'{"iban": "X", "CorrelationId": ""}',
        b'{"iban": "X", "CorrelationId": null}',
        b'{"iban": ',
        b"[" * 50_000,
    ],
)
def test_a_message_without_correlation_id_is_refused(queue_messages: ModuleType, body: bytes) -> None:
    with pytest.raises(queue_messages.NoCorrelationIdError):
        queue_messages.read_call(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"iban": "X", "correlationId" : "c9", ', "not valid JSON"),
        (b'[{"CorrelationId": "c9"}]', "a JSON list"),
        (b'{"CorrelationId": "c9", "function_args": "{"}', "function_args is not valid JSON"),
        (b'{"CorrelationId": "c9", "function_args": [1]}', "function_args is not a JSON object"),
    ],
)
def test_an_undecodable_message_keeps_its_correlation_id(
    queue_messages: ModuleType, body: bytes, reason: str
) -> None:
    with pytest.raises(queue_messages.UndecodableCallError, match=reason) as caught:
        queue_messages.read_call(body)
    assert caught.value.correlation_id == "c9"


def test_the_senders_fields_are_not_arguments(queue_messages: ModuleType) -> None:
    reference = {"container": "c", "blob": "b", "sha256": "0" * 64, "size": 3}
    message = {
        **ARGUMENTS,
        "CorrelationId": "c1",
        "DeadlineSeconds": 20,
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "ArgumentsReference": reference,
        "Redrive": True,
    }
    call = queue_messages.read_call(json.dumps(message).encode())
    assert call.arguments == ARGUMENTS
    assert call.deadline == 20.0
    assert call.traceparent == message["traceparent"]
    assert call.arguments_reference == queue_messages.Reference(**reference)
    assert call.is_redrive


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("DeadlineSeconds", 0),
        ("DeadlineSeconds", "soon"),
        ("DeadlineSeconds", True),
        pytest.param("DeadlineSeconds", 10**400, id="DeadlineSeconds-huge"),
        ("ArgumentsReference", "b"),
        ("ArgumentsReference", {"container": "c", "blob": "b", "sha256": ""}),
    ],
)
def test_senders_fields_that_make_no_sense_are_answered(
    queue_messages: ModuleType, field: str, value: object
) -> None:
    with pytest.raises(queue_messages.UndecodableCallError) as caught:
        queue_messages.read_call(json.dumps({"CorrelationId": "c9", field: value}).encode())
    assert caught.value.correlation_id == "c9"


def test_what_a_queue_takes(queue_messages: ModuleType) -> None:
    empty = len(queue_messages.write_answer("", "c1"))
    largest = queue_messages.write_answer("x" * (49_152 - empty), "c1")
    assert queue_messages.fits(largest)
    assert len(queue_messages.encode(largest)) == 65_536
    assert not queue_messages.fits(queue_messages.write_answer("x" * (49_153 - empty), "c1"))


def test_a_value_with_half_a_character_can_be_sent(queue_messages: ModuleType) -> None:
    answer = queue_messages.write_answer("\ud83d", "c1")
    assert answer.encode("utf-8")
    assert json.loads(answer)["Value"] == "\ud83d"


@pytest.mark.parametrize("outer", [b"", codecs.BOM_UTF8], ids=["message", "marked message"])
@pytest.mark.parametrize("inner", [b"", codecs.BOM_UTF8], ids=["text", "marked text"])
def test_a_byte_order_mark_does_not_hide_a_call(
    queue_messages: ModuleType, outer: bytes, inner: bytes
) -> None:
    body = inner + json.dumps({**ARGUMENTS, "CorrelationId": "c1"}).encode()
    for message in (outer + base64.b64encode(body), inner + body.removeprefix(inner)):
        call = queue_messages.read_call(message)
        assert (call.arguments, call.correlation_id) == (ARGUMENTS, "c1")


@pytest.mark.parametrize("written", [None, "null", " null\n", {}, "{}"])
def test_null_is_what_models_write_for_no_arguments(queue_messages: ModuleType, written: Any) -> None:
    call = queue_messages.read_call(json.dumps({"function_args": written, "CorrelationId": "c1"}).encode())
    assert call.arguments == {}
