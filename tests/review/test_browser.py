"""The desk in a real browser: what a clerk does, by mouse and keys, at both widths."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from agent_tasks.operations.transcript_rules import TranscriptRules
from tests.batch.support import Bench
from tests.review.browser import TOO_WIDE, chromium, desk_open, press
from tests.review.support import unclear
from tests.support.chromium import needs_chromium
from tests.support.pdf_files import drawn

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [needs_chromium, pytest.mark.timeout(240)]

WIDE = {"width": 1440, "height": 900}
NAMES = "document.querySelectorAll('input:not([type=hidden]), select, textarea')"
UNNAMED = f"[...{NAMES}].filter(one => !one.labels.length).map(one => one.name)"
SCRIPT = "<img src=/gone onerror=document.title='hacked'><script>document.title='hacked'</script>"
_LINES = (
    ("LED ceiling panel, 40 W", "4", "7.50", "30.00"),
    ("Motor contactor, 18 A", "1", "9.20", "9.20"),
    ("Carriage", "1", "4.80", "4.80"),
)


def _invoice(canvas: Canvas) -> None:
    """A paper as a clerk sees it, whose last line an agent did not read."""
    canvas.setFont("Helvetica-Bold", 18)
    canvas.drawString(50, 770, "Hexley Electric Supply plc")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(50, 752, "Capacitor House, 60 Ohm Road, Dunmarrow")
    canvas.setFont("Helvetica-Bold", 13)
    canvas.drawString(50, 706, "INVOICE")
    canvas.setFont("Helvetica", 10)
    canvas.drawString(50, 686, "Paper P-4 is unclear in its last line.")
    canvas.drawString(50, 670, "Customer: Tallowmere Joinery Ltd")
    for row, cells in enumerate([("Article", "Quantity", "Price", "Amount"), *_LINES]):
        for left, cell in zip((50, 300, 390, 480), cells, strict=True):
            canvas.drawString(left, 630 - 18 * row, cell)
    canvas.line(50, 566, 540, 566)
    canvas.drawString(390, 550, "The sum is")
    canvas.drawString(480, 550, "44.00")


def test_a_clerk_at_the_desk(
    bench: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    assert callable(bench)
    batch: Bench = bench()
    batch.write("invoice.pdf", drawn(_invoice))
    batch.transcripts = TranscriptRules(days=14)
    batch.write("hostile.txt", f"Paper P-4 is unclear {SCRIPT}")
    asyncio.run(unclear(batch))
    with (
        desk_open(batch, monkeypatch) as link,
        playwright.sync_playwright() as driver,
        chromium(driver) as browser,
    ):
        page = browser.new_page(viewport=WIDE)
        page.set_default_timeout(20_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.goto(link)
        assert "3 documents wait" in page.inner_text("header")
        page.screenshot(path=tmp_path / "queue.png")

        page.click("text=invoice.pdf")
        page.locator(".page img").first.evaluate("image => image.decode()")
        assert page.locator(".page img").first.evaluate("image => image.naturalWidth") > 300
        assert page.locator(".value.missing.here label").inner_text() == "total"
        page.click("#said-0 a")  # the place of the value
        box = page.locator("rect.box.here").bounding_box()
        picture = page.locator(".page img").bounding_box()
        assert box
        assert picture
        assert picture["x"] <= box["x"] < picture["x"] + picture["width"]
        assert picture["y"] <= box["y"] < picture["y"] + picture["height"]
        paper = page.locator(".paper").bounding_box()
        assert paper
        assert box["y"] - paper["y"] > 100, "what stands above the value is seen too"
        assert page.evaluate(UNNAMED) == []
        page.screenshot(path=tmp_path / "document.png")
        page.set_viewport_size({"width": 420, "height": 900})
        assert page.evaluate(TOO_WIDE) <= 0
        page.screenshot(path=tmp_path / "narrow.png", full_page=True)
        page.emulate_media(color_scheme="dark")
        page.set_viewport_size(WIDE)
        page.screenshot(path=tmp_path / "dark.png")

        page.fill("#value-1", "44.00")
        page.press("#value-1", "Escape")
        press(page, "c")
        page.wait_for_selector("text=invoice.pdf was corrected by Ann")
        press(page, "u")
        page.wait_for_selector("text=taken back by Ann")
        press(page, "q")
        page.wait_for_selector("text=3 documents wait")

        page.click("text=hostile.txt")
        page.wait_for_selector("mark")
        assert page.title().startswith("hostile.txt")
        assert page.locator(".text img, .text script").count() == 0
        page.click(".said-turns a >> text=extract")
        page.wait_for_selector("text=Prompt")
        said = page.inner_text("main")
        assert "Paper P-4 is unclear <img src=/gone" in said
        assert '"total": 999.0' in said
        assert page.title().startswith("extract of hostile.txt")
        assert page.locator("main img, main script").count() == 0
        page.screenshot(path=tmp_path / "turn.png")
        page.set_viewport_size({"width": 420, "height": 900})
        assert page.evaluate(TOO_WIDE) <= 0
        page.set_viewport_size(WIDE)
        page.click("#document")
        press(page, "s")
        page.keyboard.type("Look at the sum.")
        press(page, "Escape")
        press(page, "s")
        page.wait_for_selector("text=hostile.txt was sent back by Ann")

        page.goto(page.url.split("/items")[0] + "/")
        page.click("text=b.txt")
        page.locator("#value-1").click()
        page.evaluate(
            """() => {
                const text = document.getElementById("text"), range = document.createRange();
                const last = [...text.childNodes].filter(one => one.nodeType === 3).pop();
                const at = last.data.indexOf("44.00");
                range.setStart(last, at); range.setEnd(last, at + 5);
                document.activeElement.blur();
                getSelection().removeAllRanges(); getSelection().addRange(range);
            }"""
        )
        page.click("button.take")
        assert page.input_value("#value-1") == "44.00"
        press(page, "r")
        page.wait_for_selector("text=b.txt was rejected by Ann")
        press(page, "a")  # the last one, as it is
        page.wait_for_selector("text=Nothing waits for a person")
        assert troubles == []
    rows = batch.rows()
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.txt": "done", "b.txt": "rejected", "hostile.txt": "needs_review", "invoice.pdf": "done",
    }  # fmt: skip
    assert rows["hostile.txt"]["decision"]["kind"] == "send_back"


def test_two_people_at_once_in_two_browsers(
    bench: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert callable(bench)
    batch: Bench = bench()
    asyncio.run(unclear(batch))
    people = tmp_path / "people"
    people.write_text(f"Ann: {'a' * 24}\nBob: {'b' * 24}\n")
    with (
        desk_open(batch, monkeypatch, people) as link,
        playwright.sync_playwright() as driver,
        chromium(driver) as browser,
    ):
        ann, bob = (browser.new_context(viewport=WIDE).new_page() for _ in range(2))
        for page, token in ((ann, "a" * 24), (bob, "b" * 24)):
            page.set_default_timeout(20_000)
            page.goto(link)
            page.fill("#token", token)
            page.press("#token", "Enter")
            page.click("text=b.txt")
            page.wait_for_load_state("load")
        assert "Ann looks at this document" in bob.inner_text("[role=alert]")
        bob.screenshot(path=tmp_path / "held.png")
        assert bob.is_disabled("button[value=approve]")
        press(bob, "a")  # does nothing
        bob.reload()
        assert "Ann looks at this document" in bob.inner_text("[role=alert]")

        ann.context.set_offline(True)  # she shuts her laptop, and five minutes pass
        end_leases(batch)
        bob.reload()
        assert bob.locator("[role=alert]").count() == 0
        press(bob, "r")
        bob.wait_for_selector("text=b.txt was rejected by Bob")

        ann.context.set_offline(False)
        press(ann, "a")
        ann.wait_for_selector("text=b.txt was rejected by Bob at")
        assert "Your decision is not committed" in ann.inner_text("[role=alert]")
        assert "Nothing is to be decided here now: rejected" in ann.inner_text("body")
        assert ann.is_disabled("button[value=approve]")
        ann.screenshot(path=tmp_path / "refused.png")
    row = batch.rows()["b.txt"]
    assert (row["status"], row["decision"]["by"]) == ("rejected", "Bob")


def end_leases(batch: Bench) -> None:
    """The time of whoever looks at a document is over."""
    with closing(sqlite3.connect(batch.folder / "journal.db")) as journal, journal:
        ended = journal.execute("UPDATE leases SET lease_until = 0 WHERE kind = 'review'").rowcount
    assert ended == 1
