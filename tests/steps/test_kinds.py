"""Every kind of step, carried out by the batch: what comes of it, what it costs, and how it resumes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from agent_tasks.batch.fork import find_run, fork
from agent_tasks.operations import decide, list_questions
from tests.batch.conftest import bench
from tests.batch.support import Bench
from tests.steps.all_kinds import INNER, LEASE, RULES, STEPS, TURNS

__all__ = ["bench"]

MakeBench = Callable[..., Bench]


@pytest.fixture
def batch(bench: MakeBench) -> Bench:
    made = bench(rules=RULES, pipeline=STEPS)
    (made.folder / "inner.yaml").write_text(INNER)
    made.write("a.txt", LEASE)
    return made


async def approved(batch: Bench, **said: object) -> None:
    async with batch.workspace() as ws:
        (question,) = await list_questions(ws)
        assert question.shown == "A better draft."
        await decide(ws, question.key, **{"approved": True, "by": "Ann", "note": "fine", **said})


async def test_a_pipeline_with_every_kind_waits_and_resumes(batch: Bench) -> None:
    await batch.run()
    row = batch.rows()["a.txt"]
    assert row["status"] == "waiting", row
    assert batch.turns() == TURNS
    await batch.run()
    assert batch.turns() == TURNS, "an unchanged document that waits costs nothing"
    await approved(batch)
    summary = await batch.run()
    assert (summary.done, summary.turns) == (1, 1)
    assert batch.turns() == TURNS + 1
    row = batch.rows()["a.txt"]
    steps = row["steps"]
    assert row["fields"] == {"answer": "It is sent."}
    assert steps["router"]["value"] == {"kind": "lease"}
    assert steps["details"]["value"]["case"] == "lease"
    assert steps["details"]["value"]["lawyer"] is None
    assert [steps[f"people/{n}/judge"]["value"] for n in (1, 2)] == [{"fair": True}, {"fair": False}]
    assert steps["draft"]["value"]["rounds"] == 2
    assert steps["draft/2/author"]["value"] == "A better draft."
    assert steps["side"]["value"] == {"left": {"one": "On the left."}, "right": {"two": "On the right."}}
    assert steps["verdict"]["value"]["value"] is True
    assert steps["verdict"]["value"]["agreed"] == 3
    assert steps["desk"]["value"] == {
        "agent": "billing",
        "answer": "It is mine.",
        "asked": ["triage", "billing"],
    }
    assert steps["inner"]["value"] == {"summer": {"words": 3}}
    assert steps["release"]["value"] == {"approved": True, "by": "Ann", "note": "fine"}
    assert [entry["path"] for entry in row["grounding"]] == ["parties[0]", "parties[1]", "total"]
    assert all(len(record["turns"]) == 1 for name, record in steps.items() if record["kind"] == "agent")
    assert len(row["ids"]) == row["turns"] == TURNS + 1
    assert sum(record["usage"]["total_tokens"] for record in steps.values()) == row["usage"]["total_tokens"]
    assert list(steps) == sorted(steps, key=list(steps).index)
    assert batch.left() == {"agents": 0, "files": 0, "stores": 0, "threads": 0}


async def test_a_rejection_leaves_out_what_comes_after(batch: Bench) -> None:
    await batch.run()
    await approved(batch, approved=False, note="no")
    await batch.run()
    row = batch.rows()["a.txt"]
    assert row["status"] == "needs_review"
    assert row["reasons"] == ["release was rejected by Ann: no"]
    assert row["steps"]["release"]["status"] == "stopped"
    assert "sent" not in row["steps"]


@pytest.mark.parametrize(
    ("old", "new", "redone"),
    [
        ("Send it.", "Send it now.", 1),
        ("Vote on", "Please vote on", 3),
        ("Is {{ party }} fair?", "Is {{ party }} really fair?", 2),
        ("Left of", "Left from", 1),
        ("limits: {concurrency: 2}", "limits: {concurrency: 3}", 0),
        # What is read from it is the same, so nothing that depends on it is asked again.
        ("Route this", "Please route this", 1),
    ],
)
async def test_a_changed_step_is_done_again_and_nothing_else(
    batch: Bench, old: str, new: str, redone: int
) -> None:
    await batch.run()
    await approved(batch)
    await batch.run()
    before = batch.turns()
    batch.pipeline = batch.pipeline.replace(old, new)
    summary = await batch.run()
    assert batch.turns() - before == redone
    assert summary.done == 1


async def test_what_depends_on_a_changed_step_is_done_again(batch: Bench) -> None:
    """Another draft is what the sides do not read, and all that comes after it does."""
    await batch.run()
    before = batch.turns()
    batch.pipeline = batch.pipeline.replace("until: critic.approved", "until: critic.problem == 'too short'")
    await batch.run()
    # three votes, the inner pipeline and the review read the draft; the rounds that there were are known
    assert batch.turns() - before == 3 + 1 + 1


async def test_a_fork_from_any_step_takes_what_comes_before_from_the_journal(batch: Bench) -> None:
    await batch.run()
    await approved(batch)
    await batch.run()
    before = batch.turns()
    async with batch.workspace() as ws:
        record = await find_run(ws, str(batch.out))
        changes = ["steps[6].prompt=Vote once more on {{ draft.author }}"]
        found = await fork(ws, record, "verdict", batch.folder / "fork", changes=changes)
    # Votes, the hand-off, the inner pipeline and the review; then a person is asked about the fork.
    assert batch.turns() - before == 3 + 2 + 1 + 1
    assert found.summary.waiting == 1


async def test_a_document_of_another_kind_takes_another_way(batch: Bench) -> None:
    batch.write("a.txt", "A secret between Ann and Bob over 12.5.")
    await batch.run()
    steps = batch.rows()["a.txt"]["steps"]
    assert steps["details"]["value"] == {
        "case": "nda",
        "extract": None,
        "ground": None,
        "lawyer": {"term": 5},
    }
    assert steps["people"]["value"] == []


SMALL = """\
name: small
model: test-model
agents:
  one: {answer: {ok: boolean}, prompt: "one {{ document.text }}"}
  two: {answer: {ok: boolean}, prompt: "two {{ document.text }}"}
  text: {prompt: "text"}
