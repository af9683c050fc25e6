"""A contract goes to the specialist of its kind; a letter is written, reviewed, and approved by a person.

    prefect --no-prompt deploy flows/contracts.py:contracts --name inbox --pool POOL

router -> specialist -> author and reviewer, at most three rounds -> a person -> the letter
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from prefect import flow
from pydantic import BaseModel

from agent_tasks import Agent, Answer, approve, repeat, session
from agent_tasks.documents.reading_pool import shared_pool


class Kind(BaseModel):
    kind: Literal["lease", "secrecy", "other"]


class Finding(BaseModel):
    clause: str
    risk: str


class Findings(BaseModel):
    party: str
    findings: list[Finding]


class Verdict(BaseModel):
    approved: bool
    problems: list[str]


router = Agent("router", instructions="Say which kind of contract this is.", answer=Kind)
specialists = {
    "lease": Agent("lease-lawyer", instructions="Find risks in terms of leases.", answer=Findings),
    "secrecy": Agent("secrecy-lawyer", instructions="Find risks in secrecy agreements.", answer=Findings),
    "other": Agent("lawyer", instructions="Find risks in contracts.", answer=Findings),
}
author = Agent("author", instructions="Write a letter to the other party about what was found.")
reviewer = Agent("reviewer", instructions="Approve the letter, or say what is wrong with it.", answer=Verdict)


@flow(name="contracts")
async def contracts(path: str, out: str = "letters") -> str:
    """Write the letter about a contract; returns its path, or why there is none.

    While a person decides (`agent-tasks approvals`), a deployed flow run is suspended: resume it then.
    """
    file = Path(path)
    text = (await shared_pool().read_async(file.read_bytes(), file.name)).text
    async with session():
        kind = (await router.ask(text)).value.kind
        found = (await specialists[kind].ask(text)).value
        drafts: list[Answer[str]] = []

        async def write(last: Answer[Verdict] | None) -> Answer[Verdict]:
            told = f"Correct: {'; '.join(last.value.problems)}" if last else found.model_dump_json(indent=2)
            drafts.append(await author.ask(told, follows=drafts[-1] if drafts else None))
            return await reviewer.ask(f"{found.model_dump_json(indent=2)}\n\n{drafts[-1].value}")

        await repeat(write, until=lambda verdict: verdict.value.approved, at_most=3)
        decision = await approve(
            f"Send this letter to {found.party}?",
            shown=drafts[-1],
            time_limit=timedelta(days=2),
            at_limit="reject",
        )
    if not decision.approved:
        return f"Not sent: {decision.note or 'nobody approved in time'}"
    letter = Path(out) / f"{file.stem}.txt"
    letter.parent.mkdir(parents=True, exist_ok=True)
    letter.write_text(drafts[-1].value, encoding="utf-8")
    return str(letter)
