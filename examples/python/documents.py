"""Many documents: each is answered by an agent with a function, and reviewed; eight at a time."""

import asyncio
from pathlib import Path

from prefect import flow

from agent_tasks import Agent, each, session


def price_of(wood: str) -> float:
    """The price of a board in EUR."""
    return {"oak": 12.5, "larch": 8.0}[wood]


seller = Agent("seller", instructions="Answer the letter with a price.", tools=[price_of])
reviewer = Agent("reviewer", instructions="Is it polite and complete?", answer=bool)


@flow
async def answer(folder: str) -> dict[str, bool]:
    async def one(letter: Path) -> bool:
        return (await reviewer.ask((await seller.ask(letter.read_text())).value)).value

    letters = sorted(Path(folder).glob("*.txt"))
    async with session():
        good = await each(letters, one, at_most=8)
    return {letter.name: ok for letter, ok in zip(letters, good, strict=True)}


if __name__ == "__main__":
    print(asyncio.run(answer("letters")))
