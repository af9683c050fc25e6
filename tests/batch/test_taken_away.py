"""Conversations that are gone when a later run wants to go on in them, and a leader that stood still."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks.batch import run as run_module
from agent_tasks.batch.context import Batch, batch_owner
from agent_tasks.batch.run import run_batch
from agent_tasks.errors import LeaseLostError
from agent_tasks.operations import Workspace
from agent_tasks.operations.cancelling import cancel_owner
from agent_tasks.operations.cleanup import name_lease
from agent_tasks.operations.ownership import release_unused
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import PIPELINE, RULES, Bench
from tests.support.waiting import eventually

PLAIN = PIPELINE.replace('questions:\n  - {id: sum, text: "What is the sum?"}\n', "").replace(
    "  analyst:\n    instructions: Analyse.\n", ""
)
MENDED = PLAIN.replace(
    '    prompt: "{{ document.text }}"\n',
    '    prompt: "{{ document.text }}"\n'
    '    repair_prompt: "Your answer is wrong, please mend: {% for e in errors %}{{ e }} {% endfor %}"\n',
)
NEEDS_REPAIR = "Paper P-3 of 2026-03-03, total 30, needs repair"


def slowly(name: str, seconds: float) -> dict[str, Any]:
    """The rules, one of them first and with a delay."""
    first = next(rule for rule in RULES["rules"] if rule["name"] == name)
    others = [rule for rule in RULES["rules"] if rule is not first]
    return {**RULES, "rules": [{**first, "delay": seconds}, *others]}


async def test_a_changed_repair_prompt_works_though_the_conversation_is_gone(
    bench: Callable[..., Bench],
) -> None:
    batch = bench(pipeline=PLAIN)
    batch.write("a.txt", NEEDS_REPAIR)
    batch.write("b.txt", "Paper P-1 of 2026-03-01, total 1.5")
    assert (await batch.run()).failed == 0
    batch.pipeline = MENDED
    assert (await batch.run()).failed == 0
    assert batch.rows()["a.txt"]["error"] is None
    turns = batch.turns()
    assert (await batch.run()).turns == 0
    assert batch.turns() == turns


async def test_a_batch_that_was_cancelled_during_a_repair_goes_on(bench: Callable[..., Bench]) -> None:
    batch = bench(rules=slowly("repaired", 5.0), pipeline=PLAIN)
    batch.write("a.txt", NEEDS_REPAIR)
    running = asyncio.create_task(batch.run())
    await eventually(lambda: batch.turns() >= 2)
    running.cancel()
    await asyncio.wait([running])
    async with batch.workspace() as ws:
        owner = batch_owner("papers", batch.documents)
        await cancel_owner(ws, owner)
        await release_unused(ws, owner)
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    summary = await batch.run()
    assert (summary.done, summary.failed) == (1, 0), summary.reasons


async def test_a_leader_that_stood_still_deletes_nothing_of_its_successors(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still between the results and the cleaning up, longer than its lease."""
    batch = bench(pipeline=PLAIN)
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 1.5")
    batch.pipeline_file.write_text(batch.pipeline)
    plan = load_pipeline(batch.pipeline_file)
    url, scope = batch.journal_url, "test"
    released: list[str] = []
    release = Batch.release

    async def noted(worker: Batch, owner: str) -> None:
        if owner == worker.owner:
            released.append(worker.ws.journal.worker)
        await release(worker, owner)

    monkeypatch.setattr(Batch, "release", noted)
    async with Workspace.open(batch.service.endpoint, None, url, scope=scope, lease_seconds=1.0) as ws:
        publish = run_module.PLAIN_STEPS.publish
        monkeypatch.setattr(ws.journal, "renew_leases", _nothing)

        async def stands_still(worker: Batch, summary: Any) -> Any:
            summary = await publish(worker, summary)
            await asyncio.sleep(1.5)
            async with Workspace.open(batch.service.endpoint, None, url, scope=scope) as other:
                assert (await other.journal.leases.hold(scope, name_lease(worker.owner))).is_mine
            return summary

        steps = run_module.Steps(run_module.PLAIN_STEPS.process, run_module.PLAIN_STEPS.answer, stands_still)
        with pytest.raises(LeaseLostError):
            await run_batch(ws, plan, batch.documents, batch.out, steps=steps)
    assert released == []


async def _nothing() -> int:
    return 0
