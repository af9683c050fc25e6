"""`agent-tasks init`: what a model proposes becomes a pipeline, or nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent_tasks.cli.app import app
from agent_tasks.errors import ConfigurationError, RunIncompleteError
from agent_tasks.evaluation import read_truth
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.pipeline.proposal import (
    Proposal,
    ProposedField,
    ProposedKind,
    short_answers,
    written,
)
from tests.conftest import ServiceFactory

INVOICE = {
    "name": "Invoice", "description": "What a firm wants: \"money\" # now\n- x",
    "fields": [
        {"name": "Invoice No.", "type": "string", "description": "Its number"},
        {"name": "total", "type": "number", "description": "The sum"},
    ],
}  # fmt: skip
SENDER = {"name": "sender", "type": "string"}
LETTER = {"name": "letter", "description": "", "fields": [SENDER, INVOICE["fields"][1]]}
PROPOSAL = {"description": "Papers: of a firm", "kinds": [INVOICE, LETTER]}
NUMBER = r"Invoice R-(?P<number>\d+)"
FOUND = {"kind": "invoice", "invoice_no": "R-{{ groups.number }}", "total": 12.5, "sender": None}


def rules(proposal: Any) -> dict[str, Any]:
    reply = {"text": proposal} if isinstance(proposal, str) else {"json": proposal}
    return {
        "rules": [
            {
                "when": {"schema": "document", "message": r"Invoice R-(?P<number>\d+)"},
                "reply": {"json": FOUND},
            },
            {"when": {"schema": "review"}, "reply": {"json": {"approved": True, "problems": []}}},
        ],
        "default": {"reply": reply},
    }


@pytest.fixture
def start(
    service: ServiceFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    def run(proposal: Any, *words: str, documents: int = 12) -> tuple[int, str]:
        monkeypatch.setenv("PROJECT_ENDPOINT", service(rules=rules(proposal)).endpoint)
        monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
        monkeypatch.setenv("AGENT_TASKS_JOURNAL_URL", f"sqlite+aiosqlite:///{tmp_path}/journal.db")
        monkeypatch.setattr("agent_tasks.local.servers.use_prefect_environment", lambda settings: None)
        monkeypatch.chdir(tmp_path)
        (tmp_path / "My papers").mkdir(exist_ok=True)
        for number in range(documents):
            text = f"Invoice R-{number} for 12.50" + (" and 12.50" if number % 2 else "")
            (tmp_path / "My papers" / f"{number:02}.txt").write_text(text)
        ended = CliRunner().invoke(app, ["init", "My papers", "--out", "made", *words])
        return ended.exit_code, " ".join(ended.output.split())

    return run


@pytest.mark.timeout(240)
def test_a_proposal_becomes_a_pipeline_that_has_run(
    start: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = start(PROPOSAL)
    assert code == 0, said
    made = tmp_path / "made"
    text = (made / "pipeline.yaml").read_text()
    assert "# Proposed by `agent-tasks init`, from 00.txt, 04.txt, 08.txt," in text
    pipeline = load_pipeline(made / "pipeline.yaml", default_model="m")
    assert pipeline.name == "my-papers"
    fields = pipeline.file.output.fields  # type: ignore[union-attr]
    assert list(fields) == ["kind", "invoice_no", "total", "sender"]
    assert fields["kind"].enum == ("invoice", "letter")
    assert fields["invoice_no"].description == "Its number (Invoice)"
    assert fields["total"].optional
    assert "The first 10 documents: 10 done" in said
    assert "agent-tasks review" in said
    lines = [json.loads(line) for line in (made / "truth.jsonl").read_text().splitlines()]
    assert [line["document"] for line in lines] == [f"{number:02}.txt" for number in range(10)]
    assert lines[3]["fields"] == {"kind": "invoice", "invoice_no": "R-3", "total": 12.5, "sender": None}
    with pytest.raises(ConfigurationError, match="nobody has looked at one"):
        read_truth(made / "truth.jsonl")
    lines[0]["checked"] = True
    (made / "truth.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert list(read_truth(made / "truth.jsonl")) == ["00.txt"]
    ended = CliRunner().invoke(
        app, ["evaluate", "made/first/results", "--truth", "made/truth.jsonl", "--require", "right>=1"]
    )
    assert ended.exit_code == 0, ended.output

    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    code, said = start(PROPOSAL)
    assert code == 2
    assert "nothing is overwritten" in said
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("proposal", "told"),
    [
        ("I am a banana.", "all of it, since it is no proposal of fields"),
        ({"description": "", "kinds": []}, "the rest, which names no field"),
        ({"kinds": [{"name": "x", "fields": []}]}, "the rest, which names no field"),
        ({"kinds": [{"name": "x", "fields": [{"name": "!!!"}]}]}, "'!!!', which is no name of a field"),
        ({"kinds": [{"name": "?", "fields": [{"name": "a"}]}]}, "a kind whose name is none"),
    ],
)
def test_a_model_that_finds_nothing_leaves_a_valid_file_that_says_so(
    start: Callable[..., tuple[int, str]], tmp_path: Path, proposal: Any, told: str
) -> None:
    code, said = start(proposal, documents=1)
    assert code == 0, said
    assert told in said
    assert "The model did not find which values your documents have" in said
    assert "No document was worked on" in said
    made = tmp_path / "made"
    assert not (made / "first").exists()
    text = (made / "pipeline.yaml").read_text()
    assert "# THE MODEL FOUND NO FIELDS." in text
    assert f"# - {told}" in text
    checked = CliRunner().invoke(app, ["check", str(made / "pipeline.yaml")])
    assert checked.exit_code == 0, checked.output
    assert "fields: title" in checked.output
    assert json.loads((made / "truth.jsonl").read_text())["fields"] == {"title": None}


def test_what_can_be_used_of_a_poor_proposal_is_used(
    start: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    bad = {"name": "Letter", "fields": [{"name": "Total", "type": "string"}, {"name": "!!!"}]}
    many = {"name": "z", "fields": [{"name": f"f{number}"} for number in range(50)]}
    code, said = start({"kinds": [INVOICE, bad, {**LETTER, "fields": []}, many]}, "--no-run", documents=1)
    assert code == 0, said
    assert "a kind whose name is none, or is another one's: 'letter'" in said
    text = (tmp_path / "made" / "pipeline.yaml").read_text()
    assert "# - that total is a string: it is a number in another kind" in text
    assert "# - and 5 more" in text
    pipeline = load_pipeline(tmp_path / "made" / "pipeline.yaml", default_model="m")
    fields = pipeline.file.output.fields  # type: ignore[union-attr]
    assert list(fields)[:4] == ["kind", "invoice_no", "total", "f0"]
    assert len(fields) == 41
    assert fields["total"].type == "number"


def test_an_answer_without_an_end_leaves_a_valid_file(
    start: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut_off(*_: object, **__: object) -> None:
        raise RunIncompleteError("cut off", reason="max_completion_tokens")

    monkeypatch.setattr("agent_tasks.steps.Agent.ask", cut_off)
    code, said = start(PROPOSAL, documents=1)
    assert code == 0, said
    assert "all of it, since it came to no end" in said
    assert load_pipeline(tmp_path / "made" / "pipeline.yaml", default_model="m").columns == ("title",)


def test_a_folder_without_documents_is_told(start: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    code, said = start(PROPOSAL, documents=0)
    assert code == 2
    assert "no document in My papers" in said


def test_without_a_run_the_values_are_left_to_you(
    start: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = start({"kinds": [LETTER]}, "--no-run", "--samples", "1", documents=2)
    assert code == 0, said
    assert "agent-tasks review" not in said
    assert not (tmp_path / "made" / "first").exists()
    first = json.loads((tmp_path / "made" / "truth.jsonl").read_text().splitlines()[0])
    assert first["fields"] == {"sender": None, "total": None}
    assert "kind:" not in (tmp_path / "made" / "pipeline.yaml").read_text()


def test_texts_of_a_model_are_texts_in_the_file(tmp_path: Path) -> None:
    odd = 'a"b\\ \x1b[31m\u2028 : # {x}\n- y: !!python/object'
    kind = ProposedKind(
        name="Übung", description=odd, fields=[ProposedField(name="Straße 1", description=odd)]
    )
    other = ProposedKind(name="b", fields=[ProposedField(name="x", list=True)])
    file = tmp_path / "pipeline.yaml"
    file.write_text(
        written(Proposal(description=odd, kinds=[kind, other]), name="n", samples=[odd], model=odd)
    )
    pipeline = load_pipeline(file, default_model="m")
    assert "- y: !!python/object" in pipeline.file.description
    assert list(pipeline.file.output.fields) == ["kind", "strae_1", "x"]  # type: ignore[union-attr]


def test_the_small_model_is_held_to_bounds_in_which_it_comes_to_an_end() -> None:
    told = json.dumps(short_answers().response_format)
    assert '"maxItems": 2' in told
    assert '"maxLength": 40' in told
    value, errors = short_answers().parse(json.dumps({"description": "x", "kinds": [INVOICE]}))
    assert errors == []
    assert value is not None
    assert list(value.fields()) == ["invoice_no", "total"]
