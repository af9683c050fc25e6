"""What becomes of a delivery, with first answers and large values on Azurite."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from agent_tasks.local.azurite import StorageAddresses
from tests.support.lost_answers import losing_answers
from tests.support.waiting import eventually


def message(correlation_id: str | None, **fields: Any) -> bytes:
    """A flat call."""
    return json.dumps({**fields, **({"CorrelationId": correlation_id} if correlation_id else {})}).encode()


def error_of(answer: str | None) -> dict[str, Any]:
    """The error in an answer's `Value`."""
    assert answer is not None
    error: dict[str, Any] = json.loads(json.loads(answer)["Value"])["error"]
    return error


class Counted:
    """A tool that counts its runs; `body` is what it does."""

    def __init__(self, queue_tool: ModuleType, body: Callable[[str], Any], **options: Any) -> None:
        self.runs: list[str] = []

        @queue_tool.queue_tool(**options)
        async def work(item: str) -> str:
            """Work on an item."""
            self.runs.append(item)
            made = body(item)
            return str(await made) if asyncio.iscoroutine(made) else str(made)

        self.tool = work


def hanging_at_first(queue_tool: ModuleType, *, repeatable: bool) -> Counted:
    """A tool whose first run does not end: what a host that is killed leaves behind."""

    async def body(item: str) -> str:
        if len(counted.runs) == 1:
            await asyncio.sleep(60)
        return item

    counted = Counted(queue_tool, body, repeatable=repeatable)
    return counted


@pytest.fixture
def respond(responder: ModuleType, app_storage: str) -> Callable[..., Any]:
    """Answer a message, `age` seconds old."""

    async def answer(tool: Any, body: bytes, *, age: float = 0, poison: bool = False) -> Any:
        delivery = responder.Delivery(body, datetime.now(UTC) - timedelta(seconds=age))
        return await (responder.give_up if poison else responder.respond)(tool, delivery)

    return answer


