"""One batch in a process of its own: `python -m tests.benchmarks.batch_worker ENDPOINT JOURNAL FOLDER [OUT]`.

What it prints is for the benchmark that started it: seconds, processor seconds and memory, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from agent_tasks.batch.run import run_batch
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline


async def measured(endpoint: str, journal: str, folder: Path, out: str) -> dict[str, float]:
    """Run the batch; returns what it took, without the start of the process."""
    plan = load_pipeline(folder / "pipeline.yaml")
    begun_at = time.time()
    begun, processor = time.perf_counter(), time.process_time()
    async with Workspace.open(endpoint, None, journal, scope="bench") as ws:
        summary = await run_batch(ws, plan, folder / "documents", folder / out)
    return {
        "begun": begun_at,
        "seconds": time.perf_counter() - begun,
        "processor": time.process_time() - processor,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "done": summary.done,
        "reused": summary.reused,
        "turns": summary.turns,
    }


if __name__ == "__main__":
    endpoint, journal, folder, *out = sys.argv[1:]
    print(json.dumps(asyncio.run(measured(endpoint, journal, Path(folder), *(out or ["out"])))))
