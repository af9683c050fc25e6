"""Pages of a browser, programs without the token and other users of the machine against the service."""

from __future__ import annotations

import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from agents_emulator.service import ServiceConfig
from tests.support.service import HELLO, RunningService, start_in_thread, write_rules

attack = pytest.mark.attack
THREADS = "/api/projects/local/threads?api-version=v1"
OWN_PAGES = ("health", "requests", "generations", "verdict", "faults")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("service")
    service = start_in_thread(folder / "data", write_rules(folder, HELLO))
    yield service
    service.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("guarded")
    service = start_in_thread(folder / "data", write_rules(folder, HELLO), ServiceConfig(token="t"))
    yield service
    service.stop()


def rows(service: RunningService) -> int:
    return len(service.requests())


def refused(answer: httpx.Response, status: int = 403) -> bool:
    return answer.status_code == status and set(answer.json()) == {"error"}


@attack
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "https://OWN",
        "http://OWN.evil.example",
        "http://localhost:OWN_PORT",
        "",
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "application/json"])
def test_a_page_of_another_origin_posts(running: RunningService, origin: str, kind: str) -> None:
    own = urlsplit(running.origin)
    named = origin.replace("OWN_PORT", str(own.port)).replace("OWN", own.netloc)
    before = rows(running)
    headers = {"origin": named, "content-type": kind}
    answer = httpx.post(running.origin + THREADS, content=b"{}", headers=headers)
    assert refused(answer)
    assert "access-control-allow-origin" not in answer.headers
    assert rows(running) == before


@attack
@pytest.mark.parametrize("page", OWN_PAGES)
def test_a_page_of_another_origin_reads_the_log(running: RunningService, page: str) -> None:
    address = f"{running.origin}/_emulator/{page}"
    assert refused(httpx.get(address, headers={"origin": "https://evil.example"}))
    assert refused(httpx.get(address, headers={"sec-fetch-site": "cross-site"}))


@attack
def test_a_page_of_another_origin_sets_faults(running: RunningService) -> None:
    address = f"{running.origin}/_emulator/faults"
    headers = {"origin": "https://evil.example", "content-type": "text/plain"}
    assert refused(httpx.put(address, content=b"rules: []", headers=headers))
    assert refused(httpx.delete(address, headers=headers))


@attack
def test_a_preflight_is_granted_nothing(running: RunningService) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    answer = httpx.options(running.origin + THREADS, headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@attack
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_an_image_of_a_page_asks_for_an_address(running: RunningService, site: str) -> None:
    before = rows(running)
    assert refused(httpx.get(running.origin + THREADS, headers={"sec-fetch-site": site}))
    assert rows(running) == before


@attack
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=UTF-8, application/json",
        "text/plain; x=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        None,
    ],
)
def test_a_body_that_does_not_say_it_is_json(running: RunningService, kind: str | None) -> None:
    """What a browser sends without asking, from a page whose origin it does not tell."""
    headers = {} if kind is None else {"content-type": kind}
    answer = httpx.post(running.origin + THREADS, content=b'{"metadata": {"a": "b"}}', headers=headers)
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "unsupported_content_type"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@attack
def test_a_form_of_another_page_uploads_a_file(running: RunningService) -> None:
    answer = httpx.post(
        f"{running.endpoint}/files?api-version=v1",
        files={"file": ("a.txt", b"x")},
        data={"purpose": "assistants"},
        headers={"origin": "https://evil.example"},
    )
    assert refused(answer)
    with running.http() as client:
        assert client.get("/files").json()["data"] == []


@attack
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
        "evil@evil.example",
        "[::",
        "127.1",
    ],
)
def test_a_name_that_was_made_to_resolve_here(running: RunningService, host: str) -> None:
    """DNS rebinding: the page's own name leads to 127.0.0.1, so its origin is the service's."""
    before = rows(running)
    headers = {"host": host, "origin": f"http://{host}"}
    answer = httpx.get(running.origin + THREADS, headers=headers)
    assert answer.status_code in (400, 403)
    assert rows(running) == before


@attack
@pytest.mark.parametrize("path", [THREADS, "/nothing", "/_emulator/nothing", "/api/projects/p/assistants"])
def test_requests_without_the_token_fill_no_database(guarded: RunningService, path: str) -> None:
    size = sum(file.stat().st_size for file in guarded.data_dir.glob("service.db*"))
    with httpx.Client(base_url=guarded.origin) as client:
        for _ in range(50):
            answer = client.get(path, params={"api-version": "v1", "junk": "x" * 20_000})
            assert refused(answer, 401)
    assert sum(file.stat().st_size for file in guarded.data_dir.glob("service.db*")) == size


