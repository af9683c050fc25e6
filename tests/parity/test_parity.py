"""`make parity`: the same programs on both services have one outcome; the table of docs/successor.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks.operations import Workspace, release_owner
from agent_tasks.settings import ServiceKind
from agent_tasks.testing import ServiceLog
from tests.conftest import ServiceFactory
from tests.parity.programs import Program, programs
from tests.support.mcp_server import McpLedger, mcp_ledger
from tests.support.service import RunningService

ALL = bool(os.environ.get("AGENT_TASKS_TEST_PROGRAMS"))
PAGE = Path(__file__).parents[2] / "docs" / "successor.md"
KINDS = (ServiceKind.CLASSIC, ServiceKind.RESPONSES, ServiceKind.INLINE)
HEAD = "| program | outcome | requests that change something: classic | responses | inline |"

ROWS: list[str] = []


@pytest.fixture(scope="module")
def ledger() -> Iterator[McpLedger]:
    with mcp_ledger() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Write the rows of all programs into the page."""
    ROWS.clear()
    yield
    if ALL and len(ROWS) == len(NAMES):
        text = PAGE.read_text(encoding="utf-8")
        lines = "\n".join([HEAD, "| --- | --- | --- | --- | --- |", *ROWS])
        PAGE.write_text(re.sub(rf"{re.escape(HEAD)}\n(\|.*\n)+", f"{lines}\n", text), encoding="utf-8")


NAMES = [program.name for program in programs("http://127.0.0.1/mcp")]
CHOSEN = NAMES if ALL else ["pattern: hand over"]


def changing(running: RunningService) -> int:
    """How many requests changed something on the service."""
    return sum(row["method"] != "GET" and (row["status"] or 500) < 300 for row in running.requests())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CHOSEN)
async def test_a_program_has_the_same_outcome_on_both(
    service: ServiceFactory, ledger: McpLedger, tmp_path: Path, name: str
) -> None:
    program: Program = next(one for one in programs(ledger.url) if one.name == name)
    outcomes, requests = {}, {}
    for kind in KINDS:
        ledger.written.clear()
        running = service(rules=program.rules)
        folder = tmp_path / kind
        folder.mkdir()
        url = f"{running.endpoint}/openai/v1" if kind is ServiceKind.INLINE else running.endpoint
        journal = f"sqlite+aiosqlite:///{folder}/journal.db"
        async with Workspace.open(url, None, journal, scope="parity", service=kind) as ws:
            outcomes[kind] = await program.work(ws, folder)
            await release_owner(ws, "parity")
        requests[kind] = changing(running)
        verdict = ServiceLog(running.endpoint).verdict()
        assert verdict["ok"], (kind, verdict)
    assert outcomes[ServiceKind.RESPONSES] == outcomes[ServiceKind.CLASSIC]
    assert outcomes[ServiceKind.INLINE] == outcomes[ServiceKind.CLASSIC]
    ROWS.append(f"| {name} | the same | {' | '.join(str(requests[kind]) for kind in KINDS)} |")
