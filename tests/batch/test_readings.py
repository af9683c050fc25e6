"""Documents are read before they have a slot: some ahead, the others when their time has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch import context
from agent_tasks.batch.context import Batch
from agent_tasks.batch.observer import Observer, observed_by
from agent_tasks.batch.readings import Reading
from agent_tasks.batch.records import DocumentRow
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.errors import UnreadableDocumentError
from agent_tasks.pipeline.loader import load_pipeline
from tests.batch.support import SMALL, Bench

MakeBench = Callable[..., Bench]
RULES = {
    "rules": [
        {
            "when": {"message": r"Paper (?P<number>\S+)"},
            "reply": {"json": {"number": "{{ groups.number }}"}},
            "delay": 0.5,
        }
    ]
}


def made(tmp_path: Path, content: bytes | None, name: str = "a.txt") -> Reading:
    """A document of a batch that speaks to nobody."""
    (tmp_path / "pipeline.yaml").write_text(SMALL)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    nobody: Any = None
    batch = Batch(nobody, load_pipeline(tmp_path / "pipeline.yaml"), tmp_path, tmp_path / "out")
    return Reading(batch, DocumentFile(name, tmp_path / name))


async def test_what_was_read_ahead_is_there(tmp_path: Path) -> None:
    reading = made(tmp_path, b"Paper P-1")
    await reading.ahead()
    (tmp_path / "a.txt").unlink()
    assert (await reading.content())[0] == b"Paper P-1"
    assert (await reading.text()).text == "Paper P-1"
    assert reading.seconds > 0


async def test_what_was_not_read_ahead_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    assert (await made(tmp_path, b"Paper P-1").text()).text == "Paper P-1"


async def test_what_went_wrong_is_raised_where_it_is_asked_for(tmp_path: Path) -> None:
    gone, damaged = made(tmp_path, None), made(tmp_path, b"%PDF-1.4 odd", "a.pdf")
    await asyncio.gather(gone.ahead(), damaged.ahead())
    with pytest.raises(UnreadableDocumentError):
        await gone.content()
    assert (await damaged.content())[0] == b"%PDF-1.4 odd"
    with pytest.raises(UnreadableDocumentError):
        await damaged.text()


class _Notes(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def document_started(self, name: str) -> None:
        self.notes.append(f"{name} starts")

    def document_waits(self, name: str) -> None:
        self.notes.append(f"{name} waits")

    def step_started(self, name: str, step: str) -> None:
        self.notes.append(f"{name} {step}")

    def document_finished(self, row: DocumentRow, *, reused: bool, by_other: bool = False) -> None:
        self.notes.append(f"{row.document} ends")


async def test_as_many_are_read_ahead_as_there_is_room_for(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one slot, and room for one: each is read while the one before it is worked on, and waits then."""
    monkeypatch.setattr(context, "_READ_AHEAD", 1)
    limits = "limits: {concurrency: 1, chunk_size: 50}\n"
    batch = bench(rules=RULES, pipeline=SMALL + limits)
    for number in range(3):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-01, total 10")
    watcher = _Notes()
    with observed_by(watcher):
        assert (await batch.run()).done == 3
    of = watcher.notes.index
    for number in range(2):
        following = f"{number + 1}.txt"
        assert of(f"{following} waits") < of(f"{number}.txt ends") < of(f"{following} extract")
    assert of("1.txt waits") < of("2.txt starts"), "there was room for one"
    assert watcher.notes.count("1.txt starts") == 2, "when it is read, and when it has its slot"