@attack
def test_a_large_body_without_the_token_is_not_read(guarded: RunningService) -> None:
    address = urlsplit(guarded.origin)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=5) as connection:
        head = f"POST {THREADS} HTTP/1.1\r\nhost: x\r\ncontent-length: 500000000\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(200).startswith(b"HTTP/1.1 401")


def test_programs_and_the_services_own_pages_are_let_in(running: RunningService) -> None:
    own = {"origin": running.origin, "sec-fetch-site": "same-origin"}
    for headers in ({}, own, {"sec-fetch-site": "none"}):
        answer = httpx.post(running.origin + THREADS, json={}, headers=headers)
        assert answer.status_code == 200, answer.text
    assert httpx.post(running.origin + THREADS).status_code == 200
    kind = {"content-type": "Application/JSON; charset=utf-8"}
    assert httpx.post(running.origin + THREADS, content=b"{}", headers=kind).status_code == 200


def start(data: Path, umask: int, *options: str, cwd: Path | None = None) -> dict[str, Any]:
    """Start the service in a process with this umask, ask it for something, and stop it; its ready file."""
    ready = data.parent / "ready.json"
    command = [sys.executable, "-m", "agents_emulator", "--data-dir", str(data), "--ready-file", str(ready)]
    command += ["--model", write_rules(data.parent, HELLO), *options]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(command, umask=umask, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        said: dict[str, Any] = json.loads(ready.read_text("utf-8"))
        trusted = ssl.create_default_context(cafile=said["certificate"]) if "certificate" in said else True
        with httpx.Client(base_url=said["endpoint"], params={"api-version": "v1"}, verify=trusted) as client:
            client.post("/files", files={"file": ("a.txt", b"x")}, data={"purpose": "assistants"})
            client.post("/threads", json={}).raise_for_status()
        return said
    finally:
        process.terminate()
        process.wait(10)


def open_to_others(folder: Path) -> list[str]:
    paths = [folder, *folder.rglob("*")]
    return [str(path) for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077]


@attack
@pytest.mark.parametrize("umask", [0, 0o022, 0o777], ids=["000", "022", "777"])
def test_another_user_reads_the_data_folder(tmp_path: Path, umask: int) -> None:
    data = tmp_path / "data"
    start(data, umask)
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    files = [path for path in data.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert len(files) >= 3
    assert open_to_others(data) == []
    assert stat.S_IMODE((tmp_path / "ready.json").stat().st_mode) == 0o600


@attack
def test_another_user_reads_the_data_folder_of_an_older_version(tmp_path: Path) -> None:
    data = tmp_path / "data"
    start(data, 0o022)
    (tmp_path / "ready.json").unlink()
    for path in (data, *data.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    start(data, 0o022)
    assert open_to_others(data) == []


def test_the_certificate_of_the_ready_file_is_found_from_anywhere(tmp_path: Path) -> None:
    said = start(tmp_path / "data", 0o022, "--tls", "--data-dir", "data", cwd=tmp_path)
    assert Path(said["certificate"]) == tmp_path / "data" / "certificate.pem"
    assert Path(said["certificate"]).is_absolute()


@attack
def test_one_request_with_twenty_thousand_messages_holds_up_the_others(running: RunningService) -> None:
    import threading

    slowest = 0.0
    done = threading.Event()

    def ask() -> None:
        nonlocal slowest
        with running.http() as client:
            while not done.is_set():
                began = time.process_time()  # of the service too, and the same on a machine with much to do
                client.get("/assistants").raise_for_status()
                slowest = max(slowest, time.process_time() - began)

    other = threading.Thread(target=ask)
    other.start()
    try:
        with running.http() as client:
            client.timeout = httpx.Timeout(60)
            body = {"messages": [{"role": "user", "content": "x"}] * 20_000}
            thread = client.post("/threads", json=body)
            assert thread.status_code == 200
    finally:
        done.set()
        other.join()
    assert slowest < 5, f"{slowest} s of processor time"


@attack
def test_a_thread_of_more_messages_than_there_may_be(
    running: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents_emulator.resources.messages.MAX_THREAD_MESSAGES", 2000)
    body = {"messages": [{"role": "user", "content": "x"}] * 2001}
    with running.http() as client:
        answer = client.post("/threads", json=body)
    assert answer.status_code == 400
    assert "2000 messages at most" in answer.text
