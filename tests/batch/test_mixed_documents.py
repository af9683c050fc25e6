"""A batch of all that people have in a folder: each in one state, in about the memory of plain text."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest

from tests.batch.hostile_files import hostile_files
from tests.batch.support import PIPELINE, Bench
from tests.batch.worker_process import SEEN
from tests.support.pdf_files import drawn, filled_with, pdf, picture, scan

MakeBench = Callable[..., Bench]

IS_LARGE = bool(os.environ.get("AGENT_TASKS_LARGE_DOCUMENTS"))
"""Whether the pages of the long document are full of text, which takes a minute to read."""
LONG_PAGES, LINES = 1_000, 45 if IS_LARGE else 3
WORDS = "nothing of interest stands here but the words that fill a page of a report "
WITHIN = 1.3
"""Times the memory of plain text: as many documents, the longest of them with as much text."""
HOSTILE = 30


def paper(number: int) -> str:
    return f"Paper P-{number} of 2026-03-0{number % 9 + 1}, total {number}0"


def mail(number: int) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@example.com", "Papers"
    message.set_content(f"{paper(number)}\n" + "What we spoke of is attached. " * 20)
    message.add_attachment(
        pdf([paper(number + 1)]), maintype="application", subtype="pdf", filename="paper.pdf"
    )
    message.add_attachment(paper(number + 2).encode(), maintype="text", subtype="plain", filename="paper.txt")
    return bytes(message)


def spreadsheet(number: int) -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append([paper(number)])
    for row in range(200):
        book.active.append([f"Article {row}", row, row * 1.5])
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def long_document() -> bytes:
    return pdf([paper(5)], *long_pages())


def long_pages() -> list[list[str]]:
    """The lines of each page but the first."""
    return [[f"{page} {line} {WORDS}" for line in range(LINES)] for page in range(2, LONG_PAGES + 1)]


def good_documents() -> dict[str, tuple[bytes, str]]:
    """Content and the number of the paper, by name; of what is attached, no content."""
    documents: dict[str, tuple[bytes, str]] = {"long.pdf": (long_document(), "P-5")}
    for number in range(10, 40, 4):
        name = f"mail{number}.eml"
        documents[name] = (mail(number), f"P-{number}")
        documents[f"{name}/paper.pdf"] = (b"", f"P-{number + 1}")
        documents[f"{name}/paper.txt"] = (b"", f"P-{number + 2}")
    for number in range(50, 56):
        documents[f"table{number}.xlsx"] = (spreadsheet(number), f"P-{number}")
    page = scan([SEEN])
    for number in range(3):
        documents[f"scan{number}.pdf"] = (drawn(filled_with(page)), "P-7")
    documents["scan.png"] = (picture(page), "P-7")
    return documents


def run_in_a_process(batch: Bench) -> dict[str, int]:
    batch.pipeline_file.write_text(
        PIPELINE.partition("questions:")[0].replace("{{ document.text }}", "{{ document.text[:2000] }}")
        + "limits: {concurrency: 4, max_reading_seconds: 60, max_document_tokens: 5000000}\n"
    )
    command = [sys.executable, "-m", "tests.batch.worker_process", batch.service.endpoint, str(batch.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts


@pytest.mark.timeout(900)
async def test_mail_tables_scans_a_long_document_and_hostile_files(bench: MakeBench, tmp_path: Path) -> None:
    mixed = bench()
    good = good_documents()
    hostile = dict(itertools.islice(reversed(list(hostile_files())), HOSTILE))
    for name, content in hostile.items():
        mixed.write(name, content)
    for name, (content, _) in good.items():
        if content:
            mixed.write(name, content)
    (tmp_path / "plain").mkdir()
    plain = Bench(mixed.service, tmp_path / "plain")
    for number in range(len(good) + len(hostile)):
        plain.write(f"{number:03}.txt", f"{paper(number)}\n" + "A line of text that says little.\n" * 40)
    plain.write("000.txt", "\n".join([paper(0), *itertools.chain(*long_pages())]))

    of_plain, of_mixed = run_in_a_process(plain), run_in_a_process(mixed)

    rows = mixed.rows()
    assert len(hostile) == HOSTILE
    assert set(rows) == set(good) | set(hostile)
    assert of_mixed["total"] == len(rows)
    assert of_mixed["done"] + of_mixed["needs_review"] + of_mixed["failed"] == len(rows)
    assert {name: (rows[name]["status"], rows[name]["fields"]["number"]) for name in good} == {
        name: ("done", number) for name, (_, number) in good.items()
    }
    assert of_plain["done"] == of_plain["total"] == len(rows)
    ratio = of_mixed["memory"] / of_plain["memory"]
    print(f"{of_mixed['memory'] >> 20} MiB, plain text {of_plain['memory'] >> 20} MiB: {ratio:.2f}")
    assert ratio <= WITHIN
