"""A flow that is suspended between two questions: no process waits, and nothing is asked twice."""

from prefect import flow
from prefect.flow_runs import asuspend_flow_run

from agent_tasks import Agent, session

writer = Agent("writer", instructions="Write a letter.")
sender = Agent("sender", instructions="Say how to send it.")


@flow
async def send_letter(to: str) -> str:
    async with session():
        letter = await writer.ask(f"A birthday letter to {to}.")
        await asuspend_flow_run(timeout=3600, key="look-at-it")
        return (await sender.ask("How?", follows=letter)).value
