"""A flow that asks an agent: its answer has a type, and costs nothing again when the flow run is retried."""

import asyncio

from prefect import flow
from pydantic import BaseModel

from agent_tasks import Agent, session


class Reading(BaseModel):
    kind: str
    urgent: bool


reader = Agent(
    "reader", instructions="Say what kind of letter it is, and whether it is urgent.", answer=Reading
)


@flow
async def read_letter(letter: str) -> Reading:
    async with session():
        answer = await reader.ask(letter)
        print(f"{answer.usage.total_tokens} tokens")
        return answer.value


if __name__ == "__main__":
    print(asyncio.run(read_letter("Your rent is two months late. We shall terminate the contract.")))
