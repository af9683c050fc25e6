"""A folder of hostile files among good ones: each in exactly one state, and no neighbour disturbed."""

from __future__ import annotations

from collections.abc import Callable

from tests.batch.hostile_files import hostile_files
from tests.batch.support import PIPELINE, Bench
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]


async def test_each_is_in_one_state_and_no_neighbour_is_disturbed(bench: MakeBench) -> None:
    batch = bench(
        pipeline=PIPELINE.replace(
            "concurrency: 2", "concurrency: 4, max_consecutive_failures: 3, max_reading_seconds: 10"
        )
    )
    hostile = dict(hostile_files())
    for name, content in hostile.items():
        (batch.documents / name).write_bytes(content)
    good = {f"good{number}.pdf" for number in range(5)}
    for number, name in enumerate(sorted(good)):
        text = f"Paper P-{number} of 2026-03-01, total 1{number}"
        (batch.documents / name).write_bytes(pdf([text], *[["further page"]] * 20))
    summary = await batch.run()
    rows = batch.rows()
    assert set(rows) == set(hostile) | good
    assert {rows[name]["status"] for name in good} == {"done"}
    assert summary.done + summary.needs_review + summary.failed == summary.total == len(rows)
    failed = {name: row["error"]["type"] for name, row in rows.items() if row["status"] == "failed"}
    assert set(failed.values()) <= {
        "DocumentTooLongError",
        "EmptyDocumentError",
        "UnreadableDocumentError",
    }, failed
