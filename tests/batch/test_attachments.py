"""Documents inside of documents: rows of their own, as durable as any."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pypdf import PdfWriter

from agent_tasks.documents.attachments import MAX_ATTACHED, AttachedFile, attached_files, unread_attachments
from agent_tasks.documents.content import Attachment, DocumentContent
from agent_tasks.documents.discovery import DocumentFile
from agent_tasks.documents.limits import DEFAULT_LIMITS
from tests.batch.support import PIPELINE, Bench
from tests.support.pdf_files import changed, pdf

MakeBench = Callable[..., Bench]


def with_attached(content: bytes, **files: bytes) -> bytes:
    def attach(writer: PdfWriter) -> None:
        for name, attached in files.items():
            writer.add_attachment(name.replace("_", "."), attached)

    return changed(content, attach)


def paper(number: int) -> list[str]:
    return [f"Paper P-{number} of 2026-03-0{number}, total {number}0"]


async def test_each_attachment_has_a_row_with_its_parent(bench: MakeBench) -> None:
    batch = bench()
    inner = with_attached(pdf(paper(2)), c_txt=paper(3)[0].encode())
    whole = with_attached(pdf(paper(1)), b_pdf=inner, logo_xyz=b"x")
    (batch.documents / "a.pdf").write_bytes(whole)
    summary = await batch.run()
    rows = batch.rows()
    assert {name: (row["status"], row["parent"]) for name, row in rows.items()} == {
        "a.pdf": ("done", None),
        "a.pdf/b.pdf": ("done", "a.pdf"),
        "a.pdf/b.pdf/c.txt": ("done", "a.pdf/b.pdf"),
        "a.pdf/logo.xyz": ("failed", "a.pdf"),
    }
    assert rows["a.pdf"]["attachments"] == ["a.pdf/b.pdf", "a.pdf/logo.xyz"]
    assert rows["a.pdf/b.pdf/c.txt"]["fields"]["number"] == "P-3"
    assert (summary.total, summary.done, summary.failed) == (4, 3, 1)

    turns = batch.turns()
    files = [batch.out / "results.jsonl", batch.out / "report.md"]
    before = [file.read_bytes() for file in files]
    again = await batch.run()
    assert batch.turns() == turns
    assert [file.read_bytes() for file in files] == before
    assert (again.total, again.done, again.failed) == (4, 3, 1)

    (batch.documents / "a.pdf").write_bytes(pdf(paper(1)))
    await batch.run()
    assert list(batch.rows()) == ["a.pdf"]


async def test_attachments_are_ignored_by_name(bench: MakeBench) -> None:
    batch = bench(pipeline=PIPELINE.replace("output:", "documents: {ignore: ['*.xyz']}\noutput:", 1))
    (batch.documents / "a.pdf").write_bytes(with_attached(pdf(paper(1)), logo_xyz=b"x"))
    await batch.run()
    assert list(batch.rows()) == ["a.pdf"]


def attached(*names: str, parent: DocumentFile | None = None) -> list[AttachedFile]:
    read = DocumentContent(
        "x", attachments=tuple(Attachment(name, name.encode("utf-8", "replace")) for name in names)
    )
    return attached_files(
        parent or DocumentFile("m.eml", Path("m.eml")),
        read,
        suffixes=(".txt",),
        ignore=(),
        limits=DEFAULT_LIMITS,
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.txt", "m.eml/_.._etc_passwd.txt"),
        ("a\x00b\n.txt", "m.eml/a_b_.txt"),
        ("", "m.eml/attachment"),
        ("..", "m.eml/attachment"),
        ("\ud800.txt", "m.eml/_.txt"),
        ("x" * 5000 + ".txt", "m.eml/" + "x" * 150 + ".txt"),
    ],
)
def test_an_attachment_cannot_choose_its_place(name: str, shown: str) -> None:
    assert [file.name for file in attached(name)] == [shown]


def test_attachments_of_one_name_are_kept_apart() -> None:
    assert [file.name for file in attached("a.txt", "a.txt", "a (2).txt")] == [
        "m.eml/a.txt",
        "m.eml/a (2).txt",
        "m.eml/a (2) (2).txt",
    ]


def test_depth_and_number_are_bounded() -> None:
    file: DocumentFile = DocumentFile("m.eml", Path("m.eml"))
    for _ in range(3):
        [file] = attached("m.txt", parent=file)
        assert file.problem is None
    [file] = attached("m.txt", parent=file)
    assert "too deep" in str(file.problem)
    many = DocumentContent("x", attachments=(Attachment("a.txt", b""),) * (MAX_ATTACHED + 5))
    assert unread_attachments(many) == ["5 of its 105 attachments were not read."]
