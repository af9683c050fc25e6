"""Pictures of the places where values stand, beside the report."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent_tasks.batch.context import Batch
from agent_tasks.batch.evidence import without_pictures
from agent_tasks.batch.pictures import FOLDER
from agent_tasks.documents.reading_pool import ReadingPool
from agent_tasks.errors import UnreadableDocumentError
from agent_tasks.operations import TurnResult
from tests.batch.support import PIPELINE, Bench
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]


def paper(number: int) -> bytes:
    return pdf([f"Paper P-{number} of 2026-03-0{number}, total {number}0"])


def pictures(bench: Bench) -> dict[str, bytes]:
    folder = bench.out / FOLDER
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def named(row: dict[str, object]) -> list[str]:
    grounding = row["grounding"]
    assert isinstance(grounding, list)
    return [entry["picture"] for entry in grounding if entry["picture"]]


def limited(**limits: int) -> str:
    given = "".join(f"{name}: {value}, " for name, value in limits.items())
    return PIPELINE.replace("limits: {", f"limits: {{{given}")


async def test_a_value_is_shown_as_a_picture_of_its_place(bench: MakeBench) -> None:
    batch = bench()
    batch.write("a.pdf", paper(1))
    batch.write("b.txt", "Paper P-2 of 2026-03-02, total 20")
    await batch.run()
    rows = batch.rows()
    assert len(named(rows["a.pdf"])) == 3
    assert named(rows["b.txt"]) == []
    made = pictures(batch)
    assert sorted(f"{FOLDER}/{name}" for name in made) == sorted(named(rows["a.pdf"]))
    assert all(re.fullmatch(r"[0-9a-f]{32}\.png", name) for name in made)
    report = (batch.out / "report.md").read_text()
    for entry in rows["a.pdf"]["grounding"]:
        assert f"]({entry['picture']})" in report
        picture = Image.open(batch.out / entry["picture"]).convert("RGB")
        assert picture.width * picture.height <= 700_000
        reds = [pixel for pixel in picture.get_flattened_data() if pixel[0] > 180 and pixel[1] < 80]
        assert len(reds) > 50  # the frame
    assert without_pictures(report).count("![") == 0
    assert FOLDER not in without_pictures(report)
    assert "\n## Runs\n" in report
    assert "\n## Cost\n" in without_pictures(report)
    assert "## Runs" not in without_pictures(report), "no heading over nothing"


async def test_what_is_there_is_not_made_again(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench()
    batch.write("a.pdf", paper(1))
    batch.write("b.pdf", paper(2))
    await batch.run()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in batch.out.glob("*/*.png")}
    written = [(batch.out / name).read_bytes() for name in ("results.jsonl", "report.md")]
    asked: list[str] = []
    make = ReadingPool.pictures_async

    async def noted(pool: ReadingPool, content: bytes, name: str, *args: object, **given: object) -> object:
        asked.append(name)
        return await make(pool, content, name, *args, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(ReadingPool, "pictures_async", noted)
    await batch.run()
    assert asked == []
    assert {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in batch.out.glob("*/*.png")
    } == before
    assert [(batch.out / name).read_bytes() for name in ("results.jsonl", "report.md")] == written

    lost = batch.out / named(batch.rows()["b.pdf"])[0]
    lost.write_bytes(b"")
    (batch.out / FOLDER / f".{'0' * 32}.png.{'1' * 16}.part").write_bytes(b"half")
    (batch.out / FOLDER / "mine.png").write_bytes(b"mine")
    await batch.run()
    assert asked == ["b.pdf"]
    assert lost.read_bytes() == before[lost][0]
    assert len(pictures(batch)) == len(before) + 1

    (batch.documents / "b.pdf").unlink()
    await batch.run()
    assert sorted(pictures(batch)) == sorted(
        [*(Path(p).name for p in named(batch.rows()["a.pdf"])), "mine.png"]
    )


async def test_their_number_is_bounded(bench: MakeBench) -> None:
    batch = bench(pipeline=limited(max_document_pictures=2, max_pictures=3))
    for number in (1, 2, 3):
        batch.write(f"{number}.pdf", paper(number))
    await batch.run()
    assert [len(named(row)) for row in batch.rows().values()] == [2, 1, 0]
    assert len(pictures(batch)) == 3
    turns = batch.turns()
    batch.pipeline = limited(max_pictures=0)
    await batch.run()
    assert batch.turns() == turns  # they concern the results alone
    assert not (batch.out / FOLDER).exists()


async def test_what_is_attached_to_a_mail_is_shown_too(bench: MakeBench) -> None:
    mail = EmailMessage()
    mail["Subject"] = "Paper P-1 of 2026-03-01, total 10"
    mail.set_content("See what is attached.")
    mail.add_attachment(paper(2), maintype="application", subtype="pdf", filename="../../b.pdf")
    batch = bench()
    batch.write("a.eml", bytes(mail))
    await batch.run()
    rows = batch.rows()
    attached = next(row for name, row in rows.items() if name != "a.eml")
    assert (named(rows["a.eml"]), len(named(attached))) == ([], 3)
    assert len(pictures(batch)) == 3


async def test_results_do_not_depend_on_pictures(bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = bench()
    batch.write("a.pdf", paper(1))
    batch.out.mkdir()
    (batch.out / FOLDER).write_text("a file in the way")
    summary = await batch.run()
    assert named(batch.rows()["a.pdf"]) == []
    assert summary.warnings[-1].startswith("Pictures of places could not be written")
    assert "could not be written" in (batch.out / "report.md").read_text()
    (batch.out / FOLDER).unlink()

    async def crash(*_: object, **__: object) -> None:
        raise UnreadableDocumentError("its reader crashed", document="a.pdf")

    with monkeypatch.context() as patched:
        patched.setattr(ReadingPool, "pictures_async", crash)
        summary = await batch.run()
    assert (summary.done, summary.warnings) == (1, [])
    assert pictures(batch) == {}

    await batch.run()
    assert len(pictures(batch)) == 3


async def test_pictures_are_of_the_document_that_was_read(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its places say nothing of another one that came into its place meanwhile."""
    from agent_tasks.batch import writers

    batch = bench()
    batch.write("a.pdf", paper(1))
    of = writers.Pictures.of

    async def too_late(self: writers.Pictures, row: object) -> object:
        batch.write("a.pdf", paper(2))
        return await of(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(writers.Pictures, "of", too_late)
    await batch.run()
    assert named(batch.rows()["a.pdf"]) == []
    assert pictures(batch) == {}


async def test_a_quote_of_the_analyst_has_its_place(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local service gives no quotes; Azure may."""
    turn = Batch.turn

    async def quoting(self: Batch, *args: Any, **given: Any) -> TurnResult:
        result = await turn(self, *args, **given)
        quoted = [one.model_copy(update={"quote": "a total of 10.5 in all"}) for one in result.citations]
        return result.model_copy(update={"citations": quoted})

    monkeypatch.setattr(Batch, "turn", quoting)
    batch = bench()
    batch.write(
        "a.pdf", pdf(["Cover"], ["Paper P-1 of 2026-03-01, total 10.5", "has a total of 10.5 in all"])
    )
    batch.write("b.txt", "Paper P-2 of 2026-03-02, total 20")
    summary = await batch.run()
    [answer] = summary.answers
    cited = [citation for citation in answer.citations if citation.document == "a.pdf"]
    assert cited
    assert {(place.page, len(place.boxes)) for one in cited for place in one.places} == {(2, 1)}
    assert [one.places for one in answer.citations if one.document == "b.txt"] in ([], [()])
    assert ". a.pdf: page 2, " in (batch.out / "report.md").read_text()


async def test_a_doubtful_reading_is_told(bench: MakeBench) -> None:
    rules = {"rules": [{"reply": {"json": {"number": "P-1", "total": 10, "issued": "2026-04-03"}}}]}
    batch = bench(rules=rules, pipeline=PIPELINE.partition("questions:")[0])
    batch.write("a.txt", "Paper P-1 of 03/04/2026, total 10")
    await batch.run()
    report = (batch.out / "report.md").read_text()
    [line] = [line for line in report.splitlines() if "| issued |" in line]
    assert "03/04/2026 may be 2026-03-04 or 2026-04-03" in line
