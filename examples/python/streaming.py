"""The text of an answer as it is written, and a conversation."""

import asyncio

from agent_tasks import Agent, session

writer = Agent("writer", instructions="Answer in one sentence.")


async def talk() -> None:
    async with session(owner="talk"):
        async with writer.stream("What is a delivery note?") as stream:
            async for piece in stream:
                print(piece, end="", flush=True)
        print()
        answer = await writer.ask("Who signs it?", follows=stream.answer)
        print(answer.value)


if __name__ == "__main__":
    asyncio.run(talk())
