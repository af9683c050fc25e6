"""Order of events, cancel, resume and refusals, compared with Microsoft's own server library for responses.

Each question is put to both; what differs is named in `DIFFERENCES`, with what was recorded instead.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conformance.drivers import REPOSITORY
from tests.conformance.successor.catalogue import CLIENTS_FOLDER
from tests.emulator.helpers import Json, parse_events, wait_for
from tests.support.service import start_in_thread, write_rules

ORACLE = CLIENTS_FOLDER / "agentserver"
RULES: Json = {
    "rules": [{"when": {"message": "endless"}, "delay": 600, "reply": {"text": "Never."}}],
    "default": {"reply": {"text": "word word word word word "}, "chunk": 5},
}
DIFFERENCES = {
    "gone": ((404, None), (400, "recorded: {id} not found")),
}
"""By question, what the library answers and what the local service does instead, and why."""

pytestmark = [
    pytest.mark.skipif(not ORACLE.is_dir(), reason="not installed: run `make successor-clients`"),
    pytest.mark.timeout(120),
]


class Server:
    """One of the two, below its own address."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address, timeout=20)

    def make(self, **fields: Any) -> httpx.Response:
        """Create a response."""
        return self.http.post("/responses", json={"model": "m", "input": "hello", **fields})

    def events(self, response: httpx.Response) -> list[tuple[str, Json]]:
        """The events of a stream."""
        assert response.status_code == 200, response.text
        text = response.text.replace(": keep-alive\n\n", "")
        return [(name, body) for name, body in parse_events(text) if name]

    def status(self, identifier: str) -> str:
        """The status of a response now."""
        return str(self.http.get(f"/responses/{identifier}").json()["status"])

    def until(self, identifier: str, *wanted: str) -> None:
        """Wait for a status."""
        wait_for(lambda: self.status(identifier) in wanted)

    def running(self, **fields: Any) -> str:
        """A response that stays at work."""
        made: str = self.make(input="endless", background=True, **fields).json()["id"]
        self.until(made, "in_progress")
        return made

    def done(self, **fields: Any) -> str:
        """A response in the background that is done."""
        made: str = self.make(background=True, **fields).json()["id"]
        self.until(made, "completed")
        return made


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("ours")
    running = start_in_thread(folder / "data", write_rules(folder, RULES))
    yield Server(f"{running.endpoint}/openai/v1")
    running.stop()


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("theirs")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "tests.conformance.successor.oracle", str(port)],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "HOME": str(folder),
                "PYTHONPATH": os.pathsep.join((str(ORACLE), str(REPOSITORY))),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        server = Server(f"http://127.0.0.1:{port}")
        wait_for(lambda: _listens(server, process), seconds=60)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _listens(server: Server, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the library's server ended"
    try:
        return server.http.get("/readiness").status_code < 500
    except httpx.TransportError:
        return False


def _kinds(events: list[tuple[str, Json]]) -> list[str]:
    found: list[str] = []
    for name, _ in events:
        if not (found and found[-1] == name):
            found.append(name)
    return found


@pytest.mark.parametrize("background", [False, True])
def test_the_order_of_events(ours: Server, theirs: Server, background: bool) -> None:
    mine, expected = (
        server.events(server.make(stream=True, background=background)) for server in (ours, theirs)
    )
    queued = ["response.queued"] if background else []  # recorded; the library leaves it to its agents
    assert [name for name in _kinds(mine) if name not in queued] == [
        name for name in _kinds(expected) if name not in queued
    ]
    for events in (mine, expected):
        assert [body["sequence_number"] for _, body in events] == list(range(len(events)))
    names = dict(mine)
    for name, body in expected:
        missing = set(body) - set(names[name])
        assert missing == set(), f"{name} lacks {missing}"


def test_a_stream_is_resumed_after_a_number(ours: Server, theirs: Server) -> None:
    for server in (ours, theirs):
        events = server.events(server.make(stream=True, background=True))
        identifier = events[0][1]["response"]["id"]
        again = server.http.get(f"/responses/{identifier}", params={"stream": "true", "starting_after": 4})
        assert server.events(again) == events[5:]
        whole = server.http.get(f"/responses/{identifier}", params={"stream": "true"})
        assert server.events(whole) == events


def test_a_cancelled_response(ours: Server, theirs: Server) -> None:
    for server in (ours, theirs):
        made = server.running()
        for _ in range(2):
            answer = server.http.post(f"/responses/{made}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
            assert answer.json()["output"] == []
        assert server.status(made) == "cancelled"


def _of_a_synchronous(server: Server) -> str:
    return str(server.make().json()["id"])


Question = Callable[[Server], httpx.Response]
QUESTIONS: dict[str, Question] = {
    "cancel completed": lambda server: server.http.post(f"/responses/{server.done()}/cancel"),
    "cancel synchronous": lambda server: server.http.post(f"/responses/{_of_a_synchronous(server)}/cancel"),
    "delete in flight": lambda server: server.http.delete(f"/responses/{server.running()}"),
    "replay of no background": lambda server: server.http.get(
        f"/responses/{_of_a_synchronous(server)}", params={"stream": "true"}
    ),
    "replay of no stream": lambda server: server.http.get(
        f"/responses/{server.done()}", params={"stream": "true"}
    ),
    "background, not stored": lambda server: server.make(background=True, store=False),
    "17 pairs of metadata": lambda server: server.make(metadata={str(number): "x" for number in range(17)}),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_refusal(ours: Server, theirs: Server, question: str) -> None:
    mine, expected = QUESTIONS[question](ours), QUESTIONS[question](theirs)
    assert mine.status_code == expected.status_code == 400, f"{mine.text}\n{expected.text}"
    mine, expected = mine.json()["error"], expected.json()["error"]
    assert mine["type"] == expected["type"]
    if question != "17 pairs of metadata":  # the classic text, which was recorded
        # Of a stream that it has no more, the library says so, too ("... or the stream TTL has expired").
        assert expected["message"].startswith(mine["message"].rstrip("."))


def test_what_is_gone_is_refused_otherwise_as_recorded(ours: Server, theirs: Server) -> None:
    (their_status, _), (our_status, _) = DIFFERENCES["gone"]
    for server, status in ((ours, our_status), (theirs, their_status)):
        made = server.done()
        deleted = server.http.delete(f"/responses/{made}")
        assert deleted.json() == {"id": made, "object": "response", "deleted": True}
        gone = server.http.get(f"/responses/{made}")
        assert gone.status_code == status
        assert "not found" in gone.json()["error"]["message"]
