"""Browser automation: a real Chromium, pages on loopback, nothing beyond allowed hosts, no process left."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from agents_emulator.tools.chromium import MissingBrowserError, find_chromium
from agents_emulator.tools.settings import BrowserSettings, ToolSettings, load_tool_settings
from tests.emulator.helpers import Json, agent, post, stream, turn, wait_for, wait_run
from tests.emulator.tools.conftest import Turns, rules_for
from tests.support.chromium import needs_chromium
from tests.support.processor import fields_of

TOOL = {"type": "browser_automation", "browser_automation": {"connection": {"id": "c"}}}
SHOP = """<title>Workshop</title><h1>Prices</h1><a href="/oak">Oak boards</a>
<form action="/search"><input name="q" placeholder="Search"><button>Go</button></form>
<select aria-label="Wood"><option>Oak</option><option>Ash</option></select>
<p hidden>not to be seen</p>"""
OAK = "<title>Oak</title><p>Oak boards cost 40 euros a square metre.</p>"
INNER = "^You operate a web browser"


class Site:
    """Pages on loopback, and what was asked of them."""

    def __init__(self, pages: dict[str, str], redirects: dict[str, str] | None = None) -> None:
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                path = self.path.partition("?")[0]
                if redirects and path in redirects:
                    self.send_response(302)
                    self.send_header("location", redirects[path])
                    self.end_headers()
                    return
                content = pages.get(path, "<title>Found</title>you asked for " + self.path).encode()
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def pages_asked(self) -> list[str]:
        """What was asked, without the icon that browsers ask for."""
        return [path for path in self.asked if path != "/favicon.ico"]


@contextmanager
def served(pages: dict[str, str], redirects: dict[str, str] | None = None) -> Iterator[Site]:
    site = Site(pages, redirects)
    yield site
    site.close()


@pytest.fixture
def shop() -> Iterator[Site]:
    with served({"/": SHOP, "/oak": OAK}) as site:
        yield site


def acting(*actions: tuple[str, Json], **fields: Any) -> Json:
    """Rules of a model that acts in this order."""
    inner = [
        {
            "when": {"instructions": INNER, "call": 1},
            "reply": {"tool_calls": [{"name": name, "arguments": arguments}]},
            **fields,
        }
        for name, arguments in actions
    ]
    outer = rules_for("browser_automation")
    return {**outer, "rules": [*inner, *outer["rules"]]}


def done(result: str = "{{ tool_results[-1] }}") -> tuple[str, Json]:
    return "done", {"result": result}


@pytest.fixture
def browse(start: Any) -> Iterator[Any]:
    """Runs actions in a call of the tool; returns the turn and the call."""
    opened: list[httpx.Client] = []

    def go(*actions: tuple[str, Json], **settings: Any) -> tuple[Turns, Json]:
        client = start(acting(*actions), browser=BrowserSettings(**settings)).http()
        opened.append(client)
        turns = Turns(client, agent(client, tools=[TOOL]))
        call = turns.call("browser_automation", {"query": "Find the price of oak."})
        return turns, call["browser_automation"]

    yield go
    for client in opened:
        client.close()


@dataclass(frozen=True)
class Process:
    """A process, told from a later one of the same id by the time of its start."""

    pid: int
    started: str

    @property
    def runs(self) -> bool:
        fields = fields_of(self.pid)
        return fields is not None and fields[19] == self.started and fields[0] != "Z"


def browsers() -> set[Process]:
    """Browsers and their drivers below this process."""
    stats = {
        int(entry.name): fields_of(int(entry.name))
        for entry in Path("/proc").iterdir()
        if entry.name.isdecimal()
    }
    known = {pid: fields for pid, fields in stats.items() if fields is not None}
    below = {os.getpid()}
    while more := {pid for pid, fields in known.items() if int(fields[1]) in below} - below:
        below |= more
    found = {Process(pid, known[pid][19]) for pid in below if pid in known and _is_browser(pid)}
    return {process for process in found if process.runs}


def _is_browser(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False
    return "chrom" in line or ("playwright" in line and "driver" in line)


@needs_chromium
def test_it_opens_clicks_and_reads_and_its_questions_are_counted(browse: Any, shop: Site) -> None:
    turns, details = browse(
        ("open", {"url": f"http://127.0.0.1:{shop.port}/"}), ("click", {"element": 1}), done()
    )
    assert details["input"] == "Find the price of oak."
    assert "Oak boards cost 40 euros" in details["output"]
    assert shop.pages_asked == ["/", "/oak"]
    assert details["steps"] == [
        {
            "last_step_result": "The browser was started.",
            "current_state": "No page is open.",
            "next_step": f'open {{"url": "http://127.0.0.1:{shop.port}/"}}',
        },
        {
            "last_step_result": "The page was opened.",
            "current_state": f"Workshop (http://127.0.0.1:{shop.port}/)",
            "next_step": 'click {"element": 1}',
        },
        {
            "last_step_result": "The element was clicked.",
            "current_state": f"Oak (http://127.0.0.1:{shop.port}/oak)",
            "next_step": details["steps"][2]["next_step"],
        },
    ]
    assert details["steps"][2]["next_step"].startswith('done {"result": "The element was clicked.')
    assert "Oak boards cost 40 euros" in turns.answer_text()
    origin = str(turns.client.base_url).partition("/api/")[0]
    rows = httpx.get(f"{origin}/_emulator/generations").json()["data"]
    assert len(rows) == 5  # the model of the agent twice, that of the browser thrice
    for kind in ("prompt_tokens", "completion_tokens"):
        assert turns.run["usage"][kind] == sum(row[kind] for row in rows)
    assert wait_for(lambda: not browsers())


@needs_chromium
def test_the_page_is_shown_with_its_elements(browse: Any, shop: Site) -> None:
    _, details = browse(("open", {"url": f"127.0.0.1:{shop.port}"}), done())
    assert details["output"].splitlines()[2:7] == [
        f"Workshop (http://127.0.0.1:{shop.port}/)",
        "[1] link Oak boards",
        "[2] text Search",
        "[3] button Go",
        "[4] select Oak Ash",
    ]
    assert "not to be seen" not in details["output"]


@needs_chromium
def test_it_types_submits_and_chooses(browse: Any, shop: Site) -> None:
    _, details = browse(
        ("open", {"url": f"http://127.0.0.1:{shop.port}/"}),
        ("type", {"element": 4, "text": "Ash"}),
        ("type", {"element": 2, "text": "ash boards", "submit": True}),
        done(),
    )
    assert "you asked for /search?q=ash+boards" in details["output"]


@needs_chromium
def test_other_addresses_are_not_opened(browse: Any, shop: Site) -> None:
    addresses = (
        "file:///etc/passwd",
        f"http://localhost:{shop.port}/",
        "http://example.com/",
        "chrome://version",
        "javascript:1",
    )
    opening = [("open", {"url": address}) for address in addresses]
    between = "-- and then --"
    end = done("{{ tool_results | join('" + between + "') }}")
    _, details = browse(*opening, end, allowed_hosts=("127.0.0.1",))  # a browser takes seconds to start
    results = details["output"].split(between)
    assert len(results) == len(addresses)
    refused = "is not allowed: the browser may open http and https addresses of 127.0.0.1."
    for address, result in zip(addresses, results, strict=True):
        assert result.startswith("Failed: "), address
        assert refused in result, address
    assert shop.asked == []


@needs_chromium
@pytest.mark.parametrize(("allowed", "other"), [("127.0.0.1", "localhost"), ("localhost", "127.0.0.1")])
def test_a_page_reaches_no_other_host(browse: Any, allowed: str, other: str) -> None:
    with served({}) as forbidden:
        beyond = f"http://{other}:{forbidden.port}"
        page = (
            f"<title>Trap</title><img src='{beyond}/image'><iframe src='{beyond}/frame'></iframe>"
            f"<iframe src='file:///etc/passwd'></iframe><link rel=prefetch href='{beyond}/prefetch'>"
            f"<a href='{beyond}/link'>leave</a><a href='/redirect'>turn</a>"
            f"<script>fetch('{beyond}/fetch', {{mode: 'no-cors'}}).catch(() => 0);"
            f"new WebSocket('ws://{other}:{forbidden.port}/socket');"
            f"navigator.sendBeacon('{beyond}/beacon');</script>"
        )
        with served({"/": page}, {"/redirect": f"{beyond}/redirected"}) as site:
            _, details = browse(
                ("open", {"url": f"http://{allowed}:{site.port}/"}),
                ("click", {"element": 1}),
                ("open", {"url": f"http://{allowed}:{site.port}/"}),
                ("click", {"element": 2}),
                ("open", {"url": f"http://{allowed}:{site.port}/redirect"}),
                done(),
                allowed_hosts=(allowed,),
            )
        assert "/redirect" in site.asked
        assert forbidden.asked == []
    outcomes = [step["last_step_result"] for step in details["steps"]]
    assert "Not allowed, so not loaded: " in outcomes[1]
    assert f"{beyond}/" in outcomes[1]
    assert outcomes[-1].startswith("Failed: ")
    assert "root:" not in json.dumps(details)


@needs_chromium
def test_downloads_are_not_kept_and_popups_are_followed(browse: Any) -> None:
    page = "<a href='/file' download>save</a><a href='/oak' target=_blank>more</a>"
    with served({"/": page, "/oak": OAK}) as site:
        _, details = browse(
            ("open", {"url": f"http://127.0.0.1:{site.port}/"}),
            ("click", {"element": 1}),
            ("click", {"element": 2}),
            ("read", {}),
            done(),
        )
    assert "Oak boards cost 40 euros" in details["output"]


@needs_chromium
def test_every_call_has_a_new_profile(browse: Any) -> None:
    page = "<script>document.write(document.cookie || 'no cookie'); document.cookie = 'seen=1'</script>"
    with served({"/": page}) as site:
        for _ in range(2):
            _, details = browse(("open", {"url": f"http://127.0.0.1:{site.port}/"}), done())
            assert "no cookie" in details["output"]


@needs_chromium
def test_mistakes_are_told_to_the_model(browse: Any, shop: Site) -> None:
    _, details = browse(
        ("click", {"element": 1}),
        ("open", {"url": 5}),
        ("fly", {}),
        ("open", {"url": "http://127.0.0.1:1/"}),
        done(),
    )
    assert [step["last_step_result"].partition(" at ")[0] for step in details["steps"]] == [
        "The browser was started.",
        "Failed: There is no element 1; the page has 0.",
        "Failed: The argument 'url' must be a text.",
        "Failed: There is no function fly.",
        "Failed: The browser could not do it: Page.goto: net::ERR_UNSAFE_PORT",
    ]


@needs_chromium
def test_limits_of_steps_text_and_time(browse: Any) -> None:
    with served({"/": f"<p>{'oak ' * 1000}</p>", "/hang": "<script>while (true) {}</script>"}) as site:
        url = f"http://127.0.0.1:{site.port}"
        _, details = browse(
            ("open", {"url": url}), ("read", {"start": 100}), max_steps=2, page_characters=100
        )
        assert json.loads(details["output"]) == {"error": "The task was not done after 2 steps."}
        assert len(details["steps"]) == 2
        _, details = browse(("open", {"url": url}), done(), page_characters=100)
        assert details["output"].endswith("oak oak \n[more from character 100 on]")
        started = time.monotonic()
        _, details = browse(("open", {"url": f"{url}/hang"}), done(), seconds=4)
        assert json.loads(details["output"]) == {"error": "The task took more than 4 s."}
        assert time.monotonic() - started < 20
    assert wait_for(lambda: not browsers())


@needs_chromium
def test_a_cancelled_run_leaves_no_process(start: Any, shop: Site) -> None:
    rules = acting(("open", {"url": f"http://127.0.0.1:{shop.port}/"}), ("read", {}))
    rules["rules"][1]["delay"] = 60
    with start(rules).http() as client:
        body = turn(agent(client, tools=[TOOL]), 'call browser_automation {"query": "oak"}')
        run = post(client, "/threads/runs", body)
        wait_for(lambda: shop.asked and browsers())
        post(client, f"/threads/{run['thread_id']}/runs/{run['id']}/cancel")
        wait_run(client, run, "cancelled")
    assert wait_for(lambda: not browsers())


@needs_chromium
def test_deltas_of_a_streamed_run(start: Any, shop: Site) -> None:
    with start(acting(("open", {"url": f"http://127.0.0.1:{shop.port}/oak"}), done())).http() as client:
        body = turn(agent(client, tools=[TOOL]), 'call browser_automation {"query": "oak"}')
        events = stream(client, "/threads/runs", body)
    deltas = [
        data["delta"]["step_details"]["tool_calls"][0]
        for name, data in events
        if name == "thread.run.step.delta"
    ]
    assert deltas[0]["browser_automation"] == {"input": "oak", "output": "", "steps": []}
    assert "40 euros" in deltas[1]["browser_automation"]["output"]
    assert len(deltas[1]["browser_automation"]["steps"]) == 2


def test_without_chromium_the_run_says_what_to_install(start: Any, tmp_path: Path) -> None:
    settings = BrowserSettings(executable=tmp_path / "chromium")
    with start(acting(), browser=settings).http() as client:
        run = post(client, "/threads/runs", turn(agent(client, tools=[TOOL]), "call browser_automation {}"))
        error = wait_run(client, run, "failed")["last_error"]
    assert error["code"] == "unsupported_tool"
    assert "`browser.executable`" in error["message"]
    assert "apt install chromium" in error["message"]


async def test_without_playwright_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "playwright.async_api", None)
    with pytest.raises(MissingBrowserError, match=r"pip install 'prefect-azure-agents\[browser\]'"):
        await find_chromium(BrowserSettings())


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://127.0.0.1:8000/a", True),
        ("https://LOCALHOST", True),
        ("ws://localhost/s", True),
        ("http://[::1]:80/", True),
        ("http://a.example.com/", True),
        ("http://example.com/", False),
        ("http://badexample.com/", False),
        ("http://example.com.evil.net/", False),
        ("http://localhost@evil.net/", False),
        ("http://evil.net/localhost", False),
        ("file://localhost/etc/passwd", False),
        ("data:text/html,hi", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_allowed_hosts(address: str, allowed: bool) -> None:
    settings = BrowserSettings(allowed_hosts=("127.0.0.1", "localhost", "[::1]", "*.Example.com"))
    assert settings.allows(address) is allowed


@pytest.mark.parametrize("host", ["", "*", "http://a", "a/b", "a:80", "a, EXCLUDE *", "a b", "-*.com"])
def test_hosts_that_are_none_are_refused(host: str) -> None:
    with pytest.raises(ValidationError, match="no name or address of a host"):
        BrowserSettings(allowed_hosts=(host,))


def test_the_tools_file_configures_it(tmp_path: Path) -> None:
    path = tmp_path / "tools.yaml"
    path.write_text(
        "browser: {executable: bin/chromium, allowed_hosts: [intranet.example]}", encoding="utf-8"
    )
    settings = load_tool_settings(path)
    assert settings.browser.executable == tmp_path / "bin" / "chromium"
    assert settings.browser.allowed_hosts == ("intranet.example",)
    assert ToolSettings().browser.allowed_hosts == ("127.0.0.1", "localhost", "::1")


@needs_chromium
def test_a_killed_service_leaves_no_process(service: Any, shop: Site) -> None:
    rules = acting(("open", {"url": f"http://127.0.0.1:{shop.port}/"}), ("read", {}))
    rules["rules"][1]["delay"] = 60
    running = service(rules=rules, process=True)
    with running.http() as client:
        body = turn(agent(client, tools=[TOOL]), 'call browser_automation {"query": "oak"}')
        post(client, "/threads/runs", body)
        wait_for(lambda: shop.asked)
    left = wait_for(browsers)
    running.kill()
    assert wait_for(lambda: not any(process.runs for process in left))
