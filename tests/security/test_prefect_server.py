"""What a page in a browser, or another user of the machine, tries on the Prefect server of a state folder."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from agent_tasks.local.server_access import auth_path, auth_string, basic, ui_folder
from agent_tasks.local.servers import prefect_server
from agent_tasks.settings import Settings
from tests.support.prefect_api import prefect_api
from tests.support.processor import descendants

FOREIGN = "https://evil.example"
JSON = {"Content-Type": "application/json"}
VARIABLE = {"name": "planted", "value": "by a page"}


class Target:
    """A running server, and what those who may use it send."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self.auth = auth_string(settings.state_dir)
        self.http = prefect_api(url)
        self.ours = {"Authorization": basic(self.auth)}

    @property
    def variables(self) -> int:
        """How many variables there are: what an attack would have planted."""
        answer = self.http.post("/variables/count", json={}, headers=self.ours)
        answer.raise_for_status()
        return int(answer.json())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server of a state folder."""
    settings = Settings(state_dir=tmp_path_factory.mktemp("attacked") / "state", prefect_api_url=None)
    with prefect_server(settings) as url:
        made = Target(url, settings)
        with made.http:
            yield made


Attack = Callable[[Target], httpx.Response]


def _posted(headers: dict[str, str], body: bytes | None = None) -> Attack:
    content = body if body is not None else json.dumps(VARIABLE).encode()
    return lambda target: target.http.post("/variables/", content=content, headers=headers)


def _read(path: str, headers: dict[str, str] | None = None) -> Attack:
    return lambda target: target.http.get(path, headers=headers or {})


def _with(auth: Callable[[Target], str]) -> Attack:
    return lambda target: target.http.post(
        "/variables/", json=VARIABLE, headers={"Authorization": auth(target)}
    )


ATTACKS: dict[str, Attack] = {
    "no token": _posted(JSON),
    "no token, from a foreign page": _posted({**JSON, "Origin": FOREIGN}),
    "no token, from its own pages' origin": lambda target: target.http.post(
        "/variables/", json=VARIABLE, headers={"Origin": str(target.http.base_url).removesuffix("/api/")}
    ),
    "simple POST as text/plain": _posted({"Content-Type": "text/plain", "Origin": FOREIGN}),
    "simple POST as a form": _posted(
        {"Content-Type": "application/x-www-form-urlencoded", "Origin": FOREIGN}, b"name=planted&value=x"
    ),
    "simple POST as multipart": _posted(
        {"Content-Type": "multipart/form-data; boundary=x", "Origin": FOREIGN},
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nplanted\r\n--x--\r\n',
    ),
    "simple POST without a content type": _posted({"Origin": FOREIGN}),
    "rebound name as Host": _posted({**JSON, "Host": "evil.example:80", "Origin": "http://evil.example"}),
    "Host that looks like the health check": _posted({**JSON, "Host": "127.0.0.1/api/health?"}),
    "path that ends like the health check": lambda target: target.http.get("/variables/name/health"),
    "path that climbs out of the health check": lambda target: target.http.get("/health/../variables/name/x"),
    "wrong token": _with(lambda _: basic("agent-tasks:wrong")),
    "empty token": _with(lambda _: basic(":")),
    "token of another scheme": _with(lambda target: f"Bearer {target.auth}"),
    "token that is not base64": _with(lambda target: f"Basic {target.auth}"),
    "only the user's name": _with(lambda _: basic("agent-tasks:")),
    "token with one letter less": _with(lambda target: basic(target.auth[:-1])),
    "token as a cookie": lambda target: target.http.post(
        "/variables/", json=VARIABLE, headers={"Cookie": f"Authorization={basic(target.auth)}"}
    ),
    "token in the address": lambda target: target.http.post(
        "/variables/", params={"Authorization": basic(target.auth)}, json=VARIABLE
    ),
    "reading the version": _read("/admin/version"),
    "reading the settings": _read("/admin/settings"),
    "reading the API's description": _read("/openapi.json"),
    "reading as a foreign page": _read("/flows/count", {"Origin": FOREIGN}),
    "emptying the database": lambda target: target.http.post("/admin/database/clear", json={"confirm": True}),
}


@pytest.mark.attack
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_requests_without_the_auth_string_do_and_learn_nothing(target: Target, attack: Attack) -> None:
    before = target.variables
    answer = attack(target)
    assert answer.status_code in (401, 404, 405), answer.text
    if answer.status_code == 401:
        assert answer.json() == {"exception_message": "Unauthorized"}
    assert answer.headers.get("Access-Control-Allow-Origin") not in ("*", FOREIGN, "http://evil.example")
    assert target.variables == before


@pytest.mark.attack
@pytest.mark.parametrize(
    "origin", [FOREIGN, "null", "http://127.0.0.1", "http://127.0.0.1:1", "http://localhost"]
)
def test_a_preflight_of_a_foreign_origin_is_refused(target: Target, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    answer = target.http.options("/variables/", headers=asked)
    assert answer.status_code == 400
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.attack
def test_an_answer_to_a_foreign_page_is_not_readable_there_even_with_the_auth_string(target: Target) -> None:
    answer = target.http.get("/admin/version", headers={**target.ours, "Origin": FOREIGN})
    assert answer.status_code == 200
    assert "Access-Control-Allow-Origin" not in answer.headers


SOCKETS = ["/events/in", "/events/out", "/logs/out"]


def _open_socket(target: Target, path: str, message: dict[str, str] | None) -> None:
    """Open a socket as a foreign page would, and wait for two answers: that it is open, and some news."""
    address = str(target.http.base_url).rstrip("/").replace("http://", "ws://") + path
    protocols = [Subprotocol("prefect")] if message is not None else None
    with connect(address, subprotocols=protocols, origin=Origin(FOREIGN), proxy=None) as socket:
        if message is not None:
            socket.send(json.dumps(message))
        socket.recv(timeout=10)
        socket.recv(timeout=10)


@pytest.mark.attack
@pytest.mark.parametrize(
    "message",
    [{"type": "auth", "token": "wrong"}, {"type": "auth"}, {"type": "event"}, None],
    ids=["wrong token", "no token", "an event at once", "without the protocol"],
)
@pytest.mark.parametrize("path", SOCKETS)
def test_a_socket_opened_from_a_foreign_page_is_closed(
    target: Target, path: str, message: dict[str, str] | None
) -> None:
    with pytest.raises((ConnectionClosed, InvalidStatus)):
        _open_socket(target, path, message)


@pytest.mark.attack
def test_the_auth_string_stands_in_no_argument_log_or_readable_file(target: Target) -> None:
    state, secret = target.settings.state_dir, target.auth.partition(":")[2].encode()
    assert stat.S_IMODE(auth_path(state).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    guarded = [os.getpid(), *descendants(os.getpid())]
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in guarded]
    assert any(b"supervisor.py" in line for line in lines)
    assert not [line for line in lines if secret in line]
    files = [path for path in state.rglob("*") if path.is_file() and ui_folder(state) not in path.parents]
    holders = [path for path in files if secret in path.read_bytes()]
    assert holders == [auth_path(state)]


def test_those_who_have_the_auth_string_are_served(target: Target) -> None:
    before = target.variables
    made = target.http.post("/variables/", json=VARIABLE, headers=target.ours)
    assert made.status_code == 201
    assert target.variables == before + 1
    assert target.http.get("/health").status_code == 200
    origin = str(target.http.base_url).removesuffix("/api/")
    answer = target.http.get("/admin/version", headers={**target.ours, "Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
