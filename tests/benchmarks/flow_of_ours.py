"""The example of many documents, with the time and processor time that a folder of them takes.

Run as a program: `flow_of_ours.py WARM_FOLDER FOLDER`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from tests.support.team import example


async def main(warm: str, folder: str) -> None:
    answer = example("documents").answer
    await answer(warm)
    began, worked = time.monotonic(), time.process_time()
    outcome = await answer(folder)
    assert all(outcome.values())
    print(json.dumps([len(outcome), time.monotonic() - began, time.process_time() - worked]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
