"""Tenders are compared: each is read, judges vote for the best, a report says why and cites the tenders.

    prefect --no-prompt deploy flows/tenders.py:tenders --name compare --pool POOL

each tender -> a clerk; a vote of three -> author, who searches in all tenders -> the report
"""

from pathlib import Path

from prefect import flow
from pydantic import BaseModel

from agent_tasks import Agent, Answer, FileSearch, each, session, vote
from agent_tasks.documents.reading_pool import shared_pool


class Offer(BaseModel):
    supplier: str
    price: float
    currency: str
    days: int


class Choice(BaseModel):
    supplier: str
    reason: str


clerk = Agent(
    "clerk", instructions="Write down supplier, price, currency and delivery in days.", answer=Offer
)
judge = Agent(
    "judge", instructions="Choose the best offer for what is wanted.", answer=Choice, temperature=1.0
)


@flow(name="tenders")
async def tenders(folder: str, wanted: str, out: str = "tenders.md") -> str:
    """Compare the tenders of a folder; returns the supplier that was chosen, and writes the report.

    Args:
        folder: one file a tender, of any kind that can be read.
        wanted: what is to be bought, and what matters.
        out: the report.
    """
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    searching = Agent(
        "author",
        instructions="Search the tenders. Say why the chosen offer is the best, and cite what you say.",
        tools=[FileSearch(files, name="tenders")],
    )

    async def read(file: Path) -> Answer[Offer]:
        return await clerk.ask((await shared_pool().read_async(file.read_bytes(), file.name)).text)

    async with session():
        offers = [answer.value for answer in await each(files, read, at_most=4)]
        table = "\n".join(f"{o.supplier}: {o.price:.2f} {o.currency} in {o.days} days" for o in offers)
        choice = await vote(judge, f"{wanted}\n\n{table}", samples=3, by=lambda choice: choice.supplier)
        report = await searching.ask(f"{wanted}\n\n{table}\n\nChosen: {choice.value.supplier}")
    sources = sorted({citation.file_name for citation in report.citations if citation.file_name})
    lines = [
        f"# {choice.value.supplier}, by {choice.votes} of {len(choice.answers)} votes", "", report.value, "",
        "Offers:", "", *(f"- {line}" for line in table.splitlines()), "",
        "Sources: " + (", ".join(sources) or "none"),
    ]  # fmt: skip
    Path(out).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return choice.value.supplier