async def test_a_call_is_computed_once_and_answered_at_every_delivery(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    counted = Counted(queue_tool, lambda item: f"{item} no. {len(counted.runs)}")
    first = await respond(counted.tool, message("c1", item="oak"))
    again = await respond(counted.tool, message("c1", item="oak"))
    assert json.loads(first) == {"Value": "oak no. 1", "CorrelationId": "c1"}
    assert again == first
    assert counted.runs == ["oak"]


async def test_two_deliveries_at_the_same_time_are_one_computation(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    async def slowly(item: str) -> str:
        await asyncio.sleep(0.3)
        return f"{item} no. {len(counted.runs)}"

    counted = Counted(queue_tool, slowly)
    given = await asyncio.gather(*(respond(counted.tool, message("c1", item="oak")) for _ in range(5)))
    assert set(given) == {json.dumps({"Value": "oak no. 1", "CorrelationId": "c1"})}
    assert counted.runs == ["oak"]


async def test_an_id_used_for_another_call_is_an_error(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    counted = Counted(queue_tool, str)
    await respond(counted.tool, message("c1", item="oak"))
    assert error_of(await respond(counted.tool, message("c1", item="ash")))["type"] == "correlation_id_reused"
    assert counted.runs == ["oak"]


async def test_invalid_and_broken_calls_are_answered(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    counted = Counted(queue_tool, str)
    assert error_of(await respond(counted.tool, message("c1")))["type"] == "invalid_arguments"
    broken = await respond(counted.tool, b'{"item": "oak", "CorrelationId": "c2"')
    assert error_of(broken)["type"] == "undecodable_message"
    assert json.loads(broken)["CorrelationId"] == "c2"
    assert counted.runs == []


async def test_without_correlation_id_it_is_raised_and_parked(
    queue_tool: ModuleType,
    queue_messages: ModuleType,
    respond: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = Counted(queue_tool, str)
    with pytest.raises(queue_messages.NoCorrelationIdError):
        await respond(counted.tool, message(None, item="oak"))
    given_up = await respond(counted.tool, message(None, item="oak"), poison=True)
    assert (given_up.answer, given_up.is_parked) == (None, True)
    assert "work: the message names no CorrelationId" in caplog.text


async def test_a_failure_that_passes_is_tried_again(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    def at_the_second_try(item: str) -> str:
        if len(counted.runs) == 1:
            raise queue_tool.TransientError("the register is locked")
        return item

    counted = Counted(queue_tool, at_the_second_try, repeatable=False)
    with pytest.raises(queue_tool.TransientError):
        await respond(counted.tool, message("c1", item="oak"))
    assert json.loads(await respond(counted.tool, message("c1", item="oak")))["Value"] == "oak"
    assert counted.runs == ["oak", "oak"]


async def test_what_fails_at_every_try_is_answered_from_the_poison_queue_and_can_be_redriven(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    mended: list[bool] = []

    def until_mended(item: str) -> str:
        if not mended:
            raise queue_tool.TransientError("the register is locked")
        return item

    counted = Counted(queue_tool, until_mended)
    for _ in range(4):
        with pytest.raises(queue_tool.TransientError):
            await respond(counted.tool, message("c1", item="oak"))
    given_up = await respond(counted.tool, message("c1", item="oak"), poison=True)
    assert given_up.is_parked
    assert error_of(given_up.answer) == {
        "type": "tool_unavailable",
        "message": "work failed at every try: the register is locked",
    }
    mended.append(True)
    # A plain duplicate gets the first answer; the operator's order has it computed, once.
    assert await respond(counted.tool, message("c1", item="oak")) == given_up.answer
    assert len(counted.runs) == 4
    redriven = await respond(counted.tool, message("c1", item="oak", Redrive=True))
    assert json.loads(redriven)["Value"] == "oak"
    assert await respond(counted.tool, message("c1", item="oak", Redrive=True)) == redriven
    assert len(counted.runs) == 5


async def test_a_call_with_its_answer_in_the_poison_queue_gets_that_answer(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    counted = Counted(queue_tool, str)
    answer = await respond(counted.tool, message("c1", item="oak"))  # its host died before it could send it
    given_up = await respond(counted.tool, message("c1", item="oak"), poison=True)
    assert (given_up.answer, given_up.is_parked) == (answer, False)


async def cut_off(counted: Counted, respond: Callable[..., Any], body: bytes) -> None:
    """The host dies while the function runs: what is left is a claim whose lease nobody renews."""
    lost = asyncio.create_task(respond(counted.tool, body))
    await eventually(lambda: counted.runs)
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch, answers: ModuleType) -> None:
    monkeypatch.setenv("CLAIM_LEASE_SECONDS", "0.3")
    monkeypatch.setattr(answers, "CLOCK_SKEW", 0.2)


@pytest.mark.usefixtures("short_lease")
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_call_whose_host_was_killed(
    queue_tool: ModuleType, respond: Callable[..., Any], repeatable: bool
) -> None:
    counted = hanging_at_first(queue_tool, repeatable=repeatable)
    await cut_off(counted, respond, message("c1", item="oak"))
    answer = await respond(counted.tool, message("c1", item="oak"))
    if repeatable:
        assert json.loads(answer)["Value"] == "oak"
        assert counted.runs == ["oak", "oak"]
    else:
        assert error_of(answer)["type"] == "outcome_unknown"
        assert counted.runs == ["oak"]
    assert await respond(counted.tool, message("c1", item="oak")) == answer


@pytest.mark.usefixtures("short_lease")
async def test_taking_a_call_over_is_repeated_and_still_known_as_such(
    queue_tool: ModuleType,
    respond: Callable[..., Any],
    azurite: StorageAddresses,
    app_storage: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = hanging_at_first(queue_tool, repeatable=False)
    async with losing_answers(azurite, "PUT", f"/{app_storage}answers(") as (addresses, lost):
        monkeypatch.setenv("STORAGE", addresses.connection_string.get_secret_value())
        await cut_off(counted, respond, message("c1", item="oak"))
        await asyncio.sleep(0.6)
        answer = await respond(counted.tool, message("c1", item="oak"))
    assert len(lost) == 1
    assert error_of(answer)["type"] == "outcome_unknown"
    assert counted.runs == ["oak"]


@pytest.mark.usefixtures("short_lease")
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_call_that_takes_its_host_down_every_time(
    queue_tool: ModuleType, respond: Callable[..., Any], repeatable: bool
) -> None:
    async def hangs(item: str) -> str:
        if len(counted.runs) == 1:
            await asyncio.sleep(60)
        return item

    counted = Counted(queue_tool, hangs, repeatable=repeatable)
    await cut_off(counted, respond, message("c1", item="oak"))
    await asyncio.sleep(0.6)
    given_up = await respond(counted.tool, message("c1", item="oak"), poison=True)
    assert error_of(given_up.answer)["type"] == ("tool_failed" if repeatable else "outcome_unknown")
    # Redriving never runs again what may have had its effect.
    redriven = await respond(counted.tool, message("c1", item="oak", Redrive=True))
    assert len(counted.runs) == (2 if repeatable else 1)
    assert (redriven == given_up.answer) is not repeatable


@pytest.mark.usefixtures("short_lease")
async def test_the_lease_is_kept_while_the_function_runs(
    queue_tool: ModuleType, respond: Callable[..., Any]
) -> None:
    async def slowly(item: str) -> str:
        await asyncio.sleep(1.5)
        return item

    counted = Counted(queue_tool, slowly)
    first = asyncio.create_task(respond(counted.tool, message("c1", item="oak")))
    await asyncio.sleep(0.8)
    assert json.loads(await respond(counted.tool, message("c1", item="oak")))["Value"] == "oak"
    await first
    assert counted.runs == ["oak"]


async def test_a_delivery_does_not_wait_for_ever_for_another(
    queue_tool: ModuleType, responder: ModuleType, respond: Callable[..., Any]
) -> None:
    async def hangs(item: str) -> str:
        await asyncio.sleep(60)
        return item

    counted = Counted(queue_tool, hangs)
    first = asyncio.create_task(respond(counted.tool, message("c1", item="oak")))
    await eventually(lambda: counted.runs)
    with pytest.raises(responder.CallBusyError):
        await respond(dataclasses.replace(counted.tool, timeout=0.3), message("c1", item="oak"))
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert counted.runs == ["oak"]


async def test_the_poison_queue_waits_for_the_end_of_a_dead_hosts_lease(
    queue_tool: ModuleType,
    responder: ModuleType,
    respond: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CLAIM_LEASE_SECONDS", "1")
    counted = Counted(queue_tool, lambda item: asyncio.sleep(60), timeout=0.5)
    await cut_off(counted, respond, message("c1", item="oak"))
    with pytest.raises(responder.CallBusyError):
        await respond(counted.tool, message("c1", item="oak"))
    given_up = await respond(counted.tool, message("c1", item="oak"), poison=True)
    assert error_of(given_up.answer)["type"] == "tool_failed"
    assert given_up.is_parked


async def test_a_redriven_call_has_no_deadline(queue_tool: ModuleType, respond: Callable[..., Any]) -> None:
    counted = Counted(queue_tool, str)
    redriven = message("c1", item="oak", DeadlineSeconds=20, Redrive=True)
    assert json.loads(await respond(counted.tool, redriven, age=4000))["Value"] == "oak"
    failed = message("c2", item="oak", DeadlineSeconds=20, Redrive=True)
    given_up = await respond(counted.tool, failed, age=4000, poison=True)
    assert error_of(given_up.answer)["type"] == "tool_failed"
    assert given_up.is_parked


@pytest.mark.parametrize("removed", [True, False], ids=["row removed", "row expired"])
@pytest.mark.parametrize("repeatable", [True, False])
async def test_a_redriven_call_that_nothing_is_known_of_any_more(
    queue_tool: ModuleType,
    answers: ModuleType,
    respond: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    repeatable: bool,
    removed: bool,
) -> None:
    counted = Counted(queue_tool, str, repeatable=repeatable)
    monkeypatch.setenv("ANSWER_LIFETIME_SECONDS", "0.2")
    await respond(counted.tool, message("c1", item="oak"))
    await asyncio.sleep(0.3)
    if removed:
        assert await answers.purge() == 1
    monkeypatch.delenv("ANSWER_LIFETIME_SECONDS")
    answer = await respond(counted.tool, message("c1", item="oak", Redrive=True))
    if repeatable:
        assert json.loads(answer)["Value"] == "oak"
        assert counted.runs == ["oak", "oak"]
    else:
        assert error_of(answer)["type"] == "outcome_unknown"
        assert counted.runs == ["oak"]


@pytest.mark.usefixtures("short_lease")
async def test_the_operator_has_a_call_run_whose_outcome_is_unknown(
    queue_tool: ModuleType, answers: ModuleType, respond: Callable[..., Any], app_storage: str
) -> None:
    counted = hanging_at_first(queue_tool, repeatable=False)
    await cut_off(counted, respond, message("c1", item="oak"))
    redriven = message("c1", item="oak", Redrive=True)
    assert error_of(await respond(counted.tool, redriven))["type"] == "outcome_unknown"
    table = answers.storage().tables().get_table_client(f"{app_storage}answers")
    [row] = [row async for row in table.list_entities()]
    await table.update_entity(
        {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"], "MayRedrive": True}
    )
    assert json.loads(await respond(counted.tool, redriven))["Value"] == "oak"


@pytest.mark.parametrize(("deadline", "age", "is_over"), [(20, 30, True), (20, 5, False), (None, 1900, True)])
async def test_nobody_waits_after_the_deadline(
    queue_tool: ModuleType,
    respond: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    deadline: int | None,
    age: float,
    is_over: bool,
) -> None:
    counted = Counted(queue_tool, str)
    fields = {} if deadline is None else {"DeadlineSeconds": deadline}
    with caplog.at_level(logging.WARNING, "queue_tools"):
        answer = await respond(counted.tool, message("c1", item="oak", **fields), age=age)
    assert (answer is None, counted.runs == []) == (is_over, is_over)
    assert ("work: CorrelationId c1: dropped" in caplog.text) is is_over


async def test_a_value_too_large_for_a_queue_goes_to_a_blob(
    queue_tool: ModuleType, queue_messages: ModuleType, large_values: ModuleType, respond: Callable[..., Any]
) -> None:
    text = "Ö" * 60_000
    counted = Counted(queue_tool, lambda item: text)
    answer = await respond(counted.tool, message("c1", item="oak"))
    told = json.loads(answer)
    assert queue_messages.fits(answer)
    assert told["CorrelationId"] == "c1"
    # A reader that does not know references tells the agent to ask for less.
    assert error_of(answer)["type"] == "answer_too_large"
    reference = queue_messages.read_reference(told["ValueReference"])
    assert reference.size == 120_000
    assert await large_values.load(reference) == text
    assert await respond(counted.tool, message("c1", item="oak")) == answer


@pytest.mark.parametrize("is_new", [True, False], ids=["new container", "container"])
async def test_a_value_whose_storing_is_repeated_is_kept(
    queue_tool: ModuleType,
    large_values: ModuleType,
    respond: Callable[..., Any],
    azurite: StorageAddresses,
    app_storage: str,
    monkeypatch: pytest.MonkeyPatch,
    is_new: bool,
) -> None:
    if not is_new:
        await large_values.store("an earlier one")
        await large_values.storage().close()
    counted = Counted(queue_tool, lambda item: "x" * 60_000, repeatable=False)
    async with losing_answers(azurite, "PUT", f"/{app_storage}values/") as (addresses, lost):
        monkeypatch.setenv("STORAGE", addresses.connection_string.get_secret_value())
        answer = await respond(counted.tool, message("c1", item="oak"))
    assert len(lost) == 1
    assert json.loads(answer)["ValueReference"]["size"] == 60_000


async def test_a_refusal_is_never_larger_than_a_queue_takes(
    queue_tool: ModuleType, queue_messages: ModuleType, respond: Callable[..., Any]
) -> None:
    @queue_tool.queue_tool()
    def add_up(lines: list[int]) -> int:
        """Add up."""
        return sum(lines)

    refused = await respond(add_up, message("c1", lines=["x"] * 1_500))
    assert error_of(refused)["type"] == "invalid_arguments"
    assert error_of(refused)["message"].startswith("lines.0: Input should be a valid integer")
    assert error_of(refused)["message"].endswith("; and 1480 more")
    reference = {"container": "Ö" * 20_000, "blob": "b", "sha256": "0", "size": 1}
    elsewhere = await respond(add_up, message("c2", ArgumentsReference=reference))
    assert error_of(elsewhere)["type"] == "undecodable_message"
    assert error_of(elsewhere)["message"].startswith("the reference leads to another container: ÖÖ")
    assert queue_messages.fits(refused)
    assert queue_messages.fits(elsewhere)


async def test_arguments_come_from_a_blob(
    queue_tool: ModuleType, large_values: ModuleType, respond: Callable[..., Any]
) -> None:
    counted = Counted(queue_tool, lambda item: len(item))
    kept = await large_values.store(json.dumps({"item": "x" * 70_000}))
    reference = {name: getattr(kept, name) for name in ("container", "blob", "sha256", "size")}
    answer = await respond(counted.tool, message("c1", ArgumentsReference=reference))
    assert json.loads(answer)["Value"] == "70000"
    for change in (
        {"container": "secrets"},
        {"blob": "2026-01-01/other"},
        {"blob": "../secrets/key"},
        {"sha256": "0" * 64},
        {"size": reference["size"] - 1},
        {"size": 10**9},
    ):
        refused = await respond(counted.tool, message("c2", ArgumentsReference={**reference, **change}))
        assert error_of(refused)["type"] == "undecodable_message"
    assert len(counted.runs) == 1


async def test_rows_are_removed_when_their_time_is_over(
    queue_tool: ModuleType,
    answers: ModuleType,
    respond: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(queue_tool, str)
    monkeypatch.setenv("ANSWER_LIFETIME_SECONDS", "0.2")
    for number in range(3):
        await respond(counted.tool, message(f"c{number}", item="oak"))
    monkeypatch.delenv("ANSWER_LIFETIME_SECONDS")
    await respond(counted.tool, message("c9", item="oak"))
    await asyncio.sleep(0.3)
    # A row whose time is over counts as none, whether or not it was removed.
    await respond(counted.tool, message("c0", item="oak"))
    assert len(counted.runs) == 5
    assert await answers.purge() == 2
    assert await answers.purge() == 0
    await respond(counted.tool, message("c9", item="oak"))
    assert len(counted.runs) == 5


async def test_a_table_that_was_deleted_is_made_again(
    queue_tool: ModuleType, answers: ModuleType, respond: Callable[..., Any], app_storage: str
) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    counted = Counted(queue_tool, str)
    await respond(counted.tool, message("c1", item="oak"))
    await answers.storage().tables().delete_table(f"{app_storage}answers")
    with pytest.raises(ResourceNotFoundError):  # the queue delivers it again
        await respond(counted.tool, message("c2", item="oak"))
    assert json.loads(await respond(counted.tool, message("c2", item="oak")))["Value"] == "oak"
    assert counted.runs == ["oak", "oak"]


async def test_an_answer_that_cannot_be_kept_is_sent_all_the_same(
    queue_tool: ModuleType,
    answers: ModuleType,
    respond: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from azure.core.exceptions import ServiceRequestError

    async def fails(*_: Any, **__: Any) -> None:
        raise ServiceRequestError("the table is gone")

    counted = Counted(queue_tool, str, repeatable=False)
    monkeypatch.setattr(answers.AnswerStore, "finish", fails)
    assert json.loads(await respond(counted.tool, message("c1", item="oak")))["Value"] == "oak"


async def test_a_trace_goes_on_in_the_app(
    queue_tool: ModuleType,
    respond: Callable[..., Any],
    responder: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(responder.tracing, "_tracer", provider.get_tracer("test"))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await respond(Counted(queue_tool, str).tool, message("c1", item="oak", traceparent=trace))
    (span,) = exporter.get_finished_spans()
    assert span.name == "execute_tool work"
    assert span.context is not None
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert dict(span.attributes or {})["gen_ai.tool.call.id"] == "c1"
