"""The flows to copy (`flows/`) and the programs of `examples/python`."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect.client.orchestration import get_client
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.flow_runs import resume_flow_run

from agent_tasks import AgentsProject, upload_file
from tests.batch.support import RULES as PAPERS
from tests.batch.support import SMALL
from tests.docs.test_python import approved
from tests.flows.test_recipes import LEASE, recipe, rule, written
from tests.parity.pipelines import EXAMPLES, queue_functions
from tests.parity.place import Place, Program, without_ids
from tests.prefect.test_sessions import LETTERS, LETTERS_TO_ANSWER
from tests.prefect.test_sessions import RULES as LETTER_RULES
from tests.support.team import PYTHON, TASK, TEAM, example

__all__ = ["WITHOUT", "flows"]

WITHOUT = {
    "examples/python/tools.py": "an agent as a tool of another one: the successor has no connected agents "
    "(refused with the remedy)",
    "flows/prune.py": "nothing is sent to a service: it works on the journal alone",
    "flows/watch.py": "nothing is sent to a service: it looks at the journal and at queues",
}
"""Programs that do not run on both, and why."""


async def contracts(place: Place) -> Any:
    (place.folder / "lease.txt").write_text("A lease of a boat shed.")
    letter = await approved(recipe("contracts").contracts, "lease.txt")
    return [letter, Path(letter).read_text(encoding="utf-8")]


async def tenders(place: Place) -> Any:
    folder = written(
        place.folder / "in", a="Oakley offers 120.00 in 3 days", b="Birchall offers 90.50 in 20 days"
    )
    chosen = await recipe("tenders").tenders(folder, "Twenty boards, cheap")
    return [chosen, _report("tenders.md")]


async def research(place: Place) -> Any:
    corpus = written(place.folder / "corpus", swans="Swans live on the river Thames.", oak="Oak is hard.")
    answer = await recipe("research").research("What of swans?", corpus)
    return [answer, _report("research.md")]


async def mails(place: Place) -> Any:
    folder = written(place.folder / "inbox", a="Invoice 7", b="You took it twice!", c="Lunch?")
    assert place.storage is not None
    async with queue_functions(place.storage):
        return await recipe("mails").mails(folder, str(EXAMPLES / "queues" / "tools.json"))


async def document_batch(place: Place) -> Any:
    """The flow of `flows/document_batch.py`, with the pipeline file and the documents of a folder."""
    folder = written(place.folder / "in", a="Paper P-1 of 2026-01-01, total 10.5", b="Paper P-4, unclear")
    (file := place.folder / "pipeline.yaml").write_text(SMALL)
    batch = recipe("document_batch").document_batch
    state = await batch(folder, str(file), str(place.folder / "out"), return_state=True)
    rows = (place.folder / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [state.name, [without_ids(json.loads(row)) for row in rows]]


async def sweep(place: Place) -> Any:
    """What an earlier program left is deleted by `flows/sweep.py` once its time to live is over."""
    async with AgentsProject().workspace() as ws:
        await upload_file(ws, b"Old.", "old.txt", owner="gone", ttl=timedelta(0))
        await recipe("sweep").sweep(dry_run=False)
        return [one.kind for one in await ws.journal.resources.live(ws.scope)]


def _report(name: str) -> str:
    return str(without_ids(Path(name).read_text(encoding="utf-8")))


# --- examples/python -----------------------------------------------------------------------------------


async def ask(_: Place) -> Any:
    return (await example("ask").read_letter(LETTERS[0])).model_dump()


async def blocking(_: Place) -> Any:
    return await asyncio.to_thread(example("blocking").read_letters, LETTERS)


async def other_processes(_: Place) -> Any:
    return await asyncio.to_thread(example("other_processes").read_letters, LETTERS)


async def task_runner(_: Place) -> Any:
    program = example("task_runner")
    mapped = await asyncio.to_thread(program.mapped, LETTERS)
    return [mapped, await program.submitted(LETTERS), await program.gathered(LETTERS)]


async def documents(place: Place) -> Any:
    letters = {f"n{number}": f"What is a board of oak? {number}" for number in range(5)}
    return await example("documents").answer(written(place.folder / "letters", **letters))


async def streaming(_: Place) -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        await example("streaming").talk()
    return printed.getvalue()


async def team(_: Place) -> Any:
    return await approved(example("team").offer, TASK)


async def suspended(_: Place) -> Any:
    """Suspended after the letter, and resumed."""
    flow = example("suspended").send_letter
    given = {"to": "Ann"}
    async with get_client() as client:
        deployment = await client.create_deployment(
            flow_id=await client.create_flow(flow), name="parity", parameters=given
        )
        run = await client.create_flow_run_from_deployment(deployment)
        with contextlib.suppress(Pause):  # the process of the flow run ends by it
            await run_flow_async(flow, flow_run=run, parameters=given, return_type="state")
        await resume_flow_run(run.id)
        run = await client.read_flow_run(run.id)
        state = await run_flow_async(flow, flow_run=run, parameters=given, return_type="state")
        return await state.aresult()


async def paused(_: Place) -> Any:
    """Paused after the letter, and resumed while its process waits."""
    flow = example("paused").send_letter
    given = {"to": "Ann"}
    async with get_client() as client:
        run = await client.create_flow_run(flow, parameters=given)
        process = asyncio.create_task(run_flow_async(flow, flow_run=run, parameters=given))
        while not (state := (await client.read_flow_run(run.id)).state) or not state.is_paused():
            assert not process.done()
            await asyncio.sleep(0.1)
        await resume_flow_run(run.id)
        return await process


async def notebook(_: Place) -> Any:
    """Cells are compiled as a notebook does it, in one namespace, in a loop that runs."""
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for cell in (PYTHON / "notebook.py").read_text(encoding="utf-8").split("# %%"):
            code = compile(cell, "notebook", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            outcome = eval(code, names)  # noqa: S307 - our own example
            if inspect.isawaitable(outcome):
                await outcome
    return printed.getvalue()


# --- their models --------------------------------------------------------------------------------------

_OFFER = r"(?P<supplier>\w+) offers (?P<price>[\d.]+) in (?P<days>\d+) days"
_VALUES = {
    "supplier": "{{ groups.supplier }}",
    "price": "{{ groups.price | float }}",
    "currency": "EUR",
    "days": "{{ groups.days | int }}",
}
_TENDERS = [
    rule("Write down supplier", {"json": _VALUES}, message=_OFFER),
    rule("Choose the best", {"json": {"supplier": "Oakley", "reason": "fast"}}, call=2),
    rule("Choose the best", {"json": {"supplier": "Birchall", "reason": "cheap"}}),
    rule("Search the tenders", "Birchall offers 90.50 in 20 days."),
]
_RESEARCH = [
    rule("Split the question", {"json": {"questions": ["Where do swans live?", "Who owns swans?"]}}),
    rule("Search the files", "Swans live on the river Thames.", message="Where"),
    rule("Search the files", "It is not in the files.", message="Who owns"),
    rule("Answer the question", "On the Thames.", message="river Thames"),
    rule("what is missing", {"json": {"missing": ["the owner"]}}),
]
_IBAN = {"name": "validate_iban", "arguments": {"iban": "DE89 3704 0044 0532 0130 00"}}
_MAILS = [
    rule("Say what the mail is", {"json": {"kind": "invoice"}}, message="Invoice"),
    rule("Say what the mail is", {"json": {"kind": "complaint"}}, message="twice"),
    rule("Say what the mail is", {"json": {"kind": "other"}}),
    rule("Check the supplier", {"json": {"text": "Paid. {{ results[0].valid }}"}}, tool_results=True),
    rule("Check the supplier", {"tool_calls": [_IBAN]}),
    rule("Answer complaints", {"json": {"hand_to": "billing", "answer": None}}),
    rule("Answer for invoices", {"json": {"hand_to": None, "answer": {"text": "You get it back."}}}),
]


def flows() -> list[Program]:
    """All of them."""
    prefect, queues = frozenset({"prefect_server"}), frozenset({"prefect_server", "azurite"})
    own = [
        Program("flows/contracts.py", contracts, {"rules": LEASE}, prefect),
        Program("flows/tenders.py", tenders, {"rules": _TENDERS}, prefect),
        Program("flows/research.py", research, {"rules": _RESEARCH}, prefect),
        Program("flows/mails.py", mails, {"rules": _MAILS}, queues),
        Program("flows/document_batch.py", document_batch, PAPERS, prefect),
        Program("flows/sweep.py", sweep, {}, prefect),
    ]
    letters = (ask, blocking, notebook, other_processes, paused, streaming, suspended, task_runner)
    models = {**dict.fromkeys(letters, LETTER_RULES), documents: LETTERS_TO_ANSWER, team: TEAM}
    return [
        *own,
        *(
            Program(f"examples/python/{work.__name__}.py", work, rules, prefect)
            for work, rules in sorted(models.items(), key=lambda item: item[0].__name__)
        ),
    ]
