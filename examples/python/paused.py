"""A flow run that is paused between two questions: its process waits until somebody resumes it."""

from prefect import flow
from prefect.flow_runs import apause_flow_run

from agent_tasks import Agent, session

writer = Agent("writer", instructions="Write a letter.")
sender = Agent("sender", instructions="Say how to send it.")


@flow
async def send_letter(to: str) -> str:
    async with session():
        letter = await writer.ask(f"A birthday letter to {to}.")
        await apause_flow_run(timeout=3600, poll_interval=1)  # "Resume" on the dashboard
        return (await sender.ask("How?", follows=letter)).value
