"""What can go wrong at the desk: names, documents and runs that are others meanwhile; many, and long ones."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from agent_tasks import review
from agent_tasks.errors import ConfigurationError
from agent_tasks.review.web.access import LEAST_TOKEN, Access
from tests.batch.support import Bench
from tests.review.pages import app_of, browser_of
from tests.review.support import desk_of, unclear
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]
UNCLEAR = "Paper P-4 is unclear: the sum is 44.00 or so"


async def test_a_name_that_is_no_utf_8_is_shown_and_decided_on(bench: MakeBench) -> None:
    batch = bench()
    names = [b"caf\xe9.txt", b"like\\x41.txt", "t\u00fcr \u202e.txt".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(batch.documents) + b"/" + name)).write_text(UNCLEAR)
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        items = {item.document: item for item in await review.list_items(desk)}
        assert set(items) == {"caf\\xe9.txt", "like\\x5cx41.txt", "t\u00fcr \u202e.txt"}
        assert "caf\\xe9.txt" in await ann.get("/")
        for item in items.values():
            page = await ann.get(f"/items/{item.key}")
            assert "the sum is 44.00" in page
            assert 'value="correct"' in page
            assert (await ann.decide(item.key, "correct", **{"value:total": "44.00"})).status_code == 303
    assert {row["status"] for row in batch.rows().values()} == {"done"}
    assert (await batch.run()).reused == 3


async def test_the_confidence_of_a_value_goes_with_it(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        item = await review.find_item(desk, "b.txt")
        row = item.row.model_copy(update={"confidence": {"number": 0.97, "total": 0.123, "issued": 0.5}})
        record = item.record
        await desk.journal.documents.put(
            desk.scope,
            item.batch.key,
            replace(record, body=row.model_dump(mode="json")),
        )
        assert "confidence 12%" in await ann.get(f"/items/{item.key}")
        await review.correct(desk, await review.find_item(desk, "b.txt"), {"total": "44.00"}, by="Ann")
        await review.publish_all(desk, [item.batch])
    assert batch.rows()["b.txt"]["confidence"] == {"number": 0.97, "issued": 0.5}


async def test_a_document_that_changed_since_is_not_corrected_by_what_is_there_now(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    batch.write("b.txt", "Paper P-4 of 2026-01-01, total 45.00")
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        item = await review.find_item(desk, "b.txt")
        page = await ann.get(f"/items/{item.key}")
        assert "b.txt has changed since it was worked on. Run the pipeline again." in page
        assert 'value="correct"' not in page
        refused = await ann.decide(item.key, "correct", **{"value:total": "45.00"})
        assert refused.status_code == 409
        assert "has changed since" in refused.text
        assert (await ann.decide(item.key, "approve")).status_code == 303  # the next run looks anew
    summary = await batch.run()
    assert (summary.done, batch.rows()["b.txt"]["fields"]["total"]) == (2, 45.0)
    assert batch.rows()["b.txt"]["decision"] is None


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    secret = batch.folder / "secret.txt"
    secret.write_bytes((batch.documents / "b.txt").read_bytes())
    (batch.documents / "b.txt").unlink()
    (batch.documents / "b.txt").symlink_to(secret)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        page = await ann.get(f"/items/{item.key}")
        assert "is a link out of the folder" in page
        assert "the sum is 44.00" not in page


async def test_a_run_whose_files_are_gone_can_be_decided_on(
    bench: MakeBench,
) -> None:
    batch = bench()
    await unclear(batch)
    for folder in (batch.documents, batch.out):
        shutil.rmtree(folder)
    batch.pipeline_file.unlink()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        page = await ann.get(f"/items/{item.key}")
        assert "can&#39;t be read" in page
        assert "The document can't be shown." in page
        assert (await ann.http.get(f"/items/{item.key}/pages/1.png")).status_code == 500
        assert (await ann.decide(item.key, "approve")).status_code == 303
        [problem] = await review.publish_all(desk, [item.batch])
        assert "are written by its next run" in problem
        with pytest.raises(ConfigurationError, match="Put it back"):
            await desk.pipeline(item.batch)
        assert await review.list_items(desk) == []


async def test_undo_after_a_run_has_begun_is_told(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        done = await ann.decide(item.key, "approve")
        shown = await ann.get(done.headers["location"])
        [undo] = set(re.findall(r'action="(/decisions/[0-9a-f]+/undo)"', shown))
        await batch.run()
        refused = await ann.http.post(undo, data={"csrf": ann.csrf})
        assert refused.status_code == 409
        assert "a run has begun with it" in refused.text


def copied(batch: Bench, count: int) -> None:
    """Documents of other names with the row of the one that waits."""
    with closing(sqlite3.connect(batch.folder / "journal.db")) as journal, journal:
        columns = [row[1] for row in journal.execute("PRAGMA table_info(documents)")]
        name = "printf('many/%04d.txt', n)"
        taken = {"name": name, "body": f"json_set(body, '$.document', {name})"}
        said = ", ".join(taken.get(column, f'"{column}"') for column in columns)
        counting = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
        where = "WHERE status = 'needs_review'"
        copying = f"INSERT INTO documents {counting} SELECT {said} FROM documents, numbers {where}"  # noqa: S608
        journal.execute(copying, (count,))


@pytest.mark.timeout(240)
async def test_two_thousand_documents_are_paged_and_quick(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        copied(batch, 2000)
        started = time.process_time()
        queue = await ann.get("/")
        assert "1 to 100 of 2001" in queue
        assert queue.count('<th scope="row">') == 100
        assert 'href="/?page=2" rel="next"' in queue
        last = await ann.get("/?page=21&reason=not+in")
        assert "2001 to 2001 of 2001" in last
        assert 'href="/?reason=not+in&amp;page=20" rel="prev"' in last
        for odd in ("x", "99999999999"):
            assert "of 2001" in await ann.get(f"/?page={odd}")
        assert "2000 more" in await ann.get(f"/items/{item.key}")
        assert time.process_time() - started < 30


async def test_of_a_very_long_document_a_part_is_shown_and_that_is_said(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_tasks.review.web.views.MAX_TEXT", 3_000)
    monkeypatch.setattr("agent_tasks.review.web.views.MAX_PAGES", 2)
    batch = bench()
    batch.write("long.txt", UNCLEAR + "\n" + "nothing more to see here\n" * 200 + "44.00 the end")
    batch.write("pages.pdf", pdf([UNCLEAR], ["two"], ["three"]))
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        keys = {item.document: item.key for item in await review.list_items(desk)}
        page = await ann.get(f"/items/{keys['long.txt']}")
        assert "The first 3,000 of 5,058 characters are shown." in page
        assert "44.00 the end" not in page
        paged = await ann.get(f"/items/{keys['pages.pdf']}")
        assert "2 of 3 pages are shown." in paged
        assert paged.count("<figure>") == 2
        done = await ann.decide(keys["long.txt"], "correct", **{"value:total": "44.00"})
        assert done.status_code == 303


async def test_two_people_in_two_browsers(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    tokens = {name: name[0].lower() * LEAST_TOKEN for name in ("Ann", "Bob")}
    people = {sha256(token.encode()).hexdigest(): name for name, token in tokens.items()}
    access = Access({"desk.test"}, people=people)
    async with desk_of(batch) as desk, app_of(desk, access) as transport:
        [item] = await review.list_items(desk)
        path = f"/items/{item.key}"
        async with (
            httpx.AsyncClient(transport=transport, base_url="https://desk.test") as ann,
            httpx.AsyncClient(transport=transport, base_url="https://desk.test") as bob,
        ):
            for http, name in ((ann, "Ann"), (bob, "Bob")):
                await http.post("/sign-in", data={"token": tokens[name]})
            pages = {"Ann": (await ann.get(path)).text, "Bob": (await bob.get(path)).text}
            csrf = {name: re.findall(r'name="csrf" value="([^"]+)"', text)[0] for name, text in pages.items()}
            seen = {"seen": item.seen}
            assert "with <bdi>Ann</bdi>" in (await bob.get("/")).text
            assert (await bob.post(f"{path}/hold", data={"csrf": csrf["Bob"]})).status_code == 409
            held = await bob.post(f"{path}/decide", data={"csrf": csrf["Bob"], "do": "approve", **seen})
            assert held.status_code == 409
            assert "Ann looks at b.txt" in held.text
            stolen = await bob.post(f"{path}/decide", data={"csrf": csrf["Ann"], "do": "approve", **seen})
            assert stolen.status_code == 403  # a form of somebody else's page
            left = await ann.post(f"{path}/decide", data={"csrf": csrf["Ann"], "do": "leave", **seen})
            assert left.status_code == 303
            both = await bob.post(f"{path}/decide", data={"csrf": csrf["Bob"], "do": "reject", **seen})
            assert both.status_code == 303
            late = await ann.post(f"{path}/decide", data={"csrf": csrf["Ann"], "do": "approve", **seen})
            assert late.status_code == 409
            assert "was rejected by Bob" in late.text
