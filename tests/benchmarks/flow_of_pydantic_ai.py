"""The same job by pydantic-ai on Prefect, whose model answers in process: it pays for no request at all.

Run as a program: `flow_of_pydantic_ai.py WARM_FOLDER FOLDER SECONDS_OF_THE_MODEL`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from prefect import flow
from pydantic_ai import Agent
from pydantic_ai.durable_exec.prefect import PrefectAgent
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import FunctionModel

SECONDS = float(sys.argv[3])


async def sells(messages: list[Any], info: Any) -> ModelResponse:
    await asyncio.sleep(SECONDS)
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart("price_of", {"wood": "oak"})])
    return ModelResponse(parts=[TextPart("12.5 EUR.")])


async def reviews(messages: list[Any], info: Any) -> ModelResponse:
    await asyncio.sleep(SECONDS)
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, {"response": True})])


def price_of(wood: str) -> float:
    """The price of a board in EUR."""
    return {"oak": 12.5, "larch": 8.0}[wood]


seller = PrefectAgent(Agent(FunctionModel(sells), name="seller", tools=[price_of]))
reviewer = PrefectAgent(Agent(FunctionModel(reviews), name="reviewer", output_type=bool))


@flow
async def answer(folder: str) -> dict[str, bool]:
    free = asyncio.Semaphore(8)

    async def one(letter: Path) -> bool:
        async with free:
            offer = await seller.run(letter.read_text())
            return bool((await reviewer.run(offer.output)).output)

    letters = sorted(Path(folder).glob("*.txt"))
    good = await asyncio.gather(*(one(letter) for letter in letters))
    return {letter.name: ok for letter, ok in zip(letters, good, strict=True)}


async def main(warm: str, folder: str) -> None:
    await answer(warm)
    began, worked = time.monotonic(), time.process_time()
    outcome = await answer(folder)
    assert all(outcome.values())
    print(json.dumps([len(outcome), time.monotonic() - began, time.process_time() - worked]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
