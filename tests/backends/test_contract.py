"""Every backend keeps the contract: the classic one on the local service, and the fake one in memory."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from agent_tasks.backends.base import Backend
from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.backends.responses import ResponsesBackend
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.tools import McpTool
from tests.backends import contract
from tests.backends.contract import BOOKED, HELLO, LONG, BackendContract, Subject
from tests.conftest import ServiceFactory
from tests.support.fake_backend import Asks, Fails, FakeBackend, Says, Step, Waits
from tests.support.mcp_server import McpLedger, mcp_ledger

RULES = {
    "rules": [
        {
            "when": {"message": "^Twice", "call": [1, 2]},
            "reply": {"tool_calls": [{"name": "book", "arguments": {"name": "Oak"}}]},
        },
        {
            "when": {"message": "^Book", "tool_results": False},
            "reply": {"tool_calls": [{"name": "book", "arguments": {"name": "Oak"}}]},
        },
        {
            "when": {"message": "^Write", "tool_results": False},
            "reply": {"tool_calls": [{"name": "write", "arguments": {"line": "Oak"}}]},
        },
        {"when": {"tool_results": True}, "reply": {"text": BOOKED + "{{ tool_results | join(' and ') }}"}},
        {"when": {"message": "^Slow"}, "reply": {"text": "At last."}, "delay": 60},
        {"when": {"message": "^Flaky", "call": 1}, "reply": {"error": {"code": "server_error"}}},
        {"when": {"message": "^Flaky"}, "reply": {"text": "Better now."}},
        {"when": {"message": "^Long"}, "reply": {"text": LONG}},
    ],
    "default": {"reply": {"text": HELLO}},
}


def script(prompt: str, outputs: Sequence[str], nth: int) -> Step:
    """The rules above, for the fake."""
    if prompt.startswith("Twice") and len(outputs) < 2:
        return Asks("book", '{"name": "Oak"}')
    if outputs:
        return Says(BOOKED + " and ".join(outputs))
    match prompt.split()[0]:
        case "Book":
            return Asks("book", '{"name": "Oak"}')
        case "Write":
            return Asks("write", '{"line": "Oak"}')
        case "Slow":
            return Waits()
        case "Flaky" if nth == 1:
            return Fails("server_error", "Sorry, something went wrong.")
        case "Flaky":
            return Says("Better now.")
        case "Long":
            return Says(LONG)
        case _:
            return Says(HELLO)


def test_the_contract_asks_for_every_method_of_the_seam() -> None:
    suite = inspect.getsource(contract)
    methods = {name for name in vars(Backend) if not name.startswith("_")}
    assert len(methods) > 15
    assert {name for name in methods if f"backend.{name}" not in suite} == set()


class TestClassicBackend(BackendContract):
    """`AgentsBackend` over the wire of the local service."""

    @pytest.fixture
    def mcp(self) -> Iterator[McpLedger]:
        with mcp_ledger() as running:
            yield running

    @pytest.fixture
    async def subject(self, service: ServiceFactory, mcp: McpLedger) -> AsyncIterator[Subject]:
        async with AsyncAgentsClient(service(rules=RULES).endpoint, None) as client:
            yield Subject(AgentsBackend(client), _ledger(mcp.url), lambda: sum(mcp.written.values()))


class TestResponsesBackend(BackendContract):
    """`ResponsesBackend` with agents, over the successor's wire of the local service."""

    @pytest.fixture
    def mcp(self) -> Iterator[McpLedger]:
        with mcp_ledger() as running:
            yield running

    @pytest.fixture
    async def subject(self, service: ServiceFactory, mcp: McpLedger) -> AsyncIterator[Subject]:
        async with ResponsesBackend.of_project(service(rules=RULES).endpoint, None) as backend:
            ledger, written = _ledger(mcp.url), lambda: sum(mcp.written.values())
            yield Subject(backend, ledger, written, nobody="nobody:1", nowhere=f"conv_{'0' * 18}{'x' * 32}")


class TestFakeBackend(BackendContract):
    """`FakeBackend`, which other tests rely on."""

    @pytest.fixture
    def subject(self) -> Subject:
        written: list[str] = []

        def write(name: str, arguments: str) -> str:
            written.append(arguments)
            return f"line {len(written)}"

        backend = FakeBackend(script, {"ledger": write})
        return Subject(backend, _ledger("http://127.0.0.1/mcp"), lambda: len(written))


def _ledger(url: str) -> dict[str, object]:
    (definition,) = McpTool("ledger", url).definitions
    return definition
