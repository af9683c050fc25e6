"""A pipeline that asks for confidence: who is not sure enough is looked at by a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent_tasks.confidence import Confidence
from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import PIPELINE, Bench

SURE = Confidence(
    intercept=4.0,
    weights={"repaired": -3.0, "absent": -0.5},
    threshold=0.9,
    rate=0.05,
    documents=100,
    values=300,
)
ASKED = PIPELINE + "confidence: {file: confidence.json}\n"


def write_confidence(folder: Path, confidence: Confidence = SURE) -> None:
    (folder / "confidence.json").write_text(confidence.model_dump_json(), encoding="utf-8")


async def test_a_document_that_is_not_sure_enough_needs_review(
    bench: Callable[..., Bench], tmp_path: Path
) -> None:
    batch = bench(pipeline=ASKED)
    write_confidence(batch.pipeline_file.parent)
    batch.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    batch.write("d.txt", "Paper P-3 of 2026-03-03, total 30, needs repair")
    await batch.run()
    rows = batch.rows()
    assert rows["a.txt"]["status"] == "done"
    assert rows["a.txt"]["confidence"] == {"number": 0.982, "total": 0.982, "issued": 0.982}
    assert rows["d.txt"]["status"] == "needs_review"
    [reason] = rows["d.txt"]["reasons"]
    assert (
        reason == "confidence 0.391 is below 0.900; the least sure: number 0.731, total 0.731, issued 0.731"
    )
    turns = batch.turns()

    # Another threshold is another pipeline: the rows are made again, of turns that are paid for.
    batch.pipeline = PIPELINE + "confidence: {file: confidence.json, at_least: 0.3}\n"
    await batch.run()
    assert batch.rows()["d.txt"]["reasons"] == []
    assert batch.rows()["d.txt"]["status"] == "done"
    assert batch.turns() == turns


def test_without_the_section_a_pipeline_is_what_it_was(tmp_path: Path) -> None:
    text = "name: p\nmodel: m\nagents: {extractor: {}}\noutput: {fields: {number: string}}\n"
    (tmp_path / "p.yaml").write_text(text)
    plain = load_pipeline(tmp_path / "p.yaml")
    assert plain.demand is None
    write_confidence(tmp_path)
    (tmp_path / "p.yaml").write_text(text + "confidence: {file: confidence.json}\n")
    assert load_pipeline(tmp_path / "p.yaml").fingerprint != plain.fingerprint


@pytest.mark.parametrize(
    ("section", "content", "said"),
    [
        ("{file: none.json}", "", "can't be read: No such file"),
        ("{file: confidence.json}", "{", "no file of `agent-tasks evaluate`"),
        (
            "{file: confidence.json}",
            SURE.model_copy(update={"threshold": None}).model_dump_json(),
            "no threshold",
        ),
        ("{file: confidence.json, at_least: 2}", SURE.model_dump_json(), "less than or equal to 1"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(
    tmp_path: Path, section: str, content: str, said: str
) -> None:
    (tmp_path / "confidence.json").write_text(content)
    path = tmp_path / "p.yaml"
    path.write_text(
        "name: p\nmodel: m\nagents: {extractor: {}}\noutput: {fields: {number: string}}\n"
        f"confidence: {section}\n"
    )
    with pytest.raises(PipelineError) as raised:
        load_pipeline(path)
    assert f"{path}:5: confidence" in str(raised.value)
    assert said in str(raised.value)
