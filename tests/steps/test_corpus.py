"""Steps over all documents: what they read, that they are reused, and forks of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from agent_tasks.batch.fork import find_run, fork
from agent_tasks.errors import PipelineError
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.conftest import bench
from tests.batch.support import Bench

__all__ = ["bench"]

PIPELINE = """\
name: tenders
model: test-model
agents:
  reader: {prompt: "Read {{ document.text }}", answer: {price: {type: number}}}
  judge: {answer: {best: string}}
  analyst: {tools: [{file_search: corpus, max_num_results: 3}]}
steps:
  - extract: reader
  - ground: extract
corpus:
  - vote: {agent: judge, samples: 3, by: best}
    prompt: "Which is best? {% for one in documents %}{{ one.name }}: {{ one.fields.price }} {% endfor %}"
  - agent: analyst
    prompt: "Why {{ vote.value }}?"
"""
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"schema": "reader", "message": r"costs (?P<price>\d+)"},
            "reply": {"json": {"price": "{{ groups.price | float }}"}},
        },
        {
            "when": {"schema": "judge", "message": "b.txt: 20.0$"},
            "reply": {"json": {"best": "a.txt"}},
        },
        {"when": {"schema": "judge"}, "reply": {"json": {"best": "c.txt"}}},
        {"when": {"message": "^Why now"}, "reply": {"text": "Since it is so."}},
    ],
    "default": {"reply": {"text": "Tender one costs 10 in all."}},
}


@pytest.fixture
def batch(bench: Callable[..., Bench]) -> Bench:
    made = bench(rules=RULES, pipeline=PIPELINE)
    made.write("a.txt", "Tender one costs 10 in all.")
    made.write("b.txt", "Tender two costs 20 in all.")
    return made


async def test_steps_over_all_documents_are_carried_out_once(batch: Bench) -> None:
    summary = await batch.run()
    vote, why = summary.answers
    assert (vote.id, why.id) == ("corpus/vote", "corpus/analyst")
    assert '"value": "a.txt", "agreed": 3' in vote.answer.replace("'", '"')
    assert (vote.turns, why.turns) == (3, 1)
    assert why.question == "Why {{ vote.value }}?"
    assert why.answer.startswith("Tender one costs 10 in all.")
    assert batch.turns() == 2 + 3 + 1
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}
    again = await batch.run()
    assert again.answers == summary.answers
    assert (again.turns, batch.turns()) == (0, 6)
    batch.write("c.txt", "Tender three costs 5 in all.")
    third = await batch.run()
    assert third.turns == 1 + 3 + 1, "the corpus is another one"
    assert "c.txt" in third.answers[0].answer


async def test_a_fork_takes_steps_over_all_documents_too(batch: Bench) -> None:
    await batch.run()
    before = batch.turns()
    async with batch.workspace() as ws:
        record = await find_run(ws, str(batch.out))
        changes = ["corpus[1].prompt=Why now {{ vote.value }}?"]
        found = await fork(ws, record, "corpus/analyst", batch.folder / "fork", changes=changes)
    assert batch.turns() - before == 1
    assert [(one.before, one.after) for one in found.answers][-1][1] == "Since it is so."
    assert found.changed == 0


async def test_a_step_that_fails_says_so_and_those_before_it_are_kept(batch: Bench) -> None:
    batch.pipeline = batch.pipeline.replace(
        "analyst: {", "analyst: {answer: {why: string}, repair_turns: 0, "
    )
    vote, why = (await batch.run()).answers
    assert "a.txt" in vote.answer
    assert why.error is not None
    assert "is not valid" in why.error.message
    assert batch.rows()["a.txt"]["status"] == "done"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('prompt: "Read {{ document.text }}"', 'prompt: x, tools: [{file_search: corpus}]', "can't search"),
        ("vote.value", "vote.valeu", "Did you mean 'value'?"),
        ("one.fields.price", "one.fields.prize", "Did you mean 'price'?"),
        ("{{ one.name }}", "{{ document.name }}", "'document' is not known here"),
        ("  - agent: analyst\n", "  - {approve: 'Go on?'}\n  - agent: analyst\n", "is for one document"),
    ],
)  # fmt: skip
def test_mistakes_are_told(batch: Bench, old: str, new: str, words: str) -> None:
    assert old in PIPELINE
    batch.pipeline_file.write_text(PIPELINE.replace(old, new))
    with pytest.raises(PipelineError) as caught:
        load_pipeline(batch.pipeline_file)
    assert words in str(caught.value)
