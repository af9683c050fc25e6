"""What the test of killed decisions runs in child processes: a step that waits for a person, and a person."""

from __future__ import annotations

from datetime import timedelta

from agent_tasks.errors import AlreadyDecidedError, WaitingForPersonError
from agent_tasks.operations import (
    AgentSpec,
    TurnSpec,
    Workspace,
    ask_person,
    decide,
    ensure_agent,
    list_questions,
    owners_that_wait,
    release_owner,
    run_turn,
)

OWNER = "letters/a.txt"


async def step(endpoint: str, journal: str, seconds: float) -> str:
    """Write a letter, ask a person, and send it; what happened is returned."""
    async with Workspace.open(endpoint, None, journal) as ws:
        agent = await ensure_agent(ws, AgentSpec(name="clerk", model="m", instructions="Write."), owner=OWNER)
        draft = await run_turn(ws, TurnSpec(step="draft", agent=agent, prompt="Write.", owner=OWNER))
        try:
            decision = await ask_person(
                ws, owner=OWNER, step="release", question="Send it?", shown=draft.text,
                time_limit=timedelta(seconds=seconds), at_limit="reject",
            )  # fmt: skip
        except WaitingForPersonError:
            assert await owners_that_wait(ws, OWNER) == {OWNER}
            return "waiting"
        sent = await run_turn(
            ws,
            TurnSpec(
                step="send", agent=agent, prompt=f"{decision.approved}: {decision.note}", owner=OWNER,
                conversation=draft.conversation, after=draft.key,
            ),
        )  # fmt: skip
        await release_owner(ws, OWNER)
        return f"{decision.by}: {sent.text}"


async def person(endpoint: str, journal: str, name: str, approved: bool) -> str:
    """Decide on the only question; returns what the person is told."""
    async with Workspace.open(endpoint, None, journal) as ws:
        [question] = await list_questions(ws, states=())
        try:
            found = await decide(ws, question.key[:8], approved=approved, by=name, note=f"by {name}")
        except AlreadyDecidedError as error:
            return str(error)
        return f"{found.state} by {found.decided_by}"
