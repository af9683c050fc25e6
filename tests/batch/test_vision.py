"""Pages without text, shown to a model that sees: what it says is looked at, unless a text confirms it."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.batch import readings
from agent_tasks.batch.records import AllDocumentsFailedError
from agent_tasks.batch.run import run_batch
from agent_tasks.documents.layout import Word
from agent_tasks.documents.limits import ReadingLimits
from agent_tasks.documents.reading import read_document
from agent_tasks.errors import DocumentError, PipelineError
from agent_tasks.journal import Journal
from agent_tasks.operations import Workspace
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.settings import ServiceKind
from agent_tasks.steps import scans as scans_module
from agent_tasks.testing import ServiceLog
from tests.backends.inline_servers import Lesser
from tests.batch.support import Bench
from tests.conftest import ServiceFactory
from tests.support.pdf_files import drawn, filled_with, pdf, picture, scan

MakeBench = Callable[..., Bench]

PIPELINE = """\
name: papers
model: test-model
documents: {recognise: false}
agents:
  extractor:
    prompt: "Read {{ document.text }}"
    vision: VISION
output:
  name: paper
  fields: {number: string, paid: boolean}
"""
RULES: dict[str, Any] = {  # a fake model, which is told how many images there are and sees none of them
    "rules": [
        {
            "when": {"images": True, "image_type": "image/jpeg"},
            "reply": {"json": {"number": "P-{{ images | length }}", "paid": True}},
        },
        {"when": {"schema": "paper"}, "reply": {"json": {"number": "P-0", "paid": False}}},
    ]
}
SCAN = scan(["Number P-3"], (600, 800))


def scans(count: int) -> bytes:
    return drawn(*[filled_with(SCAN)] * count)


@asynccontextmanager
async def opened(batch: Bench, service: ServiceKind) -> Any:
    async with Workspace.open(
        batch.service.endpoint, None, batch.journal_url, scope="test", service=service
    ) as ws:
        yield ws


async def run(batch: Bench, service: ServiceKind) -> dict[str, dict[str, Any]]:
    batch.pipeline_file.write_text(batch.pipeline)
    async with opened(batch, service) as ws:
        await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
    return batch.rows()


@pytest.mark.parametrize("kind", [ServiceKind.CLASSIC, ServiceKind.RESPONSES])
async def test_scans_and_pictures_are_shown_and_what_was_seen_needs_review(
    bench: MakeBench, kind: ServiceKind
) -> None:
    batch = bench(rules=RULES, pipeline=PIPELINE.replace("VISION", "{max_pages: 2, detail: high}"))
    batch.write("a.pdf", scans(3))
    batch.write("b.png", picture(SCAN))
    batch.write("c.pdf", pdf(["Number P-0"]))
    batch.write(
        "mixed.pdf", drawn(lambda canvas: canvas.drawString(50, 700, "Number P-1"), filled_with(SCAN))
    )
    rows = await run(batch, kind)
    told = {name: (row["status"], row["fields"]["number"]) for name, row in rows.items()}
    assert told == {
        "a.pdf": ("needs_review", "P-2"),
        "b.png": ("needs_review", "P-1"),
        "c.pdf": ("done", "P-0"),
        "mixed.pdf": ("needs_review", "P-1"),
    }
    assert rows["a.pdf"]["notes"] == ["The agent that reads was shown pages 1-2 as images."]
    assert rows["a.pdf"]["reasons"] == [
        "number 'P-2' is not in the document",
        "pages 1-2 were read by sight, and no text confirms number, paid",
        "Not read: page 3: more than `vision.max_pages` allows. Raise it, or split the document.",
    ]
    # The number stands on the page with text; whether it is paid was seen, if anywhere.
    assert rows["mixed.pdf"]["reasons"] == ["page 2 was read by sight, and no text confirms paid"]
    assert not rows["a.pdf"]["readable"]
    assert rows["mixed.pdf"]["readable"]

    turns = len(batch.service.generations())
    assert await run(batch, kind) == rows  # pages that nobody read are looked at again, and cost nothing
    assert len(batch.service.generations()) == turns
    assert batch.left()["files"] == 0
    verdict = ServiceLog(batch.service.endpoint).verdict()
    assert verdict["ok"], verdict


async def test_a_value_that_recognition_confirms_is_done(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recognition reads what the agent saw: code finds the value, with its box."""
    pipeline = PIPELINE.replace("documents: {recognise: false}\n", "").replace("VISION", "{}")
    rules = {"rules": [{"when": {"images": 1}, "reply": {"json": {"number": "P-1"}}}]}
    batch = bench(rules=rules, pipeline=pipeline.replace(", paid: boolean", ""))
    batch.write("a.pdf", scans(1))

    class Here:
        """Reads in this process, with a recogniser that is told what it sees."""

        async def read_async(self, content: bytes, name: str, *, limits: ReadingLimits) -> Any:
            return read_document(content, name, limits=limits)

        async def page_images_async(self, *args: Any, **more: Any) -> list[bytes]:
            return await pool.page_images_async(*args, **more)

    class Told:
        name, version = "told", "1"

        def words(self, picture: Any, size: tuple[float, float]) -> tuple[list[Word], float]:
            box = (0.1, 0.1, 0.2, 0.12)
            return [Word("P-1", 59.0, 84.0, 119.0, 101.0, box=box)], 0.9

    pool = readings.shared_pool()
    monkeypatch.setattr(readings, "shared_pool", Here)
    monkeypatch.setattr(scans_module, "shared_pool", Here)
    monkeypatch.setattr("agent_tasks.documents.readers.pdf.recogniser", Told)
    row = (await run(batch, ServiceKind.CLASSIC))["a.pdf"]
    assert row["status"] == "done", row
    assert row["grounding"][0]["places"][0]["recognised"] == 0.9
    assert any("shown page 1 as images" in note for note in row["notes"])