steps:
"""


async def _row(bench: MakeBench, steps: str, rules: list[dict[str, object]], head: str = SMALL) -> dict:
    made = bench(rules={"rules": rules, "default": {"reply": {"text": "Hm."}}}, pipeline=head + steps)
    made.write("a.txt", "Hello.")
    await made.run()
    return made.rows()["a.txt"]


async def test_a_vote_without_a_majority_needs_review(bench: MakeBench) -> None:
    row = await _row(
        bench,
        "  - vote: {agents: [one, two], by: ok}\n  - {agent: text}",
        [
            {"when": {"schema": "one"}, "reply": {"json": {"ok": True}}},
            {"when": {"schema": "two"}, "reply": {"json": {"ok": False}}},
        ],
    )
    assert row["status"] == "needs_review"
    assert row["reasons"] == ["vote: there is no majority among 2 (true: 1, false: 1)"]
    assert row["steps"]["vote"]["value"]["value"] is None
    assert row["steps"]["text"]["value"] == "Hm.", "the steps go on"


async def test_an_agent_may_decide_a_vote(bench: MakeBench) -> None:
    row = await _row(
        bench,
        "  - vote: {agents: [one, two], decide: text}\n",
        [
            {"when": {"schema": "one"}, "reply": {"json": {"ok": True}}},
            {"when": {"schema": "two"}, "reply": {"json": {"ok": False}}},
            {"when": {"message": 'Answer 2: ."ok": false'}, "reply": {"text": "Two is right."}},
        ],
    )
    assert row["status"] == "done"
    assert row["steps"]["vote"]["value"]["value"] == "Two is right."


async def test_an_answer_that_stays_invalid_stops_the_document(bench: MakeBench) -> None:
    row = await _row(bench, "  - agent: one\n  - vote: {agents: [two, text]}\n", [])
    assert row["status"] == "needs_review"
    assert row["reasons"][0].startswith("the answer of one is not valid after 1 repair turn: ")
    assert row["turns"] == 2
    assert list(row["steps"]) == ["one"]
    assert row["steps"]["one"]["status"] == "stopped"


async def test_a_fallback_model_is_asked(bench: MakeBench) -> None:
    head = SMALL.replace("one: {", "one: {fallback_models: [big], repair_turns: 0, ")
    row = await _row(
        bench,
        "  - vote: {agents: [one, one]}\n  - {vote: {agents: [two, text]}, id: v, when: vote.of == 1}",
        [{"when": {"schema": "one", "model": "big"}, "reply": {"json": {"ok": True}}}],
        head,
    )
    assert row["status"] == "done"
    assert row["turns"] == 4
    assert row["steps"]["v"]["status"] == "skipped"


async def test_a_loop_that_does_not_end_needs_review(bench: MakeBench) -> None:
    row = await _row(
        bench,
        "  - {repeat: [{agent: one}], until: one.ok, at_most: 2, id: tries}\n"
        "  - {agent: text}\n  - {agent: two, when: tries.met}",
        [{"when": {"schema": "one"}, "reply": {"json": {"ok": False}}}],
    )
    assert row["reasons"] == ["tries: after 2 rounds still not one.ok"]
    assert row["steps"]["text"]["status"] == "done"
    assert row["steps"]["two"]["status"] == "skipped"


async def test_a_list_that_is_too_long_is_worked_on_as_far_as_said(bench: MakeBench) -> None:
    head = SMALL.replace("one: {answer: {ok: boolean}", "one: {answer: {ok: {type: integer, list: true}}")
    row = await _row(
        bench,
        "  - agent: one\n  - {each: one.ok, at_most: 2, steps: [{agent: text, prompt: 'n {{ item }}'}]}\n"
        "  - {agent: two, when: len(each) == 1}",
        [
            {"when": {"schema": "one"}, "reply": {"json": {"ok": [1, 2, 3]}}},
            {"when": {"message": "n 1"}, "reply": {"text": "first"}},
        ],
        head,
    )
    assert row["reasons"] == ["each: only the first 2 of 3 items were worked on"]
    assert row["steps"]["each"]["value"] == [{"text": "first"}, {"text": "Hm."}]


async def test_a_hand_off_has_an_end(bench: MakeBench) -> None:
    head = SMALL.replace("answer: {ok: boolean}, ", "")
    row = await _row(
        bench,
        "  - hand_off: {first: one, among: [one, two], at_most: 3}\n  - agent: text",
        [
            {
                "when": {"schema": "one_or_hand_off"},
                "reply": {"json": {"answer": None, "hand_off_to": "two"}},
            },
            {
                "when": {"schema": "two_or_hand_off"},
                "reply": {"json": {"answer": None, "hand_off_to": "one"}},
            },
        ],
        head,
    )
    assert row["status"] == "needs_review"
    assert row["reasons"] == ["hand_off: one hands over to two, after 3 were asked"]
    assert row["turns"] == 3


async def test_branches_end_before_one_of_them_stops_the_document(bench: MakeBench) -> None:
    row = await _row(
        bench, "  - parallel: {a: [{agent: one}], b: [{agent: text}, {agent: two}]}\n",
        [{"when": {"schema": "two"}, "reply": {"json": {"ok": True}}}],
    )  # fmt: skip
    assert row["status"] == "needs_review"
    assert row["steps"]["parallel/b/two"]["value"] == {"ok": True}
    assert row["steps"]["parallel/a/one"]["status"] == "stopped"
