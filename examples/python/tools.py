"""What an agent may use: functions, a store of files, another agent."""

import asyncio
from pathlib import Path

from agent_tasks import Agent, FileSearch, session

PRICES = {"oak": 12.5, "larch": 8.0}
SUPPLIERS = (Path(__file__).parents[1] / "suppliers.csv").read_text()


def price_of(wood: str) -> float:
    """The price of a board in EUR.

    Args:
        wood: Kind of wood.
    """
    return PRICES[wood]


search = FileSearch({"suppliers.txt": SUPPLIERS})
clerk = Agent("clerk", instructions="You know the suppliers.", tools=[search])
helps = clerk.as_tool("Knows who supplies what.")
seller = Agent("seller", instructions="You sell wood.", tools=[price_of, helps])


async def sell() -> str:
    async with session(owner="shop"):
        answer = await seller.ask("What is a board of oak?")
        print([call.name for call in answer.tool_calls])
        return answer.value


if __name__ == "__main__":
    print(asyncio.run(sell()))
