"""Clients that are hostile, slow or many are refused cleanly, and the service serves the others."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from agents_emulator.engine.broker import MAX_WAITING_BYTES, EventBroker
from agents_emulator.guard import Limits
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import agent, get, post, turn, upload, wait_for
from tests.support.service import HELLO, RunningService, start_in_thread, write_rules

LIMITS = Limits(head_timeout=0.3, idle_timeout=0.3, body_timeout=0.8, read_timeout=0.5, max_connections=12)
HEAD = "POST /api/projects/local/threads?api-version=v1 HTTP/1.1\r\nhost: 127.0.0.1\r\n"


@pytest.fixture
def impatient_with_file(tmp_path: Path) -> Iterator[tuple[RunningService, str]]:
    """An impatient service, and the id of a large file that was uploaded before it had no patience."""
    rules = write_rules(tmp_path, HELLO)
    patient = start_in_thread(tmp_path / "data", rules)
    with patient.http() as client:
        file_id = upload(client, "large.txt", b"x" * 30_000_000)
    patient.stop()
    running = start_in_thread(tmp_path / "data", rules, ServiceConfig(limits=LIMITS))
    yield running, file_id
    running.stop()


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("impatient")
    running = start_in_thread(folder / "data", write_rules(folder, HELLO), ServiceConfig(limits=LIMITS))
    yield running
    running.stop()


def connect(running: RunningService) -> socket.socket:
    address = urlsplit(running.origin)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=5)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def is_well(running: RunningService) -> bool:
    return httpx.get(f"{running.origin}/_emulator/health").status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../../../etc/passwd",
        "..\\..\\windows\\system32\\x.txt",
        "/etc/cron.d/x",
        "a\x00b.txt",
        "CON",
        "-rf",
        "x" * 5000 + ".txt",
        "\u202etxt.exe",
        "\U0001f4a3.md",
        "%2e%2e%2fx",
        'quote".txt',
        "line\r\nX-Injected: yes",
        ".",
        "..",
        " ",
    ],
)
def test_hostile_file_names_never_become_paths(shared: RunningService, name: str) -> None:
    with shared.http() as client:
        response = client.post(
            "/files", files={"file": (name, b"content")}, data={"purpose": "assistants", "filename": name}
        )
        assert response.status_code in (200, 400)
        assert "x-injected" not in response.headers
        if response.status_code == 200:
            file = response.json()
            assert client.get(f"/files/{file['id']}/content").content == b"content"
            stored = list((shared.data_dir / "files").iterdir())
            assert shared.data_dir / "files" / file["id"] in stored
            assert all(path.name.startswith("assistant-") for path in stored)
    assert not (shared.data_dir.parent / "etc").exists()


@pytest.mark.parametrize("identifier", ["..%2f..%2fservice.db", "%00", "x" * 4000, "*", "';--", "%ff%fe"])
def test_hostile_identifiers_are_unknown(shared: RunningService, identifier: str) -> None:
    with shared.http() as client:
        for path in (
            f"/files/{identifier}/content",
            f"/assistants/{identifier}",
            f"/threads/{identifier}/runs",
        ):
            assert client.get(path).status_code in (400, 404)


def test_a_huge_json_body_is_refused(shared: RunningService) -> None:
    with shared.http() as client:
        declared = client.post("/threads", content=b" " * (17 * 1024 * 1024))
        assert declared.status_code == 413
        assert declared.json()["error"]["code"] == "PayloadTooLarge"
    assert is_well(shared)


def test_an_endless_body_is_cut_off(impatient: RunningService) -> None:
    with connect(impatient) as connection:
        connection.sendall((HEAD + "transfer-encoding: chunked\r\n\r\n").encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, whichever is seen first
            send_for_ever(connection, chunk)
    assert is_well(impatient)


def send_for_ever(connection: socket.socket, chunk: bytes) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        connection.sendall(chunk)


def test_large_bodies_with_many_parts_are_answered_in_time(shared: RunningService) -> None:
    messages = [{"role": "user", "content": "x", "metadata": {"n": str(n)}} for n in range(5000)]
    with shared.http() as client:
        started = time.monotonic()
        assert client.post("/threads", json={"messages": messages}).status_code == 200
        bad = {"messages": [*messages, {"role": "nobody", "content": "x"}]}
        error = post(client, "/threads", bad, status=400)["error"]
    assert error["param"] == "messages[5000].role"
    assert time.monotonic() - started < 15


def test_a_slow_head_times_out(impatient: RunningService) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /api/projects/local/threads HTTP/1.1\r\nhost: 127")
        answer = read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"RequestTimeout"' in answer


def test_a_head_in_drops_times_out_all_the_same(impatient: RunningService) -> None:
    started = time.monotonic()
    with connect(impatient) as connection:
        try:
            for letter in HEAD * 3:
                connection.sendall(letter.encode())
                time.sleep(0.02)
        except OSError:
            pass
    assert time.monotonic() - started < 2


def test_a_silent_connection_is_closed(impatient: RunningService) -> None:
    with connect(impatient) as connection:
        assert read_all(connection) == b""


def test_a_second_slow_head_on_a_connection_times_out(impatient: RunningService) -> None:
    with connect(impatient) as connection:
        connection.sendall(b"GET /_emulator/health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /_emulator")
        answer = read_all(connection)
    assert b"HTTP/1.1 408 " in answer


@pytest.mark.parametrize("pause", [0.0, 0.1])
def test_a_slow_body_times_out(impatient: RunningService, pause: float) -> None:
    # Without a pause nothing comes at all; with one, each piece is in time but the whole is not.
    started = time.monotonic()
    with connect(impatient) as connection:
        connection.sendall((HEAD + "content-type: application/json\r\ncontent-length: 100\r\n\r\n{").encode())
        answer = b""
        try:
            for _ in range(30 if pause else 0):
                connection.sendall(b" ")
                time.sleep(pause)
            answer = read_all(connection)
        except OSError:
            answer += b"HTTP/1.1 408 "  # the answer was there, and lost to a reset by what was sent after it
    assert b"HTTP/1.1 408 " in answer
    assert time.monotonic() - started < 5
    assert wait_for(lambda: impatient.requests("threads.create")[-1]["status"] == 408)


def test_a_slow_upload_times_out_and_leaves_nothing(impatient: RunningService) -> None:
    head = HEAD.replace("/threads", "/files") + "content-type: multipart/form-data; boundary=b\r\n"
    with connect(impatient) as connection:
        connection.sendall((head + "content-length: 5000\r\n\r\n--b\r\n").encode())
        assert read_all(connection).startswith(b"HTTP/1.1 408 ")
    assert list((impatient.data_dir / "files").iterdir()) == []


def test_a_reader_that_stops_reading_is_dropped(impatient_with_file: tuple[RunningService, str]) -> None:
    impatient, file_id = impatient_with_file
    with connect(impatient) as connection:
        path = f"/api/projects/local/files/{file_id}/content?api-version=v1"
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        time.sleep(1.2)
        assert len(read_all(connection)) < 30_000_000
    assert is_well(impatient)


def test_too_many_connections_are_refused_and_room_comes_back(impatient: RunningService) -> None:
    started = time.monotonic()
    connections = [connect(impatient) for _ in range(LIMITS.max_connections + 3)]
    refused = [read_all(connection) for connection in connections[-2:]]
    for connection in connections:
        connection.close()
    assert all(answer.startswith(b"HTTP/1.1 503 ") for answer in refused)
    body = json.loads(refused[0].partition(b"\r\n\r\n")[2])
    assert body["error"]["code"] == "ServiceUnavailable"
    wait_for(lambda: _answers(impatient))
    assert time.monotonic() - started < 5


def _answers(running: RunningService) -> bool:
    try:
        return is_well(running)
    except httpx.TransportError:
        return False


def test_what_is_no_http_is_refused(impatient: RunningService) -> None:
    for request in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTQ/1.1\r\n\r\n", b"\r\n" * 50, b"A" * 200_000):
        with connect(impatient) as connection:
            try:
                connection.sendall(request)
            except OSError:
                continue
            assert not read_all(connection).startswith(b"HTTP/1.1 5")
    assert is_well(impatient)


def test_a_stream_that_is_not_read_is_bounded() -> None:
    broker = EventBroker()
    subscription = broker.subscribe("run_x")
    for _ in range(100):
        subscription.send(b"x" * (MAX_WAITING_BYTES // 50))
    waiting = subscription._frames.qsize()
    assert waiting <= 52


def test_a_browser_page_under_another_name_is_refused(shared: RunningService) -> None:
    answer = httpx.get(f"{shared.origin}/_emulator/requests", headers={"host": "evil.example"})
    assert answer.status_code == 403


def test_the_service_answers_while_others_are_slow(impatient: RunningService, tmp_path: Path) -> None:
    slow: list[Any] = [connect(impatient) for _ in range(4)]
    for connection in slow:
        connection.sendall(HEAD.encode())
    with impatient.http() as client:
        started = time.monotonic()
        get(client, "/threads")
        post(client, "/threads/runs", turn(agent(client), "hi"))
        assert time.monotonic() - started < 2
    for connection in slow:
        connection.close()
