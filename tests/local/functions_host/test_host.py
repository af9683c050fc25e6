"""The queue trigger's semantics, and what the host does when something of it breaks."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError, FunctionsHostError
from agent_tasks.local.functions_host import worker
from agent_tasks.local.functions_host.executors import _texts
from agent_tasks.queues import decode, encode
from tests.local.functions_host.conftest import App

plain_and_not = pytest.mark.parametrize("plain", [False, True], ids=["worker library", "azure.functions"])


@plain_and_not
async def test_functions_of_every_kind_run_by_both_executors(app: App, plain: bool) -> None:
    app.settings["SETTING"] = "from the settings"
    async with app.host(plain=plain) as host:
        assert host.worker.description.startswith("azure.functions" if plain else "Microsoft's Python worker")
        assert {one.name for one in host.functions} == {"work", "blocking", "many", "poisoned"}
        assert [one.name for one in host.skipped] == ["timed"]
        assert f"{app.prefix}-output" in host.created
        await app.send("c1", "tell")
        told = json.loads(await app.answer())
        assert told["dequeue_count"] == 1
        assert told["setting"] == "from the settings"
        assert told["pid"] == host.worker.pid != os.getpid()
        assert told["inserted"].startswith("20")
        await app.send("c2", "", to="blocking")
        assert json.loads(await app.answer()) == {"id": "c2", "function": "blocking"}
        await app.send("c3", "", to="many")
        assert {await app.answer(), await app.answer()} == {"one", "two"}
        await app.until(lambda: _is_empty(app, "input"))


async def _is_empty(app: App, queue: str) -> bool:
    return await app.queue(queue).depth() == 0


async def test_more_than_a_batch_is_at_work_up_to_the_threshold(app: App) -> None:
    app.configure(batchSize=4, newBatchThreshold=2)
    await app.queue("input").create()
    names = [f"c{number}" for number in range(8)]
    for name in names:
        await app.send(name, "sleep", seconds=3.0)
    async with app.host():
        await app.until(lambda: len(app.calls) >= 4)
        await asyncio.sleep(0.5)
        assert len(app.calls) == 4  # a batch at work is above the threshold
        assert {json.loads(await app.answer())["id"] for _ in names} == set(names)
    assert sorted(app.calls) == [f"{name} 1" for name in names]


@plain_and_not
async def test_failure_is_tried_again_and_ends_in_the_poison_queue(app: App, plain: bool) -> None:
    async with app.host(plain=plain):
        await app.send("good", "fail once")
        assert json.loads(await app.answer()) == {"id": "good"}
        await app.send("bad", "fail")
        await app.until((app.folder / "poison.txt").exists)
        await app.until(lambda: _is_empty(app, "input"))
    assert app.calls == ["good 1", "good 2", "bad 1", "bad 2", "bad 3"]
    assert json.loads((app.folder / "poison.txt").read_text()) == {"id": "bad", "do": "fail"}


async def test_failed_message_waits_for_its_visibility_timeout(app: App) -> None:
    app.configure(visibilityTimeout="00:00:02")
    async with app.host():
        sent = time.monotonic()
        await app.send("c1", "fail once")
        assert json.loads(await app.answer()) == {"id": "c1"}
        assert time.monotonic() - sent > 1.5
    assert app.calls == ["c1 1", "c1 2"]


async def test_message_of_a_poison_queue_that_fails_stays_hidden(app: App) -> None:
    async with app.host():
        await app.queue("input-poison").put(encode("bad"))
        await app.until((app.folder / "poison.txt").exists)
        await asyncio.sleep(0.5)
    assert (app.folder / "poison.txt").read_text() == "bad\n"
    assert await app.queue("input-poison").depth() == 1
    assert f"{app.prefix}-input-poison-poison" not in await app.storage.queue_names(app.prefix)


@pytest.mark.parametrize("body", ["no base64!", "/w=="])
async def test_undecodable_message_goes_into_the_poison_queue_unchanged(app: App, body: str) -> None:
    async with app.host():
        poison = app.storage.queue(f"{app.prefix}-many-poison")
        await app.queue("many").put(body)

        async def found() -> object:
            return (
                f"{app.prefix}-many-poison" in await app.storage.queue_names(app.prefix)
                and await poison.peek()
            )

        [message] = await app.until(found)
        assert message.body == body
        assert await _is_empty(app, "many")


async def test_what_the_host_puts_is_kept_for_seven_days_as_in_azure(app: App) -> None:
    async with app.host():
        await app.send("c1", "")
        [output] = await app.until(lambda: app.queue("output").receive(1))
        await app.queue("many").put("no base64!")
        await app.until(lambda: _is_there(app, "many-poison"))
        [poison] = await app.until(lambda: app.queue("many-poison").peek())
    for message in (output, poison):
        assert message.expires_at is not None
        assert message.expires_at - message.inserted_at == timedelta(days=7)


async def test_plain_encoding(app: App) -> None:
    app.configure(messageEncoding="none")
    async with app.host():
        await app.queue("input").put(json.dumps({"id": "c1", "do": ""}))
        [message] = await app.until(lambda: app.queue("output").receive(1))
        assert json.loads(message.body) == {"id": "c1"}


async def test_output_that_is_too_large_fails_the_call(app: App) -> None:
    async with app.host():
        await app.send("fits", "answer much", bytes=49_152)
        assert len(await app.answer()) == 49_152
        await app.send("large", "answer much", bytes=49_153)
        await app.until((app.folder / "poison.txt").exists)
    assert app.calls[-1] == "large 3"


async def test_app_that_dies_is_started_again_and_the_message_picked_up(app: App) -> None:
    async with app.host() as host:
        first = host.worker.pid
        await app.send("c1", "die once")
        assert json.loads(await app.answer()) == {"id": "c1"}
        assert app.calls == ["c1 1", "c1 2"]
        os.kill(host.worker.pid, signal.SIGKILL)
        await app.send("c2", "tell")
        assert json.loads(await app.answer())["pid"] != first
        assert host.worker.starts == 3


@pytest.mark.parametrize("moment", ["in the pause", "while it starts"])
async def test_worker_that_is_closed_before_it_is_started_again(
    app: App, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(worker, "FIRST_RESTART_PAUSE", 60.0 if moment == "in the pause" else 0.1)
    process = worker.AppWorker(app.folder, app.settings, plain=True)
    await process.start()
    first = process.pid
    os.kill(first, signal.SIGKILL)
    if moment == "in the pause":
        await app.until(lambda: not process.pid)
    else:
        await app.until(lambda: process.pid not in (0, first))
    async with asyncio.timeout(20):
        await process.close()
    assert process.pid == 0
    assert process.starts == (1 if moment == "in the pause" else 2)


async def test_pauses_before_a_restart_grow_until_the_app_runs_well(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def pauses() -> list[str]:
        return re.findall(r"started again in (\S+) s", caplog.text)

    async with app.host(plain=True) as host:
        for number, well in enumerate((60.0, 60.0, 0.0), 1):
            monkeypatch.setattr(worker, "RAN_WELL_SECONDS", well)
            await app.send("c1", "")
            await app.answer()  # it runs
            os.kill(host.worker.pid, signal.SIGKILL)
            await app.until(lambda n=number: len(pauses()) == n)
    assert pauses() == ["0.1", "0.2", "0.1"]


async def test_function_that_takes_too_long_is_killed_with_its_process(app: App) -> None:
    app.configure(function_timeout="00:00:01", maxDequeueCount=2)
    async with app.host() as host:
        await app.send("c1", "block", seconds=60)
        await app.until((app.folder / "poison.txt").exists)
        assert app.calls == ["c1 1", "c1 2"]
        assert host.worker.starts >= 2
        await app.send("c2", "")
        assert json.loads(await app.answer()) == {"id": "c2"}


async def test_visibility_is_renewed_while_a_function_works(app: App) -> None:
    async with app.host(lease=4), app.host(lease=4):
        await app.send("c1", "sleep", seconds=9)
        assert json.loads(await app.answer()) == {"id": "c1"}
        await app.until(lambda: _is_empty(app, "input"))
    assert app.calls == ["c1 1"]


async def test_stopped_host_gives_its_messages_back(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent_tasks.local.functions_host.host.DRAIN_SECONDS", 0.2)
    async with app.host():
        await app.send("c1", "sleep", seconds=30)
        await app.until(lambda: app.calls == ["c1 1"])
    [message] = await app.queue("input").peek()
    assert json.loads(decode(message.body))["id"] == "c1"


async def test_message_delivered_twice_runs_twice(app: App) -> None:
    async with app.host():
        for _ in range(2):
            await app.send("c1", "")
        assert [json.loads(await app.answer()) for _ in range(2)] == [{"id": "c1"}] * 2
    assert app.calls == ["c1 1"] * 2


async def test_queue_that_is_deleted_and_made_again_is_read_on(app: App) -> None:
    async with app.host():
        await app.queue("input").drop()
        await asyncio.sleep(0.5)
        await app.queue("input").create()
        await app.send("c1", "")
        assert json.loads(await app.answer()) == {"id": "c1"}
        await app.queue("output").drop()
        await app.send("c2", "")
        assert json.loads(await app.until(lambda: _answer_or_none(app))) == {"id": "c2"}


async def _answer_or_none(app: App) -> str | None:
    return await app.answer() if await _is_there(app, "output") else None


async def _is_there(app: App, queue: str) -> bool:
    return f"{app.prefix}-{queue}" in await app.storage.queue_names(app.prefix)


async def test_app_that_cannot_be_imported_says_why(app: App) -> None:
    (app.folder / "function_app.py").write_text("import nonsense_that_is_not_there")
    with pytest.raises(FunctionsHostError, match="nonsense_that_is_not_there"):
        async with app.host():
            pass


async def test_missing_connection_is_named(app: App) -> None:
    del app.settings["STORAGE"]
    with pytest.raises(ConfigurationError, match="STORAGE is not set"):
        async with app.host():
            pass


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no function_app.py"),
        ({"function_app.py": ""}, "has no host.json"),
        ({"function_app.py": "", "host.json": "{"}, "cannot be read"),
        ({"function_app.py": "", "host.json": "[]"}, "has to be a JSON object"),
        (
            {"function_app.py": "", "host.json": '{"extensions": {"queues": {"batchSize": 33}}}'},
            "batchSize: Input should be less than or equal to 32",
        ),
        (
            {"function_app.py": "", "host.json": "{}", "local.settings.json": '{"IsEncrypted": true}'},
            "func settings decrypt",
        ),
        (
            {"function_app.py": "", "host.json": "{}", "local.settings.json": '{"Values": {"A": 1}}'},
            "Values has to map names to texts",
        ),
    ],
)
def test_folder_that_is_no_app_says_what_is_missing(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    from agent_tasks.local.functions_host import AppFolder

    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        AppFolder.read(tmp_path)


@pytest.mark.parametrize("plain", [False, True], ids=["worker library", "azure.functions"])
async def test_an_output_in_brackets_is_read_as_azure_reads_it(app: App, plain: bool) -> None:
    async with app.host(plain=plain):
        await app.send("list", "answer", text='["one", {"b": [2]}, 3]')
        assert sorted([await app.answer() for _ in range(3)]) == ["3", "one", '{\n  "b": [\n    2\n  ]\n}']
        await app.send("none", "answer", text="[]")
        await app.until(lambda: "none 1" in app.calls)
        await app.send("text", "answer", text="[[plain")
        assert await app.answer() == "[[plain"
        await app.send("broken", "answer", text="{no JSON}")
        await app.until(lambda: _is_there(app, "input-poison"))
    assert app.calls.count("none 1") == 1
    assert "none 2" not in app.calls
    assert await _is_empty(app, "output")


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("plain", ["plain"]),
        ("", [""]),
        ("[]", []),
        ("[null, true, 1.5]", ["", "True", "1.5"]),
        (' {"a": "b"} ', ['{\n  "a": "b"\n}']),
        ('[["a"]]', ['[\n  "a"\n]']),
        ('"[1]"', ['"[1]"']),
        ("[1", ["[1"]),
    ],
)
def test_the_messages_of_a_text(text: str, messages: list[str]) -> None:
    assert _texts(text) == messages


def test_elements_of_a_list_are_not_read_again() -> None:
    assert _texts(["[1, 2]", "{}"]) == ["[1, 2]", "{}"]
