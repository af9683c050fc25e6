"""The flows to copy, over the local service with a scripted model: what they do, and that nothing is left."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.flow_runs import resume_flow_run

from agent_tasks import AgentsProject
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.operations import decide, list_questions
from agent_tasks.queues import Storage, StorageConnection
from tests.batch.test_queue_tools import EXAMPLE, storage
from tests.conftest import ServiceFactory
from tests.support.queue_trigger import make_queues, serving
from tests.support.service import RunningService

__all__ = ["storage"]

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_server")]

FLOWS = Path(__file__).parents[2] / "flows"
RECIPES = ("contracts", "tenders", "research", "mails")
Start = Callable[[list[dict[str, Any]]], RunningService]


def recipe(name: str) -> ModuleType:
    """A file of `flows/`, loaded as a deployment does it."""
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", FLOWS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def start(service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a service that is the environment's project; the working folder is empty."""

    def started(rules: list[dict[str, Any]]) -> RunningService:
        running = service(rules={"rules": rules})
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
        monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("MODEL_DEPLOYMENT_NAME", "test-model")
        return running

    return started


def rule(instructions: str, reply: Any, **when: Any) -> dict[str, Any]:
    kind = {"text": reply} if isinstance(reply, str) else reply
    return {"when": {"instructions": instructions, **when}, "reply": kind}


def written(folder: Path, **files: str) -> str:
    """A folder with text files."""
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return str(folder)


def turns(running: RunningService) -> int:
    return len(running.requests("runs.create_thread_and_run")) + len(running.requests("runs.create"))


def left(running: RunningService) -> dict[str, int]:
    """What is left on the service."""
    paths = {"agents": "/assistants", "files": "/files", "stores": "/vector_stores", "threads": "/threads"}
    with running.http() as http:
        return {kind: len(http.get(path).json()["data"]) for kind, path in paths.items()}


NOTHING = {"agents": 0, "files": 0, "stores": 0, "threads": 0}
LEASE = [
    rule("which kind", {"json": {"kind": "lease"}}),
    rule(
        "terms of leases",
        {"json": {"party": "Harbour Ltd", "findings": [{"clause": "4", "risk": "no end"}]}},
    ),
    rule("Write a letter", "Dear Harbour, clause 4 has no end. Yours", message="Correct: no greeting"),
    rule("Write a letter", "Clause 4 has no end."),
    rule("Approve the letter", {"json": {"approved": True, "problems": []}}, message="Dear"),
    rule("Approve the letter", {"json": {"approved": False, "problems": ["no greeting"]}}),
]


@pytest.mark.parametrize("approved", [True, False])
async def test_a_contract_waits_for_a_person_and_the_letter_is_written_once(
    start: Start, tmp_path: Path, approved: bool
) -> None:
    running = start(LEASE)
    (tmp_path / "lease.txt").write_text("A lease of a boat shed.")
    flow = recipe("contracts").contracts
    given = {"path": "lease.txt"}
    async with get_client() as client:
        flow_id = await client.create_flow(flow)
        deployment = await client.create_deployment(flow_id=flow_id, name=f"d{approved}", parameters=given)
        run = await client.create_flow_run_from_deployment(deployment)
        with pytest.raises(Pause):  # the process of the flow run ends by it
            await run_flow_async(flow, flow_run=run, parameters=given, return_type="state")
        assert turns(running) == 6
        async with AgentsProject().workspace() as ws:
            [question] = await list_questions(ws)
            assert question.question == "Send this letter to Harbour Ltd?"
            assert question.shown == "Dear Harbour, clause 4 has no end. Yours"
            await decide(ws, question.key, approved=approved, by="Ann", note="As agreed.")
        await resume_flow_run(run.id)
        run = await client.read_flow_run(run.id)
        state = await run_flow_async(flow, flow_run=run, parameters=given, return_type="state")
    letter = tmp_path / "letters" / "lease.txt"
    if approved:
        assert await state.aresult() == str(Path("letters") / "lease.txt")
        assert letter.read_text() == question.shown
    else:
        assert await state.aresult() == "Not sent: As agreed."
        assert not letter.exists()
    assert turns(running) == 6
    assert left(running) == NOTHING


