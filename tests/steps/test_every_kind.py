"""Each kind of step has an example, a place on the page with its picture, and a kill in its middle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch.run import run_batch
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.steps.file import registry
from agent_tasks.steps.file.plan import Step
from tests.batch.conftest import bench
from tests.batch.support import Bench
from tests.durability.steps_batch import IN_THE_MIDDLE, WHEN_GOING_ON
from tests.steps.all_kinds import INNER, LEASE, RULES, STEPS

__all__ = ["bench"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "steps.md").read_text(encoding="utf-8")
EXAMPLES = {path.stem: path for path in sorted((ROOT / "examples" / "steps").glob("*.yaml"))}
KINDS = (*registry.BUILT_IN, "when")
"""`when` is a key of all kinds, and counts as one of control."""


def _sections() -> dict[str, str]:
    """The text below each heading that names kinds of steps, by kind."""
    parts = re.split(r"^### (.*)$", PAGE.partition("\n## Steps\n")[2], flags=re.MULTILINE)[1:]
    return {
        kind: text.partition("\n## ")[0]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
        for kind in heading.split(", ")
    }


def _kinds_of(step: Step) -> Iterator[str]:
    for one in step.walk():
        yield one.kind
        if one.head.when is not None:
            yield "when"


def test_the_examples_of_the_page_are_files() -> None:
    shown = re.findall(r"```yaml\n(name:.*?)```", PAGE, re.DOTALL)
    assert sorted(path.read_text(encoding="utf-8") for path in EXAMPLES.values()) == sorted(shown)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_an_example_with_its_picture_in_its_place_on_the_page(kind: str) -> None:
    section = _sections()[kind]
    if "The first example of this page" in section:
        section = PAGE.partition("\n## Steps\n")[0]
    (name,) = re.findall(r"^name: (\S+)$", section, re.MULTILINE)
    pipeline = load_pipeline(EXAMPLES[name], default_model="any")
    assert kind in {found for step in pipeline.plan.steps for found in _kinds_of(step)}
    assert f"](steps/{name}.svg)" in section
    picture = (ROOT / "docs" / "steps" / f"{name}.svg").read_text(encoding="utf-8")
    shown = {step.kind: step for step in pipeline.plan.walk()}
    words = f"when {_condition(shown.values())}" if kind == "when" else shown[kind].summary()
    assert not words or _cut(words) in _unescaped(picture)


def _condition(steps: Any) -> str:
    return next(step.head.when.source for step in steps if step.head.when is not None)


def _cut(words: str) -> str:
    return words[:40]


def _unescaped(picture: str) -> str:
    return picture.replace("&gt;", ">").replace("&lt;", "<").replace("&quot;", '"').replace("&amp;", "&")


LETTER = "Ann and Bob agree on a rent of 12.5; clause one, clause two. 20 days late."
ANSWERS: dict[str, dict[str, Any]] = {
    "review": {"approved": True, "problems": []},
    "triage_or_hand_off": {"answer": None, "hand_off_to": "billing"},
    "billing_or_hand_off": {"answer": "Paid.", "hand_off_to": None},
}
"""What is answered under a schema of this name; else what an agent of the example answers."""
OF_EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "contracts": {"reader": {"parties": ["Ann", "Bob"], "rent": 12.5, "notice": None}},
    "letters": {"editor": {"subject": "Rent", "body": "Dear Ann"}},
    "reminders": {"reader": {"days_late": 20}},
    "router": {"router": {"kind": "lease"}, "lessor": {"rent": 12.5}},
    "clauses": {"reader": {"clauses": ["one", "two"]}, "judge": {"fair": False, "why": "It is dear."}},
    "drafts": {"critic": {"approved": True, "problems": []}},
    "verdicts": {"judge": {"verdict": "pay", "why": "It is due."}},
    "outer": {"editor": {"subject": "Rent", "body": "Dear Ann"}},
    "tenders": {"reader": {"price": 12.5, "bidder": "Ann"}, "judge": {"best": "Ann", "why": "She is cheap."}},
    "research": {"researcher": {"found": True, "sources": ["a.txt"]}},
}
TURNS = {
    **{"contracts": 2, "letters": 2, "reminders": 2, "router": 2, "two-views": 3, "clauses": 4, "drafts": 2},
    **{"verdicts": 4, "desk": 2, "outer": 3, "releases": 1, "tenders": 5, "research": 1},
}


@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_runs(bench: Callable[..., Bench], name: str) -> None:
    answers = {**ANSWERS, **OF_EXAMPLES.get(name, {})}
    rules = [{"when": {"schema": f"^{of}$"}, "reply": {"json": said}} for of, said in answers.items()]
    made = bench(rules={"rules": rules, "default": {"reply": {"text": "Well."}}})
    for path in EXAMPLES.values():
        (made.folder / path.name).write_text(path.read_text(encoding="utf-8"))
    made.write("a.txt", LETTER)
    async with made.workspace() as ws:
        pipeline = load_pipeline(made.folder / f"{name}.yaml", default_model="any")
        summary = await run_batch(ws, pipeline, made.documents, made.out)
    row = made.rows()["a.txt"]
    assert row["status"] == ("waiting" if name == "releases" else "done"), row
    assert summary.turns == TURNS[name]
    assert not [answer for answer in summary.answers if not answer.answer]
    assert "](pipeline.svg)" in (made.out / "report.md").read_text()
    if (picture := ROOT / "docs" / "steps" / f"{name}.svg").exists():
        assert (made.out / "pipeline.svg").read_text() == picture.read_text()


def _places(row: Mapping[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Each step of a row, in its order: the name, and the kinds of it and of those that hold it."""
    steps = row["steps"]
    for name in steps:
        parts = name.split("/")
        around = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        yield name, {steps[one]["kind"] for one in around if one in steps}


def _ends(row: Mapping[str, Any]) -> list[str]:
    """The steps of a row in the order in which they end: a step after those that it holds."""
    names = list(row["steps"])
    places = {name: place for place, name in enumerate(names)}

    def last(name: str) -> int:
        return max(places[one] for one in names if one == name or one.startswith(f"{name}/"))

    return sorted(names, key=lambda name: (last(name), -name.count("/")))


async def test_each_kind_is_killed_in_its_middle(bench: Callable[..., Bench]) -> None:
    """The stories of tests/durability/test_steps.py say a kind and a point: the point is where they say."""
    assert set(KINDS) <= {*IN_THE_MIDDLE, *WHEN_GOING_ON}
    made = bench(rules=RULES, pipeline=STEPS)
    (made.folder / "inner.yaml").write_text(INNER)
    made.write("a.txt", LEASE)
    await made.run()
    row = made.rows()["a.txt"]
    kinds = dict(_places(row))
    turns = [name for name in row["steps"] for _ in row["steps"][name]["turns"]]
    ends = _ends(row)
    for kind in registry.BUILT_IN:
        point, _, number = IN_THE_MIDDLE[kind].partition(":")
        if point.startswith("turn."):
            assert kind in kinds[turns[int(number) - 1]], kind
        elif point == "step.ended":
            assert kind in kinds[ends[int(number) - 1]], kind
        else:
            assert (kind, point) == ("approve", "decision.asked")
    followed = [name for name in turns if name.endswith("/author")][:2]
    assert turns[int(IN_THE_MIDDLE["follows"].partition(":")[2]) - 1] == followed[1]
    assert WHEN_GOING_ON == {"when": "turn.attached:1"}
    left = [step for step in load_pipeline(made.pipeline_file).plan.steps if step.id not in row["steps"]]
    assert [step.id for step in left if step.head.when is not None] == ["sent"]