async def test_a_model_that_does_not_see_says_so_before_anything_is_paid(
    service: ServiceFactory, tmp_path: Path
) -> None:
    class Blind:
        name, context_tokens = "blind", 4_000

        async def chat(self, request: Any) -> Any:
            raise AssertionError("it is not asked")
            yield

        async def aclose(self) -> None:
            pass

    batch = Bench(service(model=Blind()), tmp_path, pipeline=PIPELINE.replace("VISION", "{}"))
    batch.write("a.pdf", scans(1))
    with pytest.raises(AllDocumentsFailedError, match="takes text only"):
        await run(batch, ServiceKind.CLASSIC)
    row = batch.rows()["a.pdf"]
    assert row["status"] == "failed"
    assert "takes text only" in row["error"]["message"]
    assert row["usage"]["total_tokens"] == 0


async def test_a_server_that_keeps_nothing_is_sent_the_images_with_each_request(
    bench: MakeBench,
) -> None:
    """Also in the turn that repairs an answer; the journal has what they show, and none of them."""
    rules = {"rules": [{"when": {"call": 1}, "reply": {"json": {"number": 5}}}, *RULES["rules"]]}
    batch = bench(rules=rules, pipeline=PIPELINE.replace("VISION", "{max_pixels: 100000}"))
    batch.write("a.pdf", scans(2))
    batch.pipeline_file.write_text(batch.pipeline)
    way = Lesser(lists=False, keeps=False)
    for _ in range(2):  # the second run takes all from the journal
        async with (
            Journal(batch.journal_url) as journal,
            ResponsesBackend.of_server(f"{batch.service.endpoint}/openai/v1", None, transport=way) as backend,
        ):
            ws = Workspace(backend, journal, scope="test")
            await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
        row = batch.rows()["a.pdf"]
        assert (row["status"], row["fields"]["number"]) == ("needs_review", "P-0")
        assert row["notes"] == ["The agent that reads was shown pages 1-2 as images."]
    first, repair = way.sent
    for body in (first, repair):
        images = [part for part in body["input"][0]["content"] if part["type"] == "input_image"]
        assert [image.keys() for image in images] == [{"type", "image_url", "detail"}] * 2
        for image in images:
            head, _, content = image["image_url"].partition(",")
            assert head == "data:image/jpeg;base64"
            assert base64.b64decode(content).startswith(b"\xff\xd8\xff")
    assert len(repair["input"]) == 3  # what was asked, what was answered, what is to be repaired
    kept = b"".join(file.read_bytes() for file in batch.folder.glob("journal.db*") if file.is_file())
    assert b"page-2.jpg" in kept
    assert b"data:image" not in kept


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("vision: VISION", "vision: {max_pages: 51}"), "max_pages"),
        (("vision: VISION", "vision: {pixels: 5}"), "pixels"),
        (("vision: VISION", "read: pages\n    vision: {}"), "read: pages"),
    ],
)
def test_mistakes_are_told_when_the_file_is_loaded(
    tmp_path: Path, change: tuple[str, str], told: str
) -> None:
    file = tmp_path / "pipeline.yaml"
    text = PIPELINE.replace("Read {{", "{{").replace(*change)
    file.write_text(text)
    with pytest.raises(PipelineError, match=told):
        load_pipeline(file)


def test_without_vision_nothing_of_a_pipeline_changes(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    plain = PIPELINE.replace("documents: {recognise: false}\n", "").replace("    vision: VISION\n", "")
    file.write_text(plain)
    pipeline = load_pipeline(file)
    assert "vision" not in pipeline.extractor.facts()  # type: ignore[attr-defined]
    file.write_text(plain.replace("documents", "documents") + "documents: {recognise: true}\n")
    assert load_pipeline(file).fingerprint == pipeline.fingerprint
    file.write_text(plain + "documents: {recognise: false}\n")
    assert load_pipeline(file).fingerprint != pipeline.fingerprint


def test_steps_say_it_of_an_extraction(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    text = """\
name: papers
model: test-model
agents: {reader: {answer: {number: string}}}
steps:
  - {extract: reader, vision: {max_pages: 3}}
  - {ground: extract}
"""
    file.write_text(text)
    assert load_pipeline(file).reading.keeps_scans
    file.write_text(text.replace("vision:", "read: pages, vision:"))
    with pytest.raises(PipelineError, match="read: pages"):
        load_pipeline(file)


def test_a_document_without_vision_still_says_what_is_missing() -> None:
    with pytest.raises(DocumentError, match="its pages are pictures"):
        read_document(scans(1), "a.pdf", limits=ReadingLimits(recognise=False))
    read = read_document(scans(2), "a.pdf", limits=ReadingLimits(recognise=False, keeps_scans=True))
    assert (read.text, read.scans, read.unread) == ("", (1, 2), ())
