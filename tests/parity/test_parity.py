"""`make parity`: the same programs on both services have one outcome; the table of docs/successor.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.operations import Workspace, release_owner
from agent_tasks.settings import ServiceKind
from agent_tasks.testing import ServiceLog
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.conftest import ServiceFactory
from tests.emulator.tools.test_openapi import serve
from tests.examples.test_guide import GUIDE
from tests.parity.place import MODEL, Place, Program
from tests.parity.programs import programs, without
from tests.support.mcp_server import McpLedger, mcp_ledger
from tests.support.service import RunningService

ALL = bool(os.environ.get("AGENT_TASKS_TEST_PROGRAMS"))
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "successor.md"
SEARCHED = Path(__file__).parents[1] / "examples" / "search"
KINDS = (ServiceKind.CLASSIC, ServiceKind.RESPONSES, ServiceKind.INLINE)
HEAD = "| program | outcome | requests that change something: classic | responses | inline |"

ROWS: list[str] = []
Queues = tuple[StorageAddresses | None, str]


@pytest.fixture(scope="module")
def ledger() -> Iterator[McpLedger]:
    with mcp_ledger() as running:
        yield running


@pytest.fixture(scope="module")
def weather() -> Iterator[str]:
    """A server that tells the weather of a town."""
    sky = Route("/sky/{town}", lambda asked: JSONResponse({"town": asked.path_params["town"], "sky": "rain"}))
    with serve(Starlette(routes=[sky])) as origin:
        yield origin


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Write the rows of all programs into the page."""
    ROWS.clear()
    yield
    if ALL and len(ROWS) == len(PROGRAMS):
        text = PAGE.read_text(encoding="utf-8")
        missing = [f"| {name} | not run: {why} | | | |" for name, why in without().items()]
        lines = "\n".join([HEAD, "| --- | --- | --- | --- | --- |", *ROWS, *missing])
        PAGE.write_text(re.sub(rf"{re.escape(HEAD)}\n(\|.*\n)+", f"{lines}\n", text), encoding="utf-8")


PROGRAMS = programs()
CHOSEN = PROGRAMS if ALL else [one for one in PROGRAMS if one.name == "pattern: hand over"]


def changing(running: RunningService) -> int:
    """How many requests changed something on the service."""
    return sum(row["method"] != "GET" and (row["status"] or 500) < 300 for row in running.requests())


def environment(running: RunningService, kind: ServiceKind, folder: Path) -> dict[str, str]:
    """What a program that opens its own workspace is told."""
    chosen = {
        ServiceKind.CLASSIC: {"PROJECT_ENDPOINT": running.endpoint},
        ServiceKind.RESPONSES: {"PROJECT_ENDPOINT": running.endpoint, "AGENT_TASKS_SERVICE": "responses"},
        ServiceKind.INLINE: {
            "OPENAI_BASE_URL": f"{running.endpoint}/openai/v1",
            "AGENT_TASKS_SERVICE": "responses",
        },
    }[kind]
    return {"MODEL_DEPLOYMENT_NAME": MODEL, "AGENT_TASKS_STATE_DIR": str(folder / "state"), **chosen}


@pytest.fixture
def queues(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[StorageAddresses | None, str]:
    """What the program needs besides: a Prefect server, and queues, whose address and prefix are returned."""
    program: Program = request.node.callspec.params["program"]
    if "prefect_server" in program.needs:
        request.getfixturevalue("prefect_server")
    if "azurite" not in program.needs:
        return None, ""
    storage: StorageAddresses = request.getfixturevalue("azurite")
    prefix: str = request.getfixturevalue("queue_prefix")
    for name in ("STORAGE", "PARITY_STORAGE"):
        monkeypatch.setenv(name, storage.connection_string.get_secret_value())
    monkeypatch.setenv("ANSWERS_TABLE", f"{prefix}answers")
    return storage, prefix


@pytest.mark.timeout(300)
@pytest.mark.parametrize("program", CHOSEN, ids=lambda program: program.name)
async def test_a_program_has_the_same_outcome_on_both(
    service: ServiceFactory,
    ledger: McpLedger,
    weather: str,
    queues: Queues,
    tmp_path: Path,
    program: Program,
) -> None:
    tools = ToolSettings(
        search_folder=SEARCHED, storage={"default": StorageAccount(value_env="PARITY_STORAGE")}
    )
    outcomes: dict[ServiceKind, object] = {}
    requests: dict[ServiceKind, int] = {}
    for kind in KINDS:
        ledger.written.clear()
        running = service(rules=program.rules, config=ServiceConfig(tools=tools))
        folder = tmp_path / kind
        folder.mkdir()
        url = f"{running.endpoint}/openai/v1" if kind is ServiceKind.INLINE else running.endpoint
        journal = f"sqlite+aiosqlite:///{folder}/journal.db"
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            for name in ("PROJECT_ENDPOINT", "OPENAI_BASE_URL", "AGENT_TASKS_SERVICE"):
                patch.delenv(name, raising=False)
            for name, value in environment(running, kind, folder).items():
                patch.setenv(name, value)
            async with Workspace.open(url, None, journal, scope="parity", service=kind) as ws:
                place = Place(ws, folder, running, ledger.url, weather, *queues)
                outcomes[kind] = await program.work(place)
                for owner in {one.owner for one in await ws.journal.resources.live(ws.scope)}:
                    await release_owner(ws, owner)
        requests[kind] = changing(running)
        verdict = ServiceLog(running.endpoint).verdict()
        found = {name: one for name, one in verdict.items() if isinstance(one, dict) and one["count"]}
        assert verdict["ok"], (kind, found)
    assert outcomes[ServiceKind.RESPONSES] == outcomes[ServiceKind.CLASSIC]
    assert outcomes[ServiceKind.INLINE] == outcomes[ServiceKind.CLASSIC]
    ROWS.append(f"| {program.name} | the same | {' | '.join(str(requests[kind]) for kind in KINDS)} |")


def test_every_program_of_the_guide_has_a_counterpart_or_a_reason_why_not() -> None:
    told = {program.name for program in PROGRAMS} | set(without())
    guide = {path.stem for path in GUIDE.glob("*.py")} - {"connection"}
    assert {f"guide: {name}" for name in guide} == {name for name in told if name.startswith("guide: ")}


@pytest.mark.parametrize("folder", ["flows", "examples/python"])
def test_every_flow_and_program_is_run_or_has_a_reason_why_not(folder: str) -> None:
    told = {program.name for program in PROGRAMS} | set(without())
    there = {f"{folder}/{path.name}" for path in (ROOT / folder).glob("*.py")}
    assert there == {name for name in told if name.startswith(f"{folder}/")}


def test_every_example_of_a_kind_of_step_is_run() -> None:
    there = {f"examples/steps/{path.name}" for path in (ROOT / "examples" / "steps").glob("*.yaml")}
    assert there == {one.name for one in PROGRAMS if one.name.startswith("examples/steps/")}
