"""What a queue tool costs: calls through the local host against what the bare queue itself takes."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.local.functions_host import AppFolder, FunctionsHost
from agent_tasks.queues import AnswerReader, Queue, Storage, StorageConnection, encode, send_call
from tests.benchmarks.figures import Figures

CALLS = 300
ROUNDS = 40
QUEUES = {"batchSize": 32, "newBatchThreshold": 16}
APP = """
import json
import azure.functions as func
app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="PREFIX-input", connection="STORAGE")
@app.queue_output(arg_name="$return", queue_name="PREFIX-output", connection="STORAGE")
async def echo(message: func.QueueMessage) -> str:
    return json.dumps({"Value": "x", "CorrelationId": message.get_json()["CorrelationId"]})
"""


async def test_calls_against_the_bare_queue(
    azurite: StorageAddresses, queue_prefix: str, tmp_path: Path, figures: Figures
) -> None:
    (tmp_path / "function_app.py").write_text(APP.replace("PREFIX", queue_prefix))
    (tmp_path / "host.json").write_text(
        '{"extensions": {"queues": {"batchSize": 32, "newBatchThreshold": 16}}}'
    )
    string = azurite.connection_string.get_secret_value()
    async with Storage(StorageConnection.from_string(string)) as storage:
        bare = storage.queue(f"{queue_prefix}-bare")
        await bare.create()
        bare_round = await _median(ROUNDS, lambda number: _bare(bare))
        begun = time.perf_counter()
        await asyncio.gather(*(bare.put("x") for _ in range(CALLS)))
        while messages := await bare.receive():
            await asyncio.gather(*map(bare.delete, messages))
        bare_rate = CALLS / (time.perf_counter() - begun)

        async with FunctionsHost(AppFolder.read(tmp_path), {**os.environ, "STORAGE": string}):
            output = storage.queue(f"{queue_prefix}-output")
            reader = AnswerReader(output, parked=storage.queue(f"{queue_prefix}-output-parked"))

            async def call(number: int) -> None:
                async with reader.expect(f"c{number}") as expected:
                    await send_call(storage.queue(f"{queue_prefix}-input"), {}, f"c{number}", within=60)
                    await expected.answer(within=120)

            call_round = await _median(ROUNDS, call)
            begun = time.perf_counter()
            await asyncio.gather(*(call(ROUNDS + number) for number in range(CALLS)))
            call_rate = CALLS / (time.perf_counter() - begun)
            await reader.close()
    figures.add(
        "a queue tool's call alone, ms", call_round * 1000, against=bare_round * 1000, what="a bare message"
    )
    figures.add(f"{CALLS} calls at once, a second", call_rate, against=bare_rate, what="bare messages")


async def _bare(queue: Queue) -> None:
    """Send, receive, delete."""
    await queue.put(encode("x"))
    [message] = await queue.receive(1)
    assert await queue.delete(message)


async def _median(rounds: int, work: Callable[[int], Awaitable[None]]) -> float:
    taken = []
    for number in range(rounds):
        begun = time.perf_counter()
        await work(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)
