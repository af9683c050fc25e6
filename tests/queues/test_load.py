"""Many calls at once through one pair of queues: each is answered once, by its CorrelationId."""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from pathlib import Path

import pytest
from azure.data.tables.aio import TableClient

from agent_tasks.errors import QueueError
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.queues import AnswerReader, Storage, StorageConnection, send_call
from tests.queues.counts import SUMMARY
from tests.support.function_app import function_app

CALLS = int(os.environ.get("AGENT_TASKS_QUEUE_CALLS", "100"))
"""`make queues` makes it 1,000."""
INPUT, OUTPUT = "validate-invoice-total-input", "validate-invoice-total-output"


@pytest.mark.timeout(300)
async def test_each_of_many_concurrent_calls_is_answered_once(
    azurite: StorageAddresses, queue_prefix: str, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    answers: Counter[str] = Counter()
    wrong: list[str] = []
    async with (
        function_app(azurite, queue_prefix, tmp_path),
        Storage(StorageConnection.from_string(azurite.connection_string)) as storage,
    ):
        reader = AnswerReader(storage.queue(OUTPUT), parked=storage.queue(f"{OUTPUT}-parked"))

        async def call(number: int) -> None:
            name = f"{queue_prefix}-{number}"
            arguments = {"lines": [{"quantity": number, "unit_price": 2}], "total": 2 * number}
            async with reader.expect(name) as expected:
                await send_call(storage.queue(INPUT), arguments, name, within=120)
                try:
                    value = json.loads(await expected.answer(within=240))
                except QueueError as error:
                    wrong.append(str(error))
                    return
            answers[name] += 1
            if value.get("total") != f"{2 * number}.00":
                wrong.append(f"{name}: {value}")

        await asyncio.gather(*map(call, range(1, CALLS + 1)))
        # A second answer would lie in the queue, or have been met and deleted by the reader.
        left = await storage.queue(OUTPUT).depth()
        poisoned = [
            name for name in await storage.queue_names(f"{INPUT}-p") if await storage.queue(name).depth()
        ]
        await reader.close()
    rows = 0
    async with TableClient.from_connection_string(
        azurite.connection_string.get_secret_value(), f"{queue_prefix}answers"
    ) as table:
        async for row in table.list_entities(select=["State", "CorrelationId"]):
            rows += row["State"] == "answered" and row["CorrelationId"] in answers
    once = sum(count == 1 for count in answers.values())
    doubled = reader.counts.duplicates + left + sum(count - 1 for count in answers.values())
    pytestconfig.stash[SUMMARY] = (
        f"calls: {CALLS}, answered once: {once}, lost: {CALLS - len(answers)}, doubled: {doubled}"
    )
    assert wrong == []
    assert (once, doubled, rows, poisoned) == (CALLS, 0, CALLS, [])
    assert (reader.counts.late, reader.counts.malformed, reader.counts.parked) == (0, 0, 0)
