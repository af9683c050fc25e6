"""A team: planner, two specialists at the same time, author and reviewer, a person, a streamed summary."""

import asyncio

from prefect import flow
from pydantic import BaseModel

from agent_tasks import Agent, Answer, FileSearch, approve, parallel, repeat, session


class Plan(BaseModel):
    law: str
    price: str


class Verdict(BaseModel):
    approved: bool
    problems: list[str]


def price_of(wood: str) -> float:
    """The price of a board in EUR."""
    return {"oak": 12.5, "larch": 8.0}[wood]


planner = Agent("planner", instructions="Split it into a question of law and one of price.", answer=Plan)
lawyer = Agent(
    "lawyer", instructions="Answer from the files.", tools=[FileSearch({"law.txt": "Oak is free to sell."})]
)
buyer = Agent("buyer", instructions="Answer by prices.", tools=[price_of])
author = Agent("author", instructions="Write the offer.")
reviewer = Agent("reviewer", instructions="Approve the offer, or say what is wrong.", answer=Verdict)


@flow
async def offer(task: str) -> str:
    async with session():
        plan = (await planner.ask(task)).value
        law, price = await parallel(lawyer.ask(plan.law), buyer.ask(plan.price))
        drafts: list[Answer[str]] = []

        async def write(last: Answer[Verdict] | None) -> Answer[Verdict]:
            told = f"Mend: {last.value.problems}" if last else f"{task}\n{law.value}\n{price.value}"
            drafts.append(await author.ask(told, follows=drafts[-1] if drafts else None))
            return await reviewer.ask(drafts[-1].value)

        await repeat(write, until=lambda verdict: verdict.value.approved, at_most=3)
        decision = await approve("Send this offer?", shown=drafts[-1])
        if not decision.approved:
            return f"Not sent: {decision.note}"
        async with author.stream("Sum it up.", step="summary", follows=drafts[-1]) as summary:
            async for piece in summary:
                print(piece, end="", flush=True)
        return summary.answer.value


if __name__ == "__main__":
    asyncio.run(offer("Offer 20 boards of oak to a customer in France."))
