"""Every example of the guide runs against the local service, says what it should and leaves nothing behind.

Models and search engines are stand-ins here: answers are scripted in `rules/`, searches read `search/`. All
else is real: programs, HTTP, tools, executed code.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from agent_tasks.client import AgentsClient
from agent_tasks.client._async import _runtime as async_runtime
from agent_tasks.client._sync import _runtime as sync_runtime
from agent_tasks.local.azurite import StorageAddresses
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.support.function_app import function_app
from tests.support.jails import needs_jail
from tests.support.service import RunningService, start_in_thread, write_rules

HERE = Path(__file__).parent
GUIDE = HERE.parents[1] / "examples" / "guide"
MOMENT = 0.1
STORAGE = "azureml://subscriptions/1/resourcegroups/workshop/workspaces/w/datastores/documents/paths"
"""Where the project keeps its documents; the local service reads them from the examples."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """One service for all examples. The name of the model says whose rules answer."""
    rules = [
        {**rule, "when": {**rule["when"], "model": f"^{path.stem}$"}}
        for path in sorted((HERE / "rules").glob("*.yaml"))
        for rule in yaml.safe_load(path.read_text(encoding="utf-8"))["rules"]
    ]
    tools = ToolSettings(
        search_folder=HERE / "search",
        assets={STORAGE: GUIDE.parent / "documents"},
        storage={"default": StorageAccount(value_env="GUIDE_STORAGE")},
        allow_loopback_images=True,
    )
    folder = tmp_path_factory.mktemp("guide")
    service = start_in_thread(folder, write_rules(folder, {"rules": rules}), ServiceConfig(tools=tools))
    yield service
    service.stop()


@dataclass
class Guide:
    """Runs the examples of the guide."""

    service: RunningService
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def prepare(self, name: str) -> Path:
        """Set the model, by which the rules are chosen; returns the program."""
        self.patch.setenv("MODEL_DEPLOYMENT_NAME", name)
        return GUIDE / f"{name}.py"

    def run(self, name: str) -> str:
        """What an example prints."""
        program = self.prepare(name)
        self.captured.readouterr()
        runpy.run_path(str(program), run_name="__main__")
        return self.captured.readouterr().out

    def left(self) -> list[str]:
        """Ids of all that is on the service."""
        with AgentsClient(self.service.endpoint, None) as client:
            kinds: tuple[Any, ...] = (client.agents, client.threads, client.files, client.vector_stores)
            return [thing.id for kind in kinds for thing in kind.list()]


@pytest.fixture
def guide(
    running: RunningService,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Iterator[Guide]:
    """The guide, which must leave nothing behind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(GUIDE)
    # Read anew by every example: it holds what the environment says.
    monkeypatch.delitem(sys.modules, "connection", raising=False)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    # The programs wait as they would for a distant service; here a moment is enough. Not a shorter one: the
    # seconds that they meant to wait count towards the life of a run, and drawing a chart takes a while.
    monkeypatch.setattr(sync_runtime, "sleep", lambda seconds: time.sleep(min(seconds, MOMENT)))
    monkeypatch.setattr(async_runtime, "async_sleep", _briefly(async_runtime.async_sleep))
    guide = Guide(running, monkeypatch, capsys)
    yield guide
    assert guide.left() == []


def _briefly(sleep: Callable[[float], Any]) -> Callable[[float], Any]:
    async def short(seconds: float) -> None:
        await sleep(min(seconds, MOMENT))

    return short


