"""The operator's commands: what lies in the queues, and sending failed calls again, on Azurite."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks.cli import queues as command
from agent_tasks.cli.app import app
from agent_tasks.errors import QueueNotFoundError
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.operations.queue_upkeep import QueuePair, find_pairs, queue_states, redrive
from agent_tasks.queues import Queue, Storage, StorageConnection, decode, encode


@pytest.fixture
async def storage(azurite: StorageAddresses) -> AsyncIterator[Storage]:
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as opened:
        yield opened


@pytest.fixture
async def pair(storage: Storage, queue_prefix: str) -> AsyncIterator[QueuePair]:
    """The queues of one tool, without those of failed calls."""
    pair = QueuePair(f"{queue_prefix}-look-up-input", f"{queue_prefix}-look-up-output")
    for name in (pair.input, pair.output):
        await storage.queue(name).create()
    yield pair
    for name in (pair.input, pair.output, *pair.failed):
        await storage.queue(name).drop()


async def failed_calls(storage: Storage, pair: QueuePair, *bodies: str, poison: bool = False) -> Queue:
    queue = storage.queue(pair.failed[0 if poison else 1])
    await queue.create()
    for body in bodies:
        await queue.put(body)
    return queue


async def calls_in(queue: Queue) -> list[dict[str, Any]]:
    return [json.loads(decode(message.body)) for message in await queue.receive()]


def call(correlation_id: str, **fields: Any) -> str:
    return json.dumps({"name": "Hexley", "CorrelationId": correlation_id, **fields})


async def test_the_state_of_a_tools_queues(storage: Storage, pair: QueuePair) -> None:
    await storage.queue(pair.input).put(encode(call("c1")))
    await failed_calls(storage, pair, encode(call("c2")), encode(call("c3")))
    assert pair in await find_pairs(storage)
    (state,) = await queue_states(storage, [pair])
    assert state.tool == pair.tool
    assert (state.input.depth, state.output.depth, state.parked.depth) == (1, 0, 2)
    assert state.input.oldest is not None
    assert 0 <= state.input.oldest < 30
    assert (state.output.oldest, state.poison.depth, state.strays.depth) == (None, None, None)


async def test_failed_calls_go_back_under_their_ids(storage: Storage, pair: QueuePair) -> None:
    parked = await failed_calls(
        storage, pair, encode(call("c1")), json.dumps({"function_args": {"correlationid": "c2"}})
    )
    poison = await failed_calls(storage, pair, encode(call("c3", Redrive=False)), poison=True)
    looked = await redrive(storage, [pair])
    assert sorted(str(one.correlation_id) for one in looked) == ["c1", "c2", "c3"]
    assert await parked.depth() == 2
    moved = await redrive(storage, [pair], dry_run=False)
    assert [one.left for one in moved] == [None] * 3
    assert (await parked.depth(), await poison.depth()) == (0, 0)
    sent = await calls_in(storage.queue(pair.input))
    assert {json.dumps(one, sort_keys=True) for one in sent} == {
        json.dumps({"name": "Hexley", "CorrelationId": "c1", "Redrive": True}, sort_keys=True),
        json.dumps({"function_args": {"correlationid": "c2"}, "Redrive": True}, sort_keys=True),
        json.dumps({"name": "Hexley", "CorrelationId": "c3", "Redrive": True}, sort_keys=True),
    }


async def test_what_is_no_call_is_left(storage: Storage, pair: QueuePair) -> None:
    bodies = ["not json", encode("[1]"), encode('{"name": "x"}'), base64.b64encode(b"\xff\xfe").decode()]
    too_large = encode(call("c9", text="x" * (49_152 - len(call("c9", text="")))))
    parked = await failed_calls(storage, pair, *bodies, too_large, encode(call("c1")))
    moved = await redrive(storage, [pair], dry_run=False)
    assert [one.correlation_id for one in moved if one.left is None] == ["c1"]
    reasons = ["it is no JSON", "it is no JSON", "it is no call", "it names no CorrelationId"]
    assert sorted(str(one.left) for one in moved if one.left) == [*reasons, "too large with its mark"]
    assert len(await parked.receive()) == 5  # visible again, at once


async def test_no_more_than_asked_for(storage: Storage, pair: QueuePair) -> None:
    parked = await failed_calls(storage, pair, *(encode(call(f"c{number}")) for number in range(40)))
    assert len(await redrive(storage, [pair], limit=3)) == 3
    assert len(await redrive(storage, [pair], limit=35, dry_run=False)) == 35
    assert await parked.depth() == 5
    assert await storage.queue(pair.input).depth() == 35


async def test_a_call_is_never_nowhere(
    storage: Storage, pair: QueuePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is killed between putting and deleting leaves the call in both queues."""
    parked = await failed_calls(storage, pair, encode(call("c1")))

    async def killed(*_: Any) -> bool:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(Queue, "delete", killed)
        with pytest.raises(SystemExit):
            await redrive(storage, [pair], dry_run=False)
    assert await parked.depth() == 1
    assert [one["CorrelationId"] for one in await calls_in(storage.queue(pair.input))] == ["c1"]


async def test_a_missing_input_queue_loses_nothing(storage: Storage, pair: QueuePair) -> None:
    parked = await failed_calls(storage, pair, encode(call("c1")), encode(call("c2")))
    await storage.queue(pair.input).drop()
    with pytest.raises(QueueNotFoundError, match=pair.input):
        await redrive(storage, [pair], dry_run=False)
    assert len(await parked.receive()) == 2


async def test_the_commands(
    storage: Storage,
    pair: QueuePair,
    azurite: StorageAddresses,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORAGE", azurite.connection_string.get_secret_value())
    await failed_calls(storage, pair, encode(call("c1")), "not json")
    assert await command._show("STORAGE", pair.tool, as_json=False) == 0
    heads, row = capsys.readouterr().out.splitlines()
    assert heads.split() == ["TOOL", "IN", "OLDEST", "OUT", "POISON", "PARKED", "STRAY"]
    assert row.split() == [pair.tool, "0", "-", "0", "-", "2", "-"]
    assert await command._show("STORAGE", pair.tool, as_json=True) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["parked"] == {"name": pair.failed[1], "depth": 2, "oldest": told["parked"]["oldest"]}

    assert await command._redrive("STORAGE", pair.tool, 10, yes=False) == 0
    looked = capsys.readouterr()
    assert f"to send: c1 of {pair.failed[1]}" in looked.out
    assert "2 failed calls" in looked.err
    assert await command._redrive("STORAGE", pair.tool, 10, yes=True) == 1
    sent = capsys.readouterr()
    assert f"sent again: c1 of {pair.failed[1]}" in sent.out
    assert f"left: a message of {pair.failed[1]} (it is no JSON)" in sent.out
    assert "1 sent again, 1 left." in sent.err


def test_the_commands_explain_themselves_and_refuse_what_is_not_there(
    azurite: StorageAddresses, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arguments in (["queues", "--help"], ["queues", "redrive", "--help"]):
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0
        assert "Example" in shown.output
    monkeypatch.setenv("STORAGE", azurite.connection_string.get_secret_value())
    assert CliRunner().invoke(app, ["queues", "--tool", "no-such-tool"]).exit_code == 2
    shown = CliRunner().invoke(app, ["queues", "--json"])
    assert shown.exit_code == 0
    assert isinstance(json.loads(shown.stdout), list)
    monkeypatch.delenv("STORAGE")
    assert CliRunner().invoke(app, ["queues"]).exit_code == 2
