"""Async: the same client to be awaited, with async functions that run at the same time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from connection import MODEL, connect_async

from agent_tasks.tools import ToolSet


async def price_of(wood: str) -> float:
    """Price of a board in EUR.

    Args:
        wood: Name of the wood, in English.
    """
    await asyncio.sleep(0.1)  # a price list somewhere else
    return {"oak": 48.5, "ash": 31.0}[wood]


async def main() -> None:
    """Have an agent ask for two prices at once."""
    tools = ToolSet([price_of])
    async with connect_async() as client, AsyncExitStack() as afterwards:
        agent = await client.agents.create(
            model=MODEL, name="guide-seller", instructions="Give prices.", tools=tools.definitions
        )
        afterwards.push_async_callback(client.agents.delete, agent.id)
        thread = await client.threads.create()
        afterwards.push_async_callback(client.threads.delete, thread.id)
        await client.messages.create(thread.id, role="user", content="What do an oak and a larch board cost?")

        # The functions of one run alone; `enable_auto_function_calls` is for all runs of a client.
        run = await client.runs.create_and_process(thread.id, assistant_id=agent.id, toolset=tools)

        # A function that raised has told the agent so: the run continues.
        async for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    asyncio.run(main())
