"""Steps of a run (`/threads/{id}/runs/{id}/steps`)."""

from __future__ import annotations

import sqlite3

from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.bodies import step_body
from agents_emulator.paging import list_body, page_from_query
from agents_emulator.store import RUN_STEPS, RUNS, THREADS, Record


def _run_id(db: sqlite3.Connection, call: Call) -> str:
    thread_id = THREADS.get(db, call.path["thread_id"])["id"]
    run_id: str = RUNS.get(db, call.path["run_id"], thread_id)["id"]
    return run_id


async def list_all(call: Call) -> Record:
    """GET .../steps; `include[]` may ask for the content of file search results."""
    page = page_from_query(call.query)

    def read(db: sqlite3.Connection) -> Record:
        steps, has_more = RUN_STEPS.page(db, page, _run_id(db, call))
        return list_body([step_body(step, include=call.include) for step in steps], has_more)

    return await call.service.store.read(read)


async def get(call: Call) -> Record:
    """GET .../steps/{step_id}."""

    def read(db: sqlite3.Connection) -> Record:
        return RUN_STEPS.get(db, call.path["step_id"], _run_id(db, call))

    return step_body(await call.service.store.read(read), include=call.include)


_PATH = "/threads/{thread_id}/runs/{run_id}/steps"
OPERATIONS = (
    Operation("run_steps.list", "GET", _PATH, list_all),
    Operation("run_steps.get", "GET", f"{_PATH}/{{step_id}}", get),
)
