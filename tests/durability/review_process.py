"""What the test of killed reviews runs in child processes: the run of a batch, and people at the desk."""

from __future__ import annotations

from pathlib import Path

from agent_tasks import review
from agent_tasks.batch.run import run_batch
from agent_tasks.errors import AgentTasksError
from agent_tasks.journal import Journal
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline

SCOPE = "desk"


async def run(endpoint: str, journal: str, folder: str) -> str:
    """Run the batch; what it came to is returned."""
    here = Path(folder)
    async with Workspace.open(endpoint, None, journal, scope=SCOPE) as ws:
        pipeline = load_pipeline(here / "pipeline.yaml")
        return (await run_batch(ws, pipeline, here / "documents", here / "out")).headline()


async def person(journal: str, name: str, kind: str) -> str:
    """Decide about the only document, and have the results written; returns what the person is told."""
    async with Journal(journal) as opened:
        desk = review.Desk(opened, SCOPE)
        item = await review.find_item(desk, "a.txt")
        try:
            if kind == "approve":
                made = await review.approve(desk, item, by=name)
            elif kind == "correct":
                made = await review.correct(desk, item, {"number": "P-1"}, by=name)
            elif kind == "send back":
                made = await review.send_back(desk, item, "extract", by=name, note="Look again.")
            else:
                [last] = [one for one in await review.history(desk, item) if one.undone_at is None] or [
                    (await review.history(desk, item))[-1]
                ]
                made = await review.undo(desk, last, by=name)
        except AgentTasksError as error:
            return str(error)
        told = f"{made.kind} by {made.by}, undone by {made.undone_by}"
        problems = await review.publish_all(desk, [item.batch])
        return "; ".join([told, *problems])