async def test_tenders_are_compared_by_a_vote_and_the_report_cites_them(start: Start, tmp_path: Path) -> None:
    offer = r"(?P<supplier>\w+) offers (?P<price>[\d.]+) in (?P<days>\d+) days"
    values = {
        "supplier": "{{ groups.supplier }}", "price": "{{ groups.price | float }}", "currency": "EUR",
        "days": "{{ groups.days | int }}",
    }  # fmt: skip
    running = start([
        rule("Write down supplier", {"json": values}, message=offer),
        rule("Choose the best", {"json": {"supplier": "Oakley", "reason": "fast"}}, call=2),
        rule("Choose the best", {"json": {"supplier": "Birchall", "reason": "cheap"}}),
        rule("Search the tenders", "Birchall offers 90.50 in 20 days."),
    ])  # fmt: skip
    folder = written(
        tmp_path / "in", a="Oakley offers 120.00 in 3 days", b="Birchall offers 90.50 in 20 days"
    )
    flow = recipe("tenders").tenders
    assert await flow(folder, "Twenty boards, cheap") == "Birchall"
    report = (tmp_path / "tenders.md").read_text()
    assert report.startswith("# Birchall, by 2 of 3 votes\n")
    assert "- Oakley: 120.00 EUR in 3 days\n- Birchall: 90.50 EUR in 20 days" in report
    assert "b.txt" in report.rpartition("Sources: ")[2]
    assert turns(running) == 6
    assert left(running) == NOTHING


async def test_research_asks_for_each_part_and_says_what_is_missing(start: Start, tmp_path: Path) -> None:
    running = start([
        rule("Split the question", {"json": {"questions": ["Where do swans live?", "Who owns swans?"]}}),
        rule("Search the files", "Swans live on the river Thames.", message="Where"),
        rule("Search the files", "It is not in the files.", message="Who owns"),
        rule("Answer the question", "On the Thames.", message="river Thames"),
        rule("what is missing", {"json": {"missing": ["the owner"]}}),
    ])  # fmt: skip
    corpus = written(tmp_path / "corpus", swans="Swans live on the river Thames.", oak="Oak is hard.")
    assert await recipe("research").research("What of swans?", corpus) == "On the Thames."
    report = (tmp_path / "research.md").read_text()
    assert "## Where do swans live?\n\nSwans live on the river Thames." in report
    assert "Sources: swans.txt" in report
    assert "## Missing\n\n- the owner\n" in report
    assert len(running.requests("vector_stores.create")) == 1
    assert turns(running) == 5
    assert left(running) == NOTHING


@pytest.fixture
async def app(storage: Storage) -> AsyncIterator[StorageConnection]:
    """The Function App's two tools, served from their queues."""
    from catalog import TOOLS  # type: ignore[import-not-found]

    tools = [tool for tool in TOOLS if tool.name in ("lookup_supplier", "validate_iban")]
    for tool in tools:
        await make_queues(storage, tool)
    async with serving(storage.connection, tools):
        yield storage.connection


async def test_mails_are_checked_handed_on_or_left(
    start: Start, app: StorageConnection, azurite: StorageAddresses, tmp_path: Path
) -> None:
    call = {"tool_calls": [{"name": "validate_iban", "arguments": {"iban": "DE89 3704 0044 0532 0130 00"}}]}
    handed = {"json": {"hand_to": "billing", "answer": None}}
    running = start([
        rule("Say what the mail is", {"json": {"kind": "invoice"}}, message="Invoice"),
        rule("Say what the mail is", {"json": {"kind": "complaint"}}, message="twice"),
        rule("Say what the mail is", {"json": {"kind": "other"}}),
        rule("Check the supplier", {"json": {"text": "Paid. {{ results[0].valid }}"}}, tool_results=True),
        rule("Check the supplier", call),
        rule("Answer complaints", handed),
        rule("Answer for invoices", {"json": {"hand_to": None, "answer": {"text": "You get it back."}}}),
    ])  # fmt: skip
    folder = written(tmp_path / "inbox", a="Invoice 7", b="You took it twice!", c="Lunch?")
    tools = tmp_path / "tools.json"
    tools.write_bytes((EXAMPLE / "tools.json").read_bytes())
    replies = await recipe("mails").mails(folder, str(tools))
    assert replies == {"a.txt": "Paid. True", "b.txt": "You get it back.", "c.txt": ""}
    assert turns(running) == 3 + 1 + 2
    assert left(running) == NOTHING
    assert json.loads(tools.read_text())


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_short(name: str) -> None:
    assert len((FLOWS / f"{name}.py").read_text().splitlines()) < 80
