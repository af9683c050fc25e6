"""Every page of the desk by axe-core: for people who do not see, see little, or use no mouse."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from agent_tasks import review
from agent_tasks.batch.run import run_batch
from agent_tasks.errors import WaitingForPersonError
from agent_tasks.operations import ask_person
from agent_tasks.operations.transcript_rules import TranscriptRules
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.review.turns import turns_of
from tests.batch.support import Bench
from tests.batch.test_waiting import LETTERS
from tests.review.browser import TOO_WIDE, chromium, desk_open
from tests.review.support import desk_of
from tests.support.axe import COLOURS, GRAVE, findings, needs_axe
from tests.support.chromium import needs_chromium
from tests.support.pdf_files import pdf

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [needs_chromium, needs_axe, pytest.mark.timeout(300)]

LOOKS = [
    ("light", 1440, ()),
    ("dark", 420, ()),
    ("dark", 1440, COLOURS),
    ("light", 420, COLOURS),
]
"""Colours, width, and the rules that are checked: all of them in each width, those of colours everywhere."""
SHOTS = "AGENT_TASKS_TEST_SCREENSHOTS"
"""A folder for pictures of all pages, to be looked at."""

FEW_WORDS = {"no such document": "items/none", "no such page": "nowhere", "used link": "enter?token=x"}
BAD = "<html><body><img src=x><input><p style='color:#888;background:#999'>Grey</p></body></html>"
"""What the check has to find, or it finds nothing at all."""
LONG = "The total of this paper is in dispute between two people who have looked at it for a long time. " * 4


def mail() -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "ann@example.org", "bob@example.org"
    message["Subject"] = "Paper P-4"
    message.set_content("Paper P-4 is unclear: 44.00")
    return message.as_bytes()


def sheet() -> bytes:
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["Paper P-4", "is unclear", 44.0])
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


async def filled(batch: Bench) -> dict[str, str]:
    """Documents of each kind, decided on and not; a question of a step; ids by name."""
    batch.transcripts = TranscriptRules(days=14)
    batch.write("paper.pdf", pdf(["Paper P-4 is unclear", "The sum is 44.00"]))
    batch.write("mail.eml", mail())
    batch.write("sheet.xlsx", sheet())
    for name in ("text.txt", "done.txt", "held.txt", "back.txt"):
        batch.write(name, f"Paper P-4 is unclear. {LONG}")
    batch.write("broken.txt", "hopeless: P-9 for 9.50")
    await batch.run()
    letters = batch.folder / "letters"
    letters.mkdir()
    (letters / "letter.txt").write_text("Paper P-1 ask")
    file = batch.folder / "letters.yaml"
    file.write_text(LETTERS.replace("name: papers", "name: letters"))
    async with batch.workspace() as ws:
        await run_batch(ws, load_pipeline(file), letters, batch.folder / "letters-out")
        with contextlib.suppress(WaitingForPersonError):
            await ask_person(ws, owner="payments/a", step="pay", question=f"Pay? {LONG}", shown=LONG * 5)
    async with desk_of(batch) as desk:
        [question] = await review.list_questions(desk)
        items = {item.document: item for item in await review.list_items(desk)}
        [*_, (turn, _)] = await turns_of(desk, items["text.txt"])
        await review.leave(desk, items["done.txt"], by="Bob", note="Ask Cleo.")
        await review.correct(desk, items["done.txt"], {"total": "44.00"}, by="Ann", note="As it says.")
        back = items["back.txt"]
        made = await review.reject(desk, back, by="Ann")
        await review.undo(desk, made, by="Bob")
        await review.send_back(desk, back, "extract", by="Ann", note=LONG)
    turn_of = {"turn": f"{items['text.txt'].key}/turns/{turn.key}"}
    return {"question": question.key, **{name: item.key for name, item in items.items()}, **turn_of}


@contextmanager
def held_by(runner: asyncio.Runner, batch: Bench, person: str, name: str) -> Iterator[None]:
    """Somebody else looks at a document meanwhile."""
    desk = desk_of(batch)
    opened = runner.run(desk.__aenter__())
    try:
        item = runner.run(review.find_item(opened, name))
        assert runner.run(review.hold(opened, item, by=person)) is None
        yield
    finally:
        runner.run(desk.__aexit__(None, None, None))


def pages(root: str, keys: dict[str, str]) -> dict[str, str]:
    """Addresses of the desk's pages that a GET shows, by what they are."""
    return {
        "queue": root,
        "question": f"{root}questions/{keys.pop('question')}",
        "queue filtered": f"{root}?pipeline=letters&reason=send&field=total&hours=1",
        **{name: f"{root}items/{key}" for name, key in keys.items()},
    }


def check(page: Any, where: str, problems: list[str], looks: int = len(LOOKS)) -> None:
    """The page as it stands, in both widths and colours; one of a few words in two of the four."""
    shots = os.environ.get(SHOTS)
    for scheme, width, rules in LOOKS[:looks]:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 900})
        if shots:
            page.screenshot(path=Path(shots) / f"{where.replace(' ', '-')}-{scheme}-{width}.png")
        said = findings(page, *rules)
        if page.evaluate(TOO_WIDE) > 0:
            said.append("serious: wider than the window")
        problems += [f"{where}, {scheme}, {width}: {one}" for one in said if one.startswith(GRAVE)]


def test_no_page_keeps_anybody_out(bench: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert callable(bench)
    batch: Bench = bench()
    people = tmp_path / "people"
    people.write_text(f"Ann: {'a' * 24}")
    problems: list[str] = []
    with asyncio.Runner() as runner:
        keys = runner.run(filled(batch))
        with (
            held_by(runner, batch, "Bob", "held.txt"),
            playwright.sync_playwright() as driver,
            chromium(driver) as browser,
        ):
            page = browser.new_page()
            page.set_default_timeout(20_000)
            page.set_content(BAD)
            found = {one.split()[1] for one in findings(page) if one.startswith(GRAVE)}
            assert found >= {"image-alt", "label", "color-contrast", "document-title", "html-has-lang"}
            with desk_open(batch, monkeypatch) as link:
                look_at_all(page, link, keys, problems)
            with desk_open(batch, monkeypatch, people) as link:
                page.goto(link)
                check(page, "sign in", problems)
                page.fill("#token", "wrong")
                page.click("text=Sign in")
                page.wait_for_selector("text=Nobody has this token")
                check(page, "wrong token", problems)
    assert problems == []


def look_at_all(page: Any, link: str, keys: dict[str, str], problems: list[str]) -> None:
    """Each page of the desk, and what it says to what somebody does."""
    page.goto(link)
    root = page.url
    for where, address in pages(root, keys).items():
        page.goto(address)
        check(page, where, problems)
    for where, path in FEW_WORDS.items():
        page.goto(f"{root}{path}")
        check(page, where, problems, looks=2)
    page.goto(f"{root}items/{keys['text.txt']}")
    page.fill("#value-1", "much")
    page.click("button[value=correct]")
    page.wait_for_selector("text=write the number with digits")
    check(page, "wrong value", problems)
    page.fill("#value-1", "44.00")
    page.click("button[value=correct]")
    page.wait_for_selector("text=text.txt was corrected by Ann")
    check(page, "decided", problems)
    page.click("text=Sign out")
    page.wait_for_selector("text=You are signed out")
    check(page, "signed out", problems, looks=2)
    page.goto(root)
    check(page, "not signed in", problems, looks=2)
