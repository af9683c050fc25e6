"""The desk's page: the queue, a document, decisions by its forms; and who may do what."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from agent_tasks import review
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations.transcript_rules import TranscriptRules
from agent_tasks.review.web.access import COOKIE, LEAST_TOKEN, Access, access_of
from tests.batch.support import Bench
from tests.batch.test_waiting import LETTERS
from tests.batch.test_waiting import RULES as LETTER_RULES
from tests.review.pages import HOST, app_of, browser_of
from tests.review.support import desk_of, unclear
from tests.support.pdf_files import pdf

MakeBench = Callable[..., Bench]
HOSTILE = "<img src=x onerror=alert(1)>\u202e'\"& .txt"
TOKENS = {"Ann": "a" * LEAST_TOKEN, "Bob": "b" * LEAST_TOKEN}


async def test_queue_document_and_decisions_by_forms(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    batch.write("c.txt", "Paper P-4 is unclear, 45.00")
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        queue = await ann.get("/")
        assert "2 documents wait" in queue
        [first, second] = [item.key for item in await review.list_items(desk)]
        assert queue.index(first) < queue.index(second)
        assert "1 of 2" not in queue
        assert "Nothing here waits" in await ann.get("/?field=issued")
        page = await ann.get(f"/items/{first}")
        assert '<div class="value missing" data-value="1">' in page
        assert '<mark id="place-0" data-value="0" title="number">P-4</mark>' in page

        wrong = await ann.decide(first, "correct", **{"value:total": "much"})
        assert wrong.status_code == 409
        assert "total: write the number with digits" in wrong.text
        assert 'value="much"' in wrong.text  # what was typed is still there
        changed = await ann.decide(first, "approve", **{"value:total": "45"})
        assert "You have changed total" in changed.text
        saved = await ann.decide(first, "correct", **{"value:total": "44.00", "value:number": "P-4"})
        assert saved.status_code == 303
        assert saved.headers["location"].startswith(f"/items/{second}?done=")
        following = await ann.get(saved.headers["location"])
        assert "<bdi>b.txt</bdi> was corrected by <bdi>Ann</bdi>" in following
        stale = await ann.decide(first, "reject", page)
        assert stale.status_code == 409
        assert "was corrected by Ann" in stale.text

        [undo] = set(re.findall(r'action="(/decisions/[0-9a-f]+/undo)"', following))
        undone = await ann.http.post(undo, data={"csrf": ann.csrf})
        assert undone.headers["location"] == f"/items/{first}"
        assert "taken back by" in await ann.get(f"/items/{first}")
        assert (await ann.decide(first, "send_back", step="extract")).status_code == 409
        sent = await ann.decide(first, "send_back", step="extract", note="Look.")
        assert sent.status_code == 303
        left = await ann.decide(second, "leave", note="Ask Bob.")
        assert left.headers["location"].startswith("/?done=")
        last = await ann.decide(second, "reject")
        assert last.headers["location"].startswith("/?done=")
        assert "Nothing waits for a person" in await ann.get("/")
    rows = batch.rows()  # written when the page was closed
    assert (rows["b.txt"]["decision"]["kind"], rows["c.txt"]["status"]) == ("send_back", "rejected")


async def test_a_page_of_a_pdf_is_drawn_with_the_box_of_a_value(bench: MakeBench) -> None:
    batch = bench()
    batch.write("a.pdf", pdf(["Paper P-4 is unclear", "Total 44.00"]))
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        page = await ann.get(f"/items/{item.key}")
        assert re.search(r'<rect id="place-0" class="box" data-value="0" x="[\d.]+" y="[\d.]+"', page)
        picture = await ann.http.get(f"/items/{item.key}/pages/1.png")
        assert picture.headers["content-type"] == "image/png"
        assert picture.content.startswith(b"\x89PNG")
        assert (await ann.http.get(f"/items/{item.key}/pages/99.png")).status_code == 404


async def test_a_step_that_asks_is_answered_by_the_page(bench: MakeBench) -> None:
    batch = bench(rules=LETTER_RULES, pipeline=LETTERS)
    batch.write("a.txt", "Paper P-1 ask")
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        [item] = await review.list_items(desk)
        page = await ann.get(f"/items/{item.key}")
        assert "Dear [Sir] | &lt;b&gt;" in page
        assert 'value="correct"' not in page
        assert (await ann.decide(item.key, "approve")).status_code == 303
        assert await review.list_items(desk) == []


async def test_hostile_documents_and_names_are_texts(bench: MakeBench) -> None:
    batch = bench()
    script = "</mark></textarea><script>alert('x')</script>"
    batch.write(HOSTILE, f"Paper P-4 is unclear {script}")
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk, "<b>Ann</b>") as ann:
        [item] = await review.list_items(desk)
        answer = await ann.decide(item.key, "leave", note=script)
        pages = [
            await ann.get("/"),
            await ann.get(f"/items/{item.key}"),
            await ann.get(answer.headers["location"]),
        ]
        wrong = await ann.decide(item.key, "correct", **{"value:total": script})
        for page in [*pages, wrong.text]:
            assert "<script>alert" not in page
            assert "<img src=x" not in page
            assert "<b>Ann" not in page


async def test_nobody_else_gets_in(bench: MakeBench) -> None:
    batch = bench()
    await unclear(batch)
    access = Access({"127.0.0.1"}, person="Ann")
    link = access.link
    async with desk_of(batch) as desk, app_of(desk, access) as transport:
        [item] = await review.list_items(desk)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
            for path in ("/", f"/items/{item.key}", f"/items/{item.key}/pages/1.png"):
                assert (await http.get(path)).status_code == 401
            assert (await http.get("/enter?token=x")).status_code == 403
            entered = await http.get(link)
            cookie = entered.headers["set-cookie"]
            assert all(word in cookie for word in (COOKIE, "HttpOnly", "SameSite=strict", "Path=/"))
            page = await http.get("/")
            assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert (page.headers["x-frame-options"], page.headers["cache-control"]) == ("DENY", "no-store")
            elsewhere = await http.get("/", headers={"host": "evil.example"})
            assert elsewhere.status_code == 421
            csrf = re.findall(r'name="csrf" value="([^"]+)"', page.text)[0]
            data = {"do": "approve", "seen": item.seen}
            path = f"/items/{item.key}/decide"
            assert (await http.post(path, data=data)).status_code == 403
            foreign = await http.post(
                path, data={**data, "csrf": csrf}, headers={"origin": "http://evil.example"}
            )
            assert foreign.status_code == 403
            assert (await http.get(path)).status_code == 405
            assert (await http.post("/sign-out", data={"csrf": csrf})).status_code == 200
            assert (await http.get("/")).status_code == 401
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as other:
            assert (await other.get(link)).status_code == 403  # used up
        assert await review.list_items(desk) == [item]


async def test_two_people_with_tokens_of_their_own(bench: MakeBench, tmp_path: Path) -> None:
    batch = bench()
    await unclear(batch)
    people = tmp_path / "people"
    people.write_text("# who\n" + "".join(f"{name}: {token}\n" for name, token in TOKENS.items()))
    access = access_of(
        "0.0.0.0", person="x", people=people, names=["desk.test"], has_tls=True, is_behind_proxy=False  # noqa: S104
    )  # fmt: skip
    async with desk_of(batch) as desk, app_of(desk, access) as transport:
        [item] = await review.list_items(desk)
        shown = {}
        for name, token in TOKENS.items():
            async with httpx.AsyncClient(transport=transport, base_url="https://desk.test") as http:
                assert (await http.get("/")).headers["location"] == "/sign-in"
                assert (await http.post("/sign-in", data={"token": "wrong"})).status_code == 403
                entered = await http.post("/sign-in", data={"token": token})
                assert "Secure" in entered.headers["set-cookie"]
                shown[name] = (await http.get(f"/items/{item.key}")).text
        assert "looks at this document" not in shown["Ann"]
        assert "<bdi>Ann</bdi> looks at this document since" in shown["Bob"]
        assert '<fieldset class="decision" disabled>' in shown["Bob"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "--people FILE"),
        ({"people": True}, "could be read on the way"),
        ({"people": True, "has_tls": True}, "--name desk.example.org"),
        ({"people": "Ann: short", "has_tls": True, "names": ["x"]}, "fewer than 24 characters"),
        ({"people": "", "has_tls": True, "names": ["x"]}, "names nobody"),
    ],
)
def test_elsewhere_it_is_refused_without_sign_in_and_tls(
    tmp_path: Path, given: dict[str, object], told: str
) -> None:
    people = None
    if "people" in given:
        people = tmp_path / "people"
        text = given["people"]
        people.write_text(text if isinstance(text, str) else f"Ann: {TOKENS['Ann']}")
    names = given.get("names", [])
    assert isinstance(names, list)
    with pytest.raises(ConfigurationError, match=told):
        access_of(
            "0.0.0.0", person="Ann", people=people, names=names,  # noqa: S104
            has_tls=bool(given.get("has_tls")), is_behind_proxy=False,
        )  # fmt: skip


async def test_what_was_said_about_a_document_is_shown_as_text_to_those_who_are_signed_in(
    bench: MakeBench,
) -> None:
    batch = bench()
    batch.transcripts = TranscriptRules(days=14)
    batch.write("b.txt", f"Paper P-4 is unclear: <b>44.00</b> password=hunter22 {'x' * 30_000}")
    batch.write("c.txt", "Paper P-4 is unclear, 45.00")
    await batch.run()
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        items = {item.document: item.key for item in await review.list_items(desk)}
        page = await ann.get(f"/items/{items['b.txt']}")
        extract, *_ = re.findall(r'href="(/items/[0-9a-f]+/turns/[0-9a-f]+)"', page)
        said = await ann.get(extract)
        assert "Paper P-4 is unclear: &lt;b&gt;44.00&lt;/b&gt; password=" in said
        assert "hunter22" not in said
        assert "... (the rest is not shown)" in said
        assert "x" * 20_001 not in said
        assert "&#34;total&#34;: 999.0" in said
        # A turn is found beside its own document only, and by nobody who is not signed in.
        turn = extract.rpartition("/")[2]
        for path in (f"/items/{items['c.txt']}/turns/{turn}", f"/items/{items['b.txt']}/turns/{turn[:12]}"):
            assert "Nothing is kept of a turn" in (await ann.http.get(path)).text
        ann.http.cookies.clear()
        stranger = await ann.http.get(extract)
        assert stranger.status_code == 401
        assert "44.00" not in stranger.text
    async with desk_of(batch) as desk, browser_of(desk) as ann:
        desk.shows_content = False
        hidden = await ann.get(extract)
        assert "What was said is not shown" in hidden
        assert "44.00" not in hidden
        assert "999.0" not in hidden
