"""A budget in tokens or money: what it allows, when it stops a batch, and that nothing passes it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch import budget as budget_module
from agent_tasks.batch.circuit_breaker import BatchStoppedError, BudgetReachedError
from agent_tasks.batch.records import BatchSummary
from agent_tasks.batch.run import run_batch
from agent_tasks.errors import PipelineError, PriceUnknownError
from agent_tasks.operations import Workspace, read_prices
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import SMALL, Bench

MakeBench = Callable[..., Bench]

PRICES = """\
currency = "USD"
[models.test-model]
input = 1000
output = 2000
"""
PAPERS = 6


def _papers(batch: Bench, count: int = PAPERS) -> None:
    for number in range(count):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total {number}.5")


def _pipeline(budget: str, **limits: int) -> str:
    limits = {"concurrency": 2, "chunk_size": 3, "max_completion_tokens": 60, **limits}
    return f"{SMALL}budget: {budget}\nlimits: {json.dumps(limits)}\n"


async def _run(
    batch: Bench, budget: str, table: str = PRICES, watch: Callable[[Workspace], None] = lambda _: None
) -> BatchSummary:
    prices = batch.folder / "prices.toml"
    prices.write_text(table)
    batch.pipeline_file.write_text(_pipeline(budget))
    async with batch.workspace() as ws:
        ws.prices = read_prices(prices) if table else ws.prices
        watch(ws)
        return await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)


def _spent(batch: Bench) -> tuple[int, Decimal]:
    """Tokens, and money, of all rows."""
    rows = batch.rows().values()
    tokens = sum(row["usage"]["total_tokens"] for row in rows)
    return tokens, sum((Decimal(row["cost"]["amounts"]["USD"]) for row in rows), Decimal(0))


async def test_money_stops_a_batch_and_more_money_resumes_it(bench: MakeBench) -> None:
    batch = bench(rules=_RULES)
    _papers(batch)
    with pytest.raises(BudgetReachedError) as stopped:
        await _run(batch, "{money: 0.60 USD}")
    assert "of 0.60 USD (budget.money) are spent, and the next turn may cost" in str(stopped.value)
    assert "raise it and run the same command again" in str(stopped.value)
    done = batch.rows()
    _, money = _spent(batch)
    assert 0 < len(done) < PAPERS
    assert 0 < money <= Decimal("0.60")
    assert batch.turns() == len(done)
    report = (batch.out / "report.md").read_text()
    assert f"Budget: {money:.4f} of 0.60 USD." in report
    assert "The batch was stopped, and not all documents have results: The budget is used up" in report

    with pytest.raises(BudgetReachedError):  # it is the batch's, not the run's
        await _run(batch, "{money: 0.60 USD}")
    assert batch.turns() == len(done)

    summary = await _run(batch, "{money: 50.00 USD}")
    assert (summary.done, batch.turns()) == (PAPERS, PAPERS)
    assert summary.budget == f"{_spent(batch)[1]:.4f} of 50.00 USD"


async def test_tokens_stop_a_batch_and_more_tokens_resume_it(bench: MakeBench) -> None:
    batch = bench(rules=_RULES)
    _papers(batch)
    with pytest.raises(BatchStoppedError, match=r"of 400 tokens \(budget.tokens\) are spent"):
        await _run(batch, "{tokens: 400}")
    assert 0 < _spent(batch)[0] <= 400
    summary = await _run(batch, "{tokens: 100000}")
    assert summary.done == PAPERS
    assert batch.turns() == PAPERS


class _Killed(BaseException):
    """The process is gone."""


async def test_what_is_under_way_when_a_process_dies_is_counted(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two turns are begun, and nobody learns what they cost: the next run has them reserved."""
    batch = bench(rules=_RULES)
    _papers(batch, 2)
    begun: list[str] = []

    def point(name: str) -> None:
        if name == "turn.attached":
            begun.append(name)
            raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr("agent_tasks.operations.attempts.crash_point", point)
        patch.setattr("agent_tasks.operations.attempts.Attempts.give_up", _left_alone)
        with pytest.raises(_Killed):
            await _run(batch, "{tokens: 400}")
    assert len(begun) == 2
    _papers(batch)
    spending: list[int] = []

    def look(ws: Workspace) -> None:
        original = budget_module.Budget.look

        async def looked(budget: budget_module.Budget) -> None:
            await original(budget)
            spending.append(budget.spent.total_tokens)

        monkeypatch.setattr(budget_module.Budget, "look", looked)

    with pytest.raises(BudgetReachedError):
        await _run(batch, "{tokens: 400}", watch=look)
    assert spending[0] >= 60 * len(begun)  # what they may cost, from the journal
    assert 0 < _spent(batch)[0] <= 400
    monkeypatch.undo()
    summary = await _run(batch, "{tokens: 100000}")
    assert summary.done == PAPERS
    assert batch.turns() == PAPERS  # those of the first run were followed, not begun again