@dataclass
class FakeServer:
    """A fake: HTTP answers by method and path, for what is not on this machine."""

    origin: str
    answers: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    asked: list[SimpleNamespace] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any, kind: str = "application/json") -> str:
        """Have it answer a path; returns its address."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[method, path] = kind, content
        return self.origin + path


@contextmanager
def serve_fake() -> Iterator[FakeServer]:
    """A fake server of this test."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            asked = SimpleNamespace(
                method=self.command, path=path, query=query, body=body, headers=self.headers
            )
            fake.asked.append(asked)
            kind, content = fake.answers.get((self.command, path), ("", b""))
            self.send_response(200 if kind else 404)
            self.send_header("Content-Type", kind or "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do  # noqa: N815 - names of the base class

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = FakeServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with serve_fake() as server:
        yield server


def lines(printed: str) -> list[str]:
    return [line for line in printed.splitlines() if line]


@pytest.mark.covers("example", "agent")
def test_agent(guide: Guide) -> None:
    assert lines(guide.run("agent")) == [
        "guide-joiner answers with agent",
        "the run is completed",
        "user: Why does one drill oak before driving a screw?",
        "assistant: Because a screw driven into undrilled oak splits it or breaks.",
    ]


@pytest.mark.covers("example", "file_search")
def test_file_search(guide: Guide) -> None:
    count, answer, cited = lines(guide.run("file_search"))
    assert count == "1 file is in the store"
    assert re.fullmatch(
        r"The rent is GBP 2,150\.00 a month, payable in advance\. ?【\d+:\d+†source】", answer
    )
    assert re.fullmatch(r"【\d+:\d+†source】 is contract-workshop-lease\.md", cited)


@pytest.mark.covers("example", "enterprise_file_search")
def test_enterprise_file_search(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_ASSET", f"{STORAGE}/delivery-note-oakhollow-b7.md")
    batch, answer = lines(guide.run("enterprise_file_search"))
    assert batch == "the batch is completed with 1 file"
    assert answer.startswith("The pallet of Oakhollow Freight was delivered on 8 October 2026.")
    assert "†source】" in answer


@pytest.mark.covers("example", "code_interpreter")
@needs_jail
def test_code_interpreter(guide: Guide) -> None:
    printed = guide.run("code_interpreter")
    assert "csv.DictReader" in printed
    assert lines(printed)[-1] == "The stock is worth EUR 1230.0."


@pytest.mark.covers("example", "bing_grounding")
def test_bing_grounding(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BING_CONNECTION_ID", "a-connection")
    answer, cited = lines(guide.run("bing_grounding"))
    assert answer.startswith("A coat of shellac is dry to the touch after 15 minutes.")
    assert re.fullmatch(r"【.+】 is shellac\.md, https://finishing\.example\.com/shellac", cited)


@pytest.mark.covers("example", "ai_search")
def test_ai_search(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_SEARCH_CONNECTION_ID", "a-connection")
    monkeypatch.setenv("AI_SEARCH_INDEX", "workshop")
    answer, cited = lines(guide.run("ai_search"))
    link = re.escape("[glue.md](https://workshop.example.com/glue)")
    assert re.fullmatch(rf"Hide glue is used at 60 degrees\. ?{link}", answer)
    assert re.fullmatch(r"\d+ to \d+: https://workshop\.example\.com/glue", cited)


@pytest.mark.covers("example", "functions")
def test_functions(guide: Guide) -> None:
    assert lines(guide.run("functions")) == [
        "step: tool_calls, completed",
        "step: tool_calls, completed",
        "step: message_creation, completed",
        "There was too little of both; I ordered 7 ash and 10 walnut boards (PO-1).",
    ]


@pytest.mark.covers("example", "async_functions")
def test_async_functions(guide: Guide) -> None:
    assert lines(guide.run("async_functions")) == [
        "Oak costs EUR 48.5; for larch I found no price (KeyError)."
    ]


@pytest.mark.covers("example", "azure_function")
def test_azure_function_with_the_function_app_on_the_local_host(
    guide: Guide,
    azurite: StorageAddresses,
    queue_prefix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_QUEUE_ENDPOINT", azurite.queue)
    # The service of the module reads this when it first meets the account.
    monkeypatch.setenv("GUIDE_STORAGE", azurite.connection_string.get_secret_value())

    async def run() -> str:
        async with function_app(azurite, queue_prefix, tmp_path):
            return await asyncio.to_thread(guide.run, "azure_function")

    assert lines(asyncio.run(run())) == ["The check says: valid is True, country DE."]


@pytest.mark.covers("example", "logic_app")
def test_logic_app_with_a_fake_management_api_and_a_fake_trigger(
    guide: Guide, fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trigger = fake.answer("POST", "/workflows/mail/triggers/asked/paths/invoke", {"status": "accepted"})
    workflow = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Logic/workflows/mail/triggers/asked"
    fake.answer("POST", f"{workflow}/listCallbackUrl", {"value": f"{trigger}?sig=SECRET"})
    for name, value in {
        "SUBSCRIPTION_ID": "S",
        "RESOURCE_GROUP": "G",
        "LOGIC_APP": "mail",
        "TRIGGER": "asked",
        "MANAGEMENT_ENDPOINT": fake.origin,
    }.items():
        monkeypatch.setenv(name, value)
    signed_in = SimpleNamespace(get_token=lambda *scopes, **options: SimpleNamespace(token="TOKEN"))
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: signed_in)

    assert lines(guide.run("logic_app")) == ["I have sent the mail."]

    management, sent = fake.asked
    assert management.headers["Authorization"] == "Bearer TOKEN"
    assert (sent.query, sent.headers["Authorization"]) == ("sig=SECRET", None)
    mail = {"recipient": "m.tarn@example.com", "subject": "Varnish", "body": "The varnish has come."}
    assert json.loads(sent.body) == mail


@pytest.mark.covers("example", "openapi")
def test_openapi(guide: Guide, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.answer("GET", "/sky/Tallowmere", {"town": "Tallowmere", "sky": "rain"})
    town = {"name": "town", "in": "path", "required": True, "schema": {"type": "string"}}
    operation = {
        "operationId": "read_sky",
        "parameters": [town],
        "responses": {"200": {"description": "Sky"}},
    }
    document = {
        "openapi": "3.0.3",
        "info": {"title": "Weather", "version": "1"},
        "servers": [{"url": fake.origin}],
        "paths": {"/sky/{town}": {"get": operation}},
    }
    monkeypatch.setenv("OPENAPI_DOCUMENT", fake.answer("GET", "/openapi.json", document))
    assert lines(guide.run("openapi"))[-1] == "No: there is rain in Tallowmere."
    assert [asked.path for asked in fake.asked] == ["/openapi.json", "/sky/Tallowmere"]


@pytest.mark.covers("example", "threads")
def test_threads(guide: Guide) -> None:
    found, *said = lines(guide.run("threads"))
    assert re.fullmatch(r"thread_\w+: \{'order': 'OF-B7-1193', 'state': 'answered'\}", found)
    assert [line.partition(": ")[0] for line in said] == ["user", "assistant", "user", "assistant"]
    assert "weighs 10 kg" in said[1]
    assert "weighs 24 kg" in said[3]


@pytest.mark.covers("example", "message_attachments")
@pytest.mark.parametrize("address", [None, f"{STORAGE}/delivery-note-oakhollow-b7.md"])
@needs_jail
def test_message_attachments(guide: Guide, monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    if address is not None:
        monkeypatch.setenv("DATA_ASSET", address)
    count, answer = lines(guide.run("message_attachments"))
    assert count == "2 attachments"
    assert "There came 6 cans of varnish." in answer
    assert "The stock list has 4 lines." in answer


@pytest.mark.covers("example", "image_file")
def test_image_file(guide: Guide) -> None:
    assert lines(guide.run("image_file")) == [
        "user (text, image_file): How many holes has the board?",
        "assistant (text): The board has three holes.",
    ]


@pytest.mark.covers("example", "image_url")
def test_image_url(guide: Guide, fake: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = (GUIDE / "assets" / "board.png").read_bytes()
    monkeypatch.setenv("IMAGE_URL", fake.answer("GET", "/board.png", picture, "image/png"))
    assert lines(guide.run("image_url"))[-1] == "assistant (text): The board has three holes."
    assert [asked.path for asked in fake.asked] == ["/board.png"]


@pytest.mark.covers("example", "image_base64")
def test_image_base64(guide: Guide) -> None:
    assert lines(guide.run("image_base64")) == [
        "user (text, image_url): How many holes has the board?",
        "assistant (text): The board has three holes.",
    ]


@pytest.mark.covers("example", "polling")
def test_polling(guide: Guide) -> None:
    printed = lines(guide.run("polling"))
    assert printed[0] == "queued"
    assert printed[1:] == [
        'opening_hours is called with {"day": "Sunday"}',
        "completed: no error",
        "No, on Sunday it is closed.",
    ]


@pytest.mark.covers("example", "streaming")
def test_streaming(guide: Guide) -> None:
    printed = guide.run("streaming")
    assert (
        "It holds without glue or nails. It cannot be pulled apart in the direction of its pins." in printed
    )
    marks = re.findall(r"\[(.+?)\]", printed)
    assert marks[0] == "run queued"
    assert "step message_creation completed" in marks
    assert marks[-2:] == ["run completed", "done"]


@pytest.mark.covers("example", "event_handlers")
def test_event_handlers(guide: Guide) -> None:
    printed = guide.run("event_handlers")
    marks = re.findall(r"\[(.+?)\]", printed)
    assert marks[0] == "run queued"
    assert "run requires_action" in marks
    assert marks.count("done") == 1
    assert "Fine: the band saw is running." in printed
    assert re.search(r"run_\w+ is completed$", printed.strip())


@pytest.mark.covers("example", "message_retrieval")
def test_message_retrieval(guide: Guide) -> None:
    *said, shown, who = lines(guide.run("message_retrieval"))
    assert said[0] == "user: Who is the landlord?"
    assert said[1].startswith("assistant: The landlord is Marrowgate Estates LLP.")
    assert len(said) == 4
    assert re.fullmatch(r"Noisy work is allowed .* working days\. ?\[contract-workshop-lease\.md\]", shown)
    assert re.fullmatch(r"msg_\w+ was written by asst_\w+ in run_\w+", who)


@pytest.mark.covers("example", "file_retrieval")
@needs_jail
def test_file_retrieval(guide: Guide) -> None:
    answer, *saved = lines(guide.run("file_retrieval"))
    assert "boards.csv" in answer
    sizes = dict(re.fullmatch(r"(\S+) has (\d+) bytes", line).groups() for line in saved)  # type: ignore[union-attr]
    assert sizes["boards.csv"] == str(len("oak,14\nash,3\ncherry,8\n"))
    assert int(sizes["chart.png"]) > 1000


@pytest.mark.covers("example", "teardown")
def test_teardown(guide: Guide) -> None:
    *deleted, gone = lines(guide.run("teardown"))
    kinds = ["thread", "agent", "vector store", "file"]
    assert deleted == [f"{kind} deleted: True" for kind in kinds]
    assert re.match(r"gone: .*thread_\w+", gone)


@pytest.mark.covers("example", "tracing")
def test_tracing_as_a_program_of_its_own(guide: Guide) -> None:
    # In a process: a process has one tracer provider for all its life.
    done = subprocess.run(
        [sys.executable, guide.prepare("tracing")], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "assistant: An oak board costs EUR 48.5." in done.stdout
    names = set(re.findall(r'^    "name": "(.+)",$', done.stdout, re.MULTILINE))
    assert {"guide", "create_thread", "create_message", "execute_tool price_of", "list_price"} <= names
    assert "create_agent guide-seller" in names
    assert "What does an oak board cost?" not in done.stdout.partition("user: ")[0]


@pytest.mark.covers("example", "log_requests")
def test_log_requests(guide: Guide) -> None:
    logger = logging.getLogger("agent_tasks.client")
    before, level = [*logger.handlers], logger.level
    try:
        printed = guide.run("log_requests")
    finally:
        logger.handlers[:] = before
        logger.setLevel(level)
    assert re.search(r"DEBUG agent_tasks\.client: POST /assistants answered 200 in \d+ ms", printed)
    assert "Is ash hard?" not in printed
    assert "to be seen in the log" in printed


@pytest.mark.covers("example", "durable")
def test_durable(guide: Guide, prefect_server: None) -> None:
    asked_before = len(guide.service.generations())
    first, usage, second, same_usage, deleted = lines(guide.run("durable"))
    assert first == "asked: There are 3 ash boards left."
    assert second == "from the journal: There are 3 ash boards left."
    assert re.fullmatch(r"1 call, \d+ tokens", usage)
    assert same_usage == usage
    assert deleted == "2 things deleted"
    assert len(guide.service.generations()) - asked_before == 2
