"""A small Function App whose functions do what a message tells them, on the local host against Azurite."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.local.functions_host import AppFolder, FunctionsHost
from agent_tasks.queues import Queue, Storage, StorageConnection, decode, encode

APP = r"""
import asyncio, json, os, time, typing
from pathlib import Path
import azure.functions as func

app = func.FunctionApp()


@app.queue_trigger(arg_name="message", queue_name="PREFIX-input", connection="STORAGE")
@app.queue_output(arg_name="answer", queue_name="PREFIX-output", connection="STORAGE")
async def work(message: func.QueueMessage, answer: func.Out[str]) -> None:
    call = message.get_json()
    with Path("calls.txt").open("a") as file:
        file.write(f"{call['id']} {message.dequeue_count}\n")
    match call["do"]:
        case "sleep":
            await asyncio.sleep(call["seconds"])
        case "block":
            time.sleep(call["seconds"])
        case "fail":
            raise ValueError("as told")
        case "fail once":
            if message.dequeue_count == 1:
                raise ValueError("as told, once")
        case "die once":
            if message.dequeue_count == 1:
                os._exit(7)
        case "answer":
            answer.set(call["text"])
            return
        case "answer much":
            answer.set("x" * call["bytes"])
            return
        case "tell":
            answer.set(json.dumps({
                "id": message.id, "dequeue_count": message.dequeue_count, "pid": os.getpid(),
                "inserted": message.insertion_time.isoformat(), "setting": os.environ.get("SETTING"),
            }))
            return
    answer.set(json.dumps({"id": call["id"]}))


@app.queue_trigger(arg_name="message", queue_name="PREFIX-blocking", connection="STORAGE")
@app.queue_output(arg_name="$return", queue_name="PREFIX-output", connection="STORAGE")
def blocking(message: func.QueueMessage, context: func.Context) -> str:
    time.sleep(0.05)
    return json.dumps({"id": message.get_json()["id"], "function": context.function_name})


@app.queue_trigger(arg_name="message", queue_name="PREFIX-many", connection="STORAGE")
@app.queue_output(arg_name="answers", queue_name="PREFIX-output", connection="STORAGE")
def many(message: func.QueueMessage, answers: func.Out[typing.List[str]]) -> None:
    answers.set(["one", "two"])


@app.queue_trigger(arg_name="message", queue_name="PREFIX-input-poison", connection="STORAGE")
def poisoned(message: func.QueueMessage) -> None:
    with Path("poison.txt").open("a") as file:
        file.write(message.get_body().decode() + "\n")
    if message.get_body() == b"bad":
        raise ValueError("as told")


@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
def timed(timer: func.TimerRequest) -> None:
    pass
"""


@dataclass
class App:
    """The app in a folder of its own, with its queues."""

    folder: Path
    prefix: str
    storage: Storage
    settings: dict[str, str] = field(repr=False)

    def queue(self, name: str) -> Queue:
        """A queue: `input`, `output`, `input-poison`, ..."""
        return self.storage.queue(f"{self.prefix}-{name}")

    def configure(self, **queues: Any) -> None:
        """Write host.json; `function_timeout` apart, these are options of `extensions.queues`."""
        timeout = queues.pop("function_timeout", "00:05:00")
        defaults = {"maxPollingInterval": "00:00:00.2", "maxDequeueCount": 3}
        host = {"functionTimeout": timeout, "extensions": {"queues": {**defaults, **queues}}}
        (self.folder / "host.json").write_text(json.dumps(host))

    def host(self, *, plain: bool = False, lease: int = 600) -> FunctionsHost:
        """A host that is not started yet."""
        app = AppFolder.read(self.folder)
        return FunctionsHost(app, {**app.settings(os.environ), **self.settings}, plain=plain, lease=lease)

    async def send(self, call_id: str, do: str, *, to: str = "input", **fields: Any) -> None:
        """Put a call into a queue."""
        await self.queue(to).put(encode(json.dumps({"id": call_id, "do": do, **fields})))

    async def answer(self, seconds: float = 20.0) -> str:
        """The next answer, removed from its queue."""
        async with asyncio.timeout(seconds):
            while not (messages := await self.queue("output").receive(1)):
                await asyncio.sleep(0.05)
        await self.queue("output").delete(messages[0])
        return decode(messages[0].body)

    @property
    def calls(self) -> list[str]:
        """`id dequeue_count` of each call so far."""
        path = self.folder / "calls.txt"
        return path.read_text().splitlines() if path.exists() else []

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Waits until a condition (perhaps a coroutine's) holds; returns what it gave."""
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture
async def app(azurite: StorageAddresses, queue_prefix: str, tmp_path: Path) -> AsyncIterator[App]:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "function_app.py").write_text(APP.replace("PREFIX", queue_prefix))
    string = azurite.connection_string.get_secret_value()
    settings = {"STORAGE": string}
    async with Storage(StorageConnection.from_string(string)) as storage:
        app = App(folder, queue_prefix, storage, settings)
        app.configure()
        yield app
