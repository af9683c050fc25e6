"""Pipeline files: the examples, one with every kind of step, one with all that happens to documents."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from agent_tasks.documents.reading import read_document
from agent_tasks.evaluation import read_truth
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.queues import Storage, StorageConnection
from tests.batch.support import PIPELINE, TOOLS
from tests.batch.support import RULES as PAPERS
from tests.batch.test_queue_tools import RULES as INVOICES
from tests.parity.place import Place, Program, run_pipeline
from tests.steps.all_kinds import INNER, LEASE, STEPS
from tests.steps.all_kinds import RULES as KINDS
from tests.steps.test_example_file import FILE as BOARDS_FILE
from tests.steps.test_example_file import RULES as BOARDS
from tests.support.queue_trigger import make_queues, serving

__all__ = ["pipelines", "queue_functions"]

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


async def papers(place: Place) -> Any:
    (place.folder / "paper_tools.py").write_text(TOOLS)
    (file := place.folder / "pipeline.yaml").write_text(PIPELINE)
    documents = {
        "1.txt": "Paper P-1 of 2026-01-01, total 10.5",
        "2.txt": "Paper P-2 of 2026-02-02, total 20.0, look up",
        "3.txt": "Paper P-3 of 2026-03-03, total 30, needs repair",
        "4.txt": "Paper P-4 of 2026-04-04, total 40, unclear",
        "5.txt": "Paper P-5 of 2026-05-05, total 50, breaks",
        "6.txt": "Paper P-6 of 2026-06-06, total 60, disputed",
    }
    return await run_pipeline(place, file, documents)


async def main_job(place: Place) -> Any:
    outcome = await run_pipeline(place, EXAMPLES / "pipeline.yaml", EXAMPLES / "documents")
    assert outcome[0]["done"] >= 12, outcome[0]
    return outcome


def main_rules() -> dict[str, Any]:
    """A model that knows the right values of the examples, and calls what it is told to call."""
    rules: list[dict[str, Any]] = []
    for name, right in read_truth(EXAMPLES / "truth.jsonl").items():
        parent, _, attached = name.partition("/")
        if right.fails or right.may_fail:
            continue
        content = read_document((EXAMPLES / "documents" / parent).read_bytes(), parent)
        if attached:
            [part] = [one for one in content.attachments if one.name == attached]
            content = read_document(part.content, attached)
        fields = right.model_dump(mode="json")["fields"]
        when = {"schema": "paper", "message": f"^{re.escape(content.text[:60])}"}
        called = {"name": "lookup_supplier", "arguments": {"name": fields["sender"]}}
        rules += [
            {"when": {**when, "tool_results": False}, "reply": {"tool_calls": [called]}},
            {"when": when, "reply": {"json": fields}},
        ]
    checked = {"name": "check_sender", "arguments": {"sender": "{{ groups.sender }}"}}
    sender = {"schema": "review", "message": r'Copied: (.|\n)*"sender": "(?P<sender>[^"]+)"'}
    verdict = {"approved": "{{ results[0].approved }}", "problems": "{{ results[0].problems }}"}
    return {
        "rules": [
            *rules,
            {"when": {**sender, "tool_results": False}, "reply": {"tool_calls": [checked]}},
            {"when": {"schema": "review"}, "reply": {"json": verdict}},
            {"when": {"message": "battens"}, "reply": {"text": "40 battens follow in week 42."}},
            {"when": {"message": "moisture"}, "reply": {"text": "Moisture at loading: 9 %."}},
        ],
        "default": {"reply": {"text": "The fourth tread creaks."}},
    }


async def boards(place: Place) -> Any:
    shutil.copy(BOARDS_FILE.with_name("documents.py"), place.folder)
    (file := place.folder / "pipeline.yaml").write_text(BOARDS_FILE.read_text(encoding="utf-8"))
    return await run_pipeline(place, file, {f"{n}.txt": f"What is a board of oak? {n}" for n in range(4)})


async def every_kind(place: Place) -> Any:
    (file := place.folder / "pipeline.yaml").write_text(STEPS)
    (place.folder / "inner.yaml").write_text(INNER)
    return await run_pipeline(place, file, {"a.txt": LEASE, "b.txt": "A secret between Ann and Bob."})


def queued(drive: str) -> Any:
    """The example with queue tools, whose calls the pipeline or the service puts into the queues."""

    async def work(place: Place) -> Any:
        text = (EXAMPLES / "queues" / "pipeline.yaml").read_text(encoding="utf-8")
        file = place.folder / "pipeline.yaml"
        file.write_text(text.replace("drive: pipeline", f"drive: {drive}"))
        shutil.copy(EXAMPLES / "queues" / "tools.json", place.folder)
        assert place.storage is not None
        async with queue_functions(place.storage):
            return await run_pipeline(place, file, EXAMPLES / "queues" / "documents")

    return work


@asynccontextmanager
async def queue_functions(azurite: StorageAddresses) -> AsyncIterator[None]:
    """Serve two tools of the Function App from their queues."""
    app = str(ROOT / "azure_functions")
    if app not in sys.path:
        sys.path.insert(0, app)
    import storage as app_storage  # type: ignore[import-not-found]
    from catalog import TOOLS as CATALOG  # type: ignore[import-not-found]

    tools = [tool for tool in CATALOG if tool.name in ("lookup_supplier", "validate_iban")]
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as opened:
        for tool in tools:
            await make_queues(opened, tool)
        async with serving(opened.connection, tools):
            yield
    await app_storage.storage().close()


def played(file: Path) -> dict[str, Any]:
    """A model for a file with steps: each agent gives a value of its type, and the first hands over."""
    agents: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["agents"]
    rules = []
    for name, agent in agents.items():
        answer = {field: _sample(kind) for field, kind in (agent.get("answer") or {}).items()}
        if answer:
            rules.append({"when": {"schema": f"^{name}$"}, "reply": {"json": answer}})
        after = [one for one in agents if one != next(iter(agents))]
        handed = {"answer": None, "hand_off_to": after[0]} if after and name == next(iter(agents)) else None
        reply = handed or {"answer": "I know.", "hand_off_to": None}
        rules.append({"when": {"schema": f"^{name}_or_hand_off$"}, "reply": {"json": reply}})
    rules.append({"when": {"schema": "review"}, "reply": {"json": {"approved": True, "problems": []}}})
    return {"rules": rules, "default": {"reply": {"text": "This is said of the rent of 30."}}}


def _sample(kind: Any) -> Any:
    described: dict[str, Any] = {"type": kind} if isinstance(kind, str) else kind
    values = {"string": "rent", "number": 30.0, "integer": 30, "boolean": True}
    value = described["enum"][0] if "enum" in described else values[described["type"]]
    return [value, value] if described.get("list") else value


def example_of_kinds(file: Path) -> Any:
    """A file of `examples/steps`, with two documents; what a person is asked is approved."""

    async def work(place: Place) -> Any:
        return await run_pipeline(place, file, {"a.txt": "The rent is 30.", "b.txt": "Rent: 30 a month."})

    return work


def pipelines() -> list[Program]:
    """All of them."""
    queues = frozenset({"azurite"})
    return [
        Program("the main job (`make run`, examples/pipeline.yaml)", main_job, main_rules()),
        Program("a pipeline file: extract, call, repair, review, ask", papers, PAPERS),
        Program("a pipeline file with steps (examples/python/documents.yaml)", boards, BOARDS),
        Program("a pipeline file with every kind of step", every_kind, KINDS),
        Program("queue tools of the pipeline (examples/queues)", queued("pipeline"), INVOICES, queues),
        Program("queue tools of the service", queued("service"), INVOICES, queues),
        *(
            Program(f"examples/steps/{file.name}", example_of_kinds(file), played(file))
            for file in sorted((EXAMPLES / "steps").glob("*.yaml"))
        ),
    ]
