"""Small answers that unpack to large ones, and answers without an end: what reads them stays small and ends.

Each is tried in a process of its own, whose memory is measured and whose address space is bounded.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

attack = pytest.mark.attack
long = pytest.mark.attack(long=True)
LARGEST_MB = 350
"""Most that a process may take while it reads; one that imports the client has 80 to 120."""
ADDRESS_SPACE = 3 * 1024**3
SECONDS = 60
"""How long an answer without an end goes on; whoever reads it must have given up before."""
ZEROS = 400 * 1024**2
"""Bytes that 400 kB unpack to; no reader here takes so many."""


@cache
def zeros(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    megabyte = bytes(1024 * 1024)
    packed = b"".join(packer.compress(megabyte) for _ in range(size // len(megabyte)))
    return packed + packer.flush()


@cache
def lists() -> bytes:
    """A hundred megabytes of JSON, with 33 million empty lists."""
    return gzip.compress(b'{"data": [' + b"[]," * 33_000_000 + b"[]]}", 1)


class Bombs(BaseHTTPRequestHandler):
    """Answers every request with what its path names last."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        with suppress(OSError):
            self.rfile.read(int(self.headers.get("content-length") or 0))
            parts = self.path.partition("?")[0].replace("-", "_").split("/")
            next(getattr(self, f"say_{part}") for part in reversed(parts) if hasattr(self, f"say_{part}"))()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def begin(self, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in {"content-type": kind, "connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def forever(self, piece: bytes, pause: float = 0.0) -> None:
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(pause)

    def say_lists(self) -> None:
        self.begin(content_encoding="gzip")
        self.wfile.write(lists())

    def say_zeros(self) -> None:
        self.begin(content_encoding="gzip")
        self.wfile.write(zeros(ZEROS))

    def say_failed_zeros(self) -> None:
        self.begin(500, content_encoding="gzip")
        self.wfile.write(zeros(ZEROS))

    def say_zipped_twice(self) -> None:
        self.begin(content_encoding="gzip, gzip")
        self.wfile.write(gzip.compress(zeros(ZEROS)))

    def say_brotli(self) -> None:
        self.begin(content_encoding="br")
        self.wfile.write(b"\x8b\x00\x80\x03")

    def say_nested(self) -> None:
        self.begin()
        self.wfile.write(b'{"a":' + b"[" * 2_000_000)

    def say_declared(self) -> None:
        self.begin(content_length="99999999999")
        self.forever(b"0" * 1000, 0.1)

    def say_endless(self) -> None:
        self.begin()
        self.forever(b" " * 1_000_000)

    def say_drip(self) -> None:
        self.begin()
        self.forever(b" ", 0.1)

    def say_drip_head(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.forever(b"x: y\r\n", 0.1)

    def say_headers(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 300_000)

    def say_continue(self) -> None:
        self.close_connection = True
        self.forever(b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.01)

    def say_line(self) -> None:
        self.begin(kind="text/event-stream")
        self.wfile.write(b"data: ")
        self.forever(b"x" * 1_000_000)

    def say_data(self) -> None:
        self.begin(kind="text/event-stream")
        self.forever(b"data\n" * 200_000)

    def say_comments(self) -> None:
        self.begin(kind="text/event-stream")
        self.forever(b": keep-alive\n\n", 0.1)

    def say_packed_line(self) -> None:
        self.begin(kind="text/event-stream", content_encoding="gzip")
        self.wfile.write(zeros(ZEROS))

    def say_listCallbackUrl(self) -> None:  # noqa: N802
        self.begin()
        port = self.server.server_address[1]
        self.wfile.write(json.dumps({"value": f"http://127.0.0.1:{port}/{LogicApp.answer}"}).encode())


class LogicApp:
    answer = "zeros"


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    zeros(ZEROS), lists()  # packed before the clock runs
    server = ThreadingHTTPServer(("127.0.0.1", 0), Bombs)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


PRELUDE = """
import asyncio, json, re, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))

def attacked(work):
    began, error = time.monotonic(), None
    try:
        result = work()
        if asyncio.iscoroutine(result):
            asyncio.run(result)
    except Exception as caught:
        error = caught
    # Not what getrusage says: that begins with what the process that started this one has had.
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]) // 1024
    names = [kind.__name__ for kind in type(error).__mro__]
    print(json.dumps([names, str(error)[:500], peak, time.monotonic() - began]))
"""


@pytest.fixture
def attacked(origin: str) -> Callable[..., str]:
    """Runs code in a process of its own; returns the text of the error that it ends with."""

    def run(code: str, kind: str, *, seconds: float = 40) -> str:
        program = PRELUDE.replace("SPACE", str(ADDRESS_SPACE)) + code.replace("ORIGIN", origin)
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            timeout=SECONDS + 20,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        names, text, peak, took = json.loads(done.stdout.splitlines()[-1])
        assert kind in names, (names, text)
        assert peak < LARGEST_MB, f"{peak} MB"
        assert took < seconds, f"{took} s"
        return str(text)

    return run


CLIENT = """
from agent_tasks.client import AgentsClient, AsyncAgentsClient, RetryPolicy, Timeouts
options = dict(retry=RetryPolicy(attempts=1), timeout=Timeouts(answer=2.0, stream_silence=1.0))
def blocking():
    with AgentsClient("ORIGIN/api/projects/p", None, **options) as client:
        BLOCKING
async def asynchronous():
    async with AsyncAgentsClient("ORIGIN/api/projects/p", None, **options) as client:
        ASYNC
attacked(HALF)
"""
READ = ("client.threads.get('NAME')", "await client.threads.get('NAME')")
STREAM = (
    "with client.runs.stream('NAME', assistant_id='a', resume=False) as events: list(events)",
    "async with client.runs.stream('NAME', assistant_id='a', resume=False) as events:\n"
    "            async for _ in events: pass",
)


def client_code(name: str, calls: tuple[str, str], half: str) -> str:
    code = CLIENT.replace("BLOCKING", calls[0]).replace("ASYNC", calls[1])
    return code.replace("NAME", name).replace("HALF", half)


halves = pytest.mark.parametrize("half", ["blocking", "asynchronous"])


@attack
@halves
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param("lists", "InvalidAnswerError", marks=long),
        ("zeros", "InvalidAnswerError"),
        pytest.param("failed-zeros", "ServerError", marks=long),
        pytest.param("zipped-twice", "InvalidAnswerError", marks=long),
        pytest.param("brotli", "InvalidAnswerError", marks=long),
        pytest.param("nested", "InvalidAnswerError", marks=long),
        pytest.param("declared", "InvalidAnswerError", marks=long),
        pytest.param("endless", "InvalidAnswerError", marks=long),
        ("drip", "InvalidAnswerError"),
        pytest.param("headers", "TransportError", marks=long),
    ],
)
def test_an_answer_to_the_client(attacked: Callable[..., str], name: str, kind: str, half: str) -> None:
    attacked(client_code(name, READ, half), kind)


@attack
@pytest.mark.parametrize("name", [pytest.param("drip-head", marks=long), "continue"])
def test_a_head_that_never_ends_at_the_client(attacked: Callable[..., str], name: str) -> None:
    """In the async client; the blocking one can't be ended while it reads a head, which has a size."""
    assert "no answer in 2 s" in attacked(client_code(name, READ, "asynchronous"), "TransportError")


@attack
@halves
@pytest.mark.parametrize(
    "name", ["line", *(pytest.param(name, marks=long) for name in ("data", "packed-line", "comments"))]
)
def test_a_stream_to_the_client(attacked: Callable[..., str], name: str, half: str) -> None:
    attacked(client_code(name, STREAM, half), "StreamBrokenError")


@attack
@halves
def test_a_download_to_the_client(attacked: Callable[..., str], half: str) -> None:
    sizes = (
        "import agent_tasks.client._async.files as a, agent_tasks.client._sync.files as b\n"
        "a.LARGEST_FILE = b.LARGEST_FILE = 8_000_000\n"
    )
    calls = (
        "for _ in client.files.get_content('zeros'): pass",
        "[_ async for _ in client.files.get_content('zeros')]",
    )
    assert "8000000 bytes" in attacked(sizes + client_code("zeros", calls, half), "InvalidAnswerError")


TOOLS = """
from types import SimpleNamespace
from agents_emulator.tools.settings import ToolSettings
services = SimpleNamespace(settings=ToolSettings(allow_loopback_images=True, request_seconds=5), secrets={})
run = {"id": "run_1", "agent_tool_resources": {}, "tool_resources": {}}
"""
OPENAPI = (
    TOOLS
    + """
from agents_emulator.tools.openapi import OpenApi
tool = OpenApi({"type": "openapi", "openapi": {"name": "t", "spec": {"paths": {}}}}, run, services)
attacked(lambda: tool._send({"method": "GET", "url": "ORIGIN/NAME", "params": [], "headers": {}}))
"""
)
IMAGES = (
    TOOLS
    + """
from agents_emulator.engine.images import Images
block = {"type": "image_url", "image_url": {"url": "ORIGIN/NAME"}}
attacked(lambda: Images(None, None, services.settings).load([block]))
"""
)
MCP = (
    TOOLS
    + """
from agents_emulator.tools.mcp import McpServer
tool = McpServer({"type": "mcp", "server_label": "s", "server_url": "ORIGIN/NAME"}, run, services)
attacked(lambda: tool.prepare([]))
"""
)
MODEL = """
from agents_emulator.models.base import ChatMessage, ChatRequest
from agents_emulator.models.openai import OpenAIModel
async def ask():
    model = OpenAIModel("ORIGIN/NAME")
    async for _ in model.generate(ChatRequest("m", (ChatMessage("user", "hi"),))):
        pass
attacked(ask)
"""
LOGIC_APP = """
from pydantic import BaseModel, SecretStr
from agent_tasks.tools import LogicAppTool
from agent_tasks.tools.base import ToolContext
class Nothing(BaseModel): pass
names = dict(subscription_id="s", resource_group="g", workflow="w", trigger="t")
tool = LogicAppTool("t", "d", Nothing, **names, credential=SecretStr("x"), management_endpoint="ORIGIN",
                    timeout=5)
context = ToolContext("call_1", "run_1", "key")
attacked(lambda: tool.call("{}", context))
"""


SERVICE_READERS = {
    "openapi": (OPENAPI, "Exception"),
    "image": (IMAGES, "ImageError"),
    "mcp": (MCP, "ToolSetupError"),
    "model": (MODEL, "ModelError"),
}
SHORT = (("openapi", "zeros"), ("image", "headers"), ("mcp", "zeros"), ("model", "endless"))
SERVICE_ANSWERS = [
    pytest.param(reader, name, marks=() if (reader, name) in SHORT else long)
    for reader in SERVICE_READERS
    for name in ("zeros", "failed-zeros", "zipped-twice", "endless", "headers", "drip")
    if (reader, name) != ("model", "drip")  # a model may think for long: the run's own expiry ends it
]


@attack
@pytest.mark.parametrize(("reader", "name"), SERVICE_ANSWERS)
def test_an_answer_to_the_service(attacked: Callable[..., str], reader: str, name: str) -> None:
    code, kind = SERVICE_READERS[reader]
    attacked(code.replace("NAME", name), kind)


@attack
@pytest.mark.parametrize("name", ["line", "packed-line"])
def test_events_of_a_model(attacked: Callable[..., str], name: str) -> None:
    assert "is not read" in attacked(MODEL.replace("NAME", name), "ModelError")


@attack
def test_an_answer_of_a_logic_app(attacked: Callable[..., str]) -> None:
    assert "is not read" in attacked(LOGIC_APP, "InvalidAnswerError")
