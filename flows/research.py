"""A question is researched in a corpus: a planner splits it, researchers search, a summary is written.

    prefect --no-prompt deploy flows/research.py:research --name ask --pool POOL

planner -> a researcher for each part, in parallel -> writer and critic, in parallel -> the report
"""

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, Field

from agent_tasks import Agent, FileSearch, each, parallel, session


class Plan(BaseModel):
    questions: list[str] = Field(min_length=1, max_length=8)


class Doubts(BaseModel):
    missing: list[str]


planner = Agent("planner", instructions="Split the question into parts that can be looked up.", answer=Plan)
writer = Agent("writer", instructions="Answer the question by what was found, and by nothing else.")
critic = Agent("critic", instructions="Say what is missing in what was found.", answer=Doubts)


@flow(name="research")
async def research(question: str, corpus: str, out: str = "research.md") -> str:
    """Answer a question by a corpus; returns the answer, and writes the report.

    Args:
        question: what is to be found out.
        corpus: a folder of files that the service can search in.
        out: the report: the answer, what was found for each part with its sources, and what is missing.
    """
    researcher = Agent(
        "researcher",
        instructions="Search the files, and answer from them alone. Say so if it is not in them.",
        tools=[FileSearch(corpus, name="corpus")],
    )
    async with session():
        plan = (await planner.ask(question)).value
        found = await each(plan.questions, researcher.ask, at_most=4)
        facts = "\n\n".join(
            f"{part}\n{answer.value}" for part, answer in zip(plan.questions, found, strict=True)
        )
        summary, doubts = await parallel(
            writer.ask(f"{question}\n\n{facts}"), critic.ask(f"{question}\n\n{facts}")
        )
    lines = [f"# {question}", "", summary.value, ""]
    for part, answer in zip(plan.questions, found, strict=True):
        sources = sorted({citation.file_name for citation in answer.citations if citation.file_name})
        lines += [f"## {part}", "", answer.value, "", f"Sources: {', '.join(sources) or 'none'}", ""]
    if doubts.value.missing:
        lines += ["## Missing", "", *(f"- {one}" for one in doubts.value.missing), ""]
    Path(out).write_text("\n".join(lines), encoding="utf-8")
    return summary.value
