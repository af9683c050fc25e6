"""The job of the example `documents.py` as a pipeline file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.batch.conftest import bench
from tests.batch.support import Bench

__all__ = ["bench"]

FILE = Path(__file__).parents[2] / "examples" / "python" / "documents.yaml"
RULES = {
    "rules": [
        {
            "when": {"message": "board of oak", "tool_results": False},
            "reply": {"tool_calls": [{"name": "price_of", "arguments": {"wood": "oak"}}]},
        },
        {"when": {"message": "board of oak"}, "reply": {"text": "It is {{ tool_results[0] }} EUR."}},
        {"when": {"schema": "review"}, "reply": {"json": {"approved": True, "problems": []}}},
    ],
    "default": {"reply": {"text": "?"}},
}


@pytest.mark.timeout(300)
async def test_fifty_documents_in_a_few_lines(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 14
    monkeypatch.setenv("MODEL_DEPLOYMENT_NAME", "m")
    made = bench(rules=RULES, pipeline=f"model: m\n{text}")
    shutil.copy(FILE.with_name("documents.py"), made.folder)
    for number in range(50):
        made.write(f"{number:02}.txt", f"What is a board of oak? {number}")
    summary = await made.run()
    assert (summary.done, summary.turns) == (50, 100)
    assert made.rows()["07.txt"]["steps"]["seller"]["value"] == "It is 12.5 EUR."
    assert len(made.service.requests("agents.create")) == 2
    assert made.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
