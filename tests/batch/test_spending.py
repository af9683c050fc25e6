"""What a batch has spent, by step, agent and model, in tokens and money."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx

from agent_tasks.batch.records import BatchSummary
from agent_tasks.batch.run import run_batch
from agent_tasks.operations import read_prices
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import SMALL, Bench

MakeBench = Callable[..., Bench]

PRICES = """\
currency = "USD"
as_of = 2026-11-29
[models.test-model]
input = 1000
output = 2000
"""


async def _run(batch: Bench, table: str = PRICES) -> BatchSummary:
    path = batch.folder / "prices.toml"
    path.write_text(table)
    batch.pipeline_file.write_text(batch.pipeline)
    async with batch.workspace() as ws:
        ws.prices = read_prices(path)
        return await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)


def _amount(usage: dict[str, Any]) -> Decimal:
    return (usage["prompt_tokens"] * Decimal(1000) + usage["completion_tokens"] * Decimal(2000)) / 1_000_000


async def test_money_stands_beside_tokens(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.write("2.txt", "Paper needs repair")

    summary = await _run(batch)

    rows = batch.rows()
    for row in rows.values():
        assert Decimal(row["cost"]["amounts"]["USD"]) == _amount(row["usage"]) > 0
        assert set(row["step_cost"]) == set(row["step_usage"]) == set(row["answered_by"])
        spent = sum((Decimal(cost["amounts"]["USD"]) for cost in row["step_cost"].values()), Decimal(0))
        assert spent == Decimal(row["cost"]["amounts"]["USD"])
    assert rows["2.txt"]["answered_by"]["repair-1"]["agent"] == "papers-extractor"
    assert rows["2.txt"]["answered_by"]["review"]["model"] == "test-model"
    [answer] = summary.answers
    assert answer.seconds > 0
    assert summary.cost is not None
    assert answer.cost is not None
    of_rows = sum((Decimal(row["cost"]["amounts"]["USD"]) for row in rows.values()), Decimal(0))
    assert summary.cost.amounts["USD"] == of_rows + answer.cost.amounts["USD"]
    assert summary.cost_total == summary.cost
    report = (batch.out / "report.md").read_text()
    assert f"{summary.cost.text()} |" in report
    assert "| papers-extractor | 3 | 0 |" in report
    assert "| papers-analyst | 1 | 0 |" in report
    assert "| review | 2 | 0 |" in report
    assert "| question sum | 1 | 0 |" in report
    assert "| test-model |" in report
    assert "Prices as of 2026-11-29." in report


async def test_a_model_without_a_price_is_named_and_not_free(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5")
    summary = await _run(batch, PRICES.replace("test-model", "another"))
    row = batch.rows()["1.txt"]
    assert row["cost"] == {"amounts": {}, "unpriced": {"test-model": row["usage"]["total_tokens"]}}
    assert summary.cost is not None
    assert summary.cost.text() == "price unknown"
    report = (batch.out / "report.md").read_text()
    assert "The table of prices does not have: test-model." in report
    assert "0 USD" not in report


async def test_without_a_table_results_and_report_say_nothing_of_money(bench: MakeBench) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5")
    summary = await batch.run()
    assert summary.cost is None
    assert batch.rows()["1.txt"]["cost"] is None
    report = (batch.out / "report.md").read_text()
    assert "money" not in report
    assert "| papers-extractor | 1 | 0 |" in report


async def test_the_model_that_answered_is_told_and_one_that_did_not_is_paid_for(bench: MakeBench) -> None:
    pipeline = """\
name: papers
agents:
  one: {model: small, fallback_models: [big], repair_turns: 0, answer: {ok: boolean}}
steps:
  - {agent: one, prompt: "{{ document.text }}"}
"""
    rules = {
        "rules": [{"when": {"model": "big"}, "reply": {"json": {"ok": True}}}],
        "default": {"reply": {"text": "no"}},
    }
    batch = bench(rules=rules, pipeline=pipeline)
    batch.write("1.txt", "Paper P-1")
    _, _, section = PRICES.partition("[models.test-model]")
    await _run(batch, f'currency = "USD"\n[models.small]{section}[models.big]{section}')
    row = batch.rows()["1.txt"]
    assert row["status"] == "done", row
    assert row["answered_by"]["one"]["model"] == "big"
    assert set(row["step_usage"]["one"]["models"]) == {"small", "big"}
    assert row["step_usage"]["one"] == row["usage"]
    assert Decimal(row["cost"]["amounts"]["USD"]) == _amount(row["usage"])


async def test_what_the_client_sends_again_by_itself_is_counted(bench: MakeBench) -> None:
    batch = bench(pipeline=SMALL)
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10.5")
    throttled = {"status": 429, "retry_after": 0}
    rules = [
        {"when": {"method": "POST", "path": "/assistants"}, "then": throttled, "count": 1},
        {"when": {"operation": "runs.create_thread_and_run"}, "then": throttled, "count": 2},
    ]
    async with httpx.AsyncClient(base_url=batch.service.origin) as http:
        (await http.put("/_emulator/faults", json={"rules": rules})).raise_for_status()
    summary = await batch.run()
    answered = batch.rows()["1.txt"]["answered_by"]["extract"]
    assert (answered["attempts"], answered["resent"], answered["resent_throttled"]) == (1, 2, 2)
    assert (summary.repeated, summary.throttled) == (3, 3)  # the agent's too
    assert re.search(r"\| extract \| \d \| 2 \| 2 \|", (batch.out / "report.md").read_text())
