"""One batch in a process of its own: ``python -m tests.batch.worker_process ENDPOINT FOLDER``.

Text is recognised by a stand-in, which sees the same in each picture. It prints how much memory the process
took at most (bytes), and the counts of the summary, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import textwrap
from pathlib import Path

from agent_tasks.batch import readings
from agent_tasks.batch.run import run_batch
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline

SEEN = "Paper P-7 of 2026-03-07, total 70"
_READING = f"""
    from agent_tasks.documents import reading_process
    from agent_tasks.documents.layout import Word
    from agent_tasks.documents.readers import pdf, picture

    class Seeing:
        def words(self, picture, size):
            edges = [(60 * i, 50, 60 * i + 55, 60) for i in range(9)]
            shares = [(left / 600, 0.1, right / 600, 0.12) for left, _, right, _ in edges]
            texts = {SEEN!r}.split()
            return [Word(text, *edge, box=box) for text, edge, box in zip(texts, edges, shares)], 0.9

    pdf.recogniser = picture.recogniser = Seeing
    reading_process.main()
"""


async def run(endpoint: str, folder: Path) -> dict[str, int]:
    """Run the batch; returns what is printed."""
    pool = ReadingPool(2, command=(sys.executable, "-P", "-c", textwrap.dedent(_READING)))
    readings.shared_pool = lambda: pool
    journal = f"sqlite+aiosqlite:///{folder}/journal.db"
    async with Workspace.open(endpoint, None, journal, scope="test") as ws:
        plan = load_pipeline(folder / "pipeline.yaml")
        summary = await run_batch(ws, plan, folder / "documents", folder / "out")
    pool.close()
    return {
        "memory": _peak(),
        "total": summary.total,
        "done": summary.done,
        "needs_review": summary.needs_review,
        "failed": summary.failed,
    }


def _peak() -> int:
    # Not `ru_maxrss`: that begins with what the process that started this one had.
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2])))))