async def _left_alone(attempts: Any) -> Any:
    raise asyncio.CancelledError


async def test_a_day_has_a_budget_of_its_own(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench(rules=_RULES)
    _papers(batch)
    with pytest.raises(BudgetReachedError, match="or run it on another day"):
        await _run(batch, "{tokens: 400, per: day}")
    before = batch.turns()
    tomorrow = budget_module._began("day") + 86_400
    monkeypatch.setattr(budget_module, "_began", lambda per: tomorrow)
    summary = await _run(batch, "{tokens: 400, per: day}")
    assert (summary.done, batch.turns()) == (PAPERS, PAPERS)
    assert summary.budget is not None
    assert summary.budget.endswith(" of 400 tokens a day")
    assert before < PAPERS


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "nobody has said what tokens cost"),
        (PRICES.replace("test-model", "another"), "does not have: test-model"),
        (PRICES.replace("USD", "EUR"), "budget.money is in USD, and .* test-model in EUR"),
    ],
)
async def test_an_unknown_price_is_refused_before_anything_is_sent(
    bench: MakeBench, table: str, said: str
) -> None:
    batch = bench(rules=_RULES)
    _papers(batch)
    with pytest.raises(PriceUnknownError, match=said) as refused:
        await _run(batch, "{money: 5.00 USD}", table)
    assert refused.value.setting == "AGENT_TASKS_PRICES"
    assert batch.service.requests() == []


async def test_earlier_turns_whose_price_is_not_known_are_not_free(bench: MakeBench) -> None:
    batch = bench(rules=_RULES)
    _papers(batch, 1)
    await batch.run()
    batch.write("new.txt", "Paper P-9 of 2026-03-01, total 1.5")
    batch.pipeline_file.write_text(_pipeline("{money: 5.00 USD}").replace("test-model", "other-model"))
    async with batch.workspace() as ws:
        (batch.folder / "prices.toml").write_text(PRICES.replace("test-model", "other-model"))
        ws.prices = read_prices(batch.folder / "prices.toml")
        small = load_pipeline(batch.pipeline_file)
        batch.pipeline_file.write_text(SMALL)
        await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
        with pytest.raises(PriceUnknownError, match="earlier turns were by: test-model"):
            await run_batch(ws, small, batch.documents, batch.out)


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ("{}", "says nothing"),
        ("{money: 5}", "is no amount of money"),
        ("{money: 0.00 USD}", "is no amount of money"),
        ("{money: five USD}", "is no amount of money"),
        ("{tokens: 0}", "greater than or equal to 1"),
        ("{tokens: 10, per: week}", "per"),
        ("{token: 10}", "token"),
    ],
)
def test_what_is_no_budget_is_refused(budget: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(_pipeline(budget))
    with pytest.raises(PipelineError, match=said):
        load_pipeline(path)


_RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": r"Paper (?P<number>\S+) of"},
            "reply": {"json": {"number": "{{ groups.number }}"}},
            "delay": 0.02,
        }
    ],
    "default": {"reply": {"text": "no"}},
}
