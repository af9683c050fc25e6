"""Right values from files, and what is said about those that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent_tasks.batch.records import PersonDecision
from agent_tasks.errors import ConfigurationError
from agent_tasks.evaluation import read_truth
from agent_tasks.journal import ReviewKind
from tests.evaluation.support import row


def test_json_lines_and_csv_say_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text(
        '{"document": "a.txt", "fields": {"total": "1.5", "sender": {"name": "A, B"}, "date": null}}\n\n'
    )
    table = tmp_path / "a.csv"
    table.write_text('\ufeffdocument,total,sender.name,date\na.txt,1.5,"A, B",\n\n', encoding="utf-8")
    assert read_truth(lines) == read_truth(table)


def test_what_people_decided_in_another_run_is_right(tmp_path: Path) -> None:
    decisions = {"a": ReviewKind.CORRECT, "b": ReviewKind.APPROVE, "c": ReviewKind.REJECT, "d": None}
    rows = [
        row(
            name,
            fields={"total": 1.0},
            decision=PersonDecision(kind=kind, by="Ann") if kind is not None else None,
        )
        for name, kind in decisions.items()
    ]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(f"{one.model_dump_json()}\n" for one in rows))
    assert {name: right.fields for name, right in read_truth(path).items()} == {
        "a": {"total": 1.0},
        "b": {"total": 1.0},
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.txt", "x", "neither .jsonl nor .csv"),
        ("t.jsonl", "", "names no document"),
        ("t.jsonl", '{"document": "a"}\n{"document": "a"}', "t.jsonl:2: names a a second time"),
        ("t.jsonl", '{"document": "a", "felds": {}}', "t.jsonl:1: felds"),
        ("t.jsonl", "[" * 100_000, "t.jsonl:1: is no JSON object"),
        ("t.csv", "name,total\na,1", "no column 'document'"),
        ("t.csv", "document,total,total\na,1,2", "two of one name"),
        ("t.csv", "document,total\na,1,2", "t.csv:2: has 3 cells, not 2"),
        ("t.csv", "document,a,a.b\nx,1,2", "a is a value already"),
        ("t.csv", "document,total\n,2", "names no document"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_truth(path)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_or_not_utf8_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_truth(tmp_path / "none.jsonl")
    (tmp_path / "latin.csv").write_bytes("document,größe\n".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_truth(tmp_path / "latin.csv")
