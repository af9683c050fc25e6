"""What is refused before an operation is reached, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from agents_emulator.app import OPERATIONS
from agents_emulator.server import main
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import get, post
from tests.support.service import RunningService, write_rules


@pytest.mark.parametrize("version", [None, "2019-01-01", ""])
def test_the_api_version_is_required_and_checked(shared: RunningService, version: str | None) -> None:
    params = {} if version is None else {"api-version": version}
    response = httpx.get(f"{shared.endpoint}/assistants", params=params)
    assert response.status_code == 400
    error = response.json()["error"]
    assert list(error) == ["code", "message"]
    assert error["code"] == "UnsupportedApiVersionValue"
    assert "v1, 2025-05-15-preview" in error["message"]


@pytest.mark.parametrize("version", ["v1", "2025-05-15-preview", "2024-07-01-preview"])
def test_known_versions_are_served(shared: RunningService, version: str) -> None:
    response = httpx.get(f"{shared.endpoint}/assistants", params={"api-version": version})
    assert response.status_code == 200


@pytest.mark.parametrize("path", ["/nothing", "/threads/thread_x/nothing", "/threads/", "/../../x"])
def test_unknown_paths_get_the_gateways_404(shared: RunningService, path: str) -> None:
    with shared.http() as client:
        assert get(client, path, status=404) == {"error": {"code": "404", "message": "Resource not found"}}


def test_any_project_name_is_served(shared: RunningService) -> None:
    running = shared
    response = httpx.get(f"{running.origin}/api/projects/other/assistants", params={"api-version": "v1"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'"x"',
        b'{"a": NaN}',
        b'{"name": "\\ud800"}',
        b"[" * 100_000,
        b"\xff",
        b'{"n": 1' + b"0" * 5000 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_refused(shared: RunningService, body: bytes) -> None:
    with shared.http() as client:
        response = client.post("/threads", content=body, headers={"content-type": "application/json"})
    assert response.status_code == 400, response.text
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("path", "noun"),
    [
        ("/assistants/nope", "assistant"),
        ("/threads/nope", "thread"),
        ("/threads/nope/messages", "thread"),
        ("/threads/nope/runs/run_x", "thread"),
        ("/files/nope", "file"),
        ("/vector_stores/nope", "vector store"),
    ],
)
def test_what_does_not_exist_is_named(shared: RunningService, path: str, noun: str) -> None:
    with shared.http() as client:
        error = get(client, path, status=404)["error"]
    assert error["message"] == f"No {noun} found with id 'nope'."
    assert list(error) == ["message", "type", "param", "code"]


def test_with_a_token_every_request_needs_it(service: Any) -> None:
    running = service(config=ServiceConfig(token="secret-token"))
    url = f"{running.endpoint}/assistants?api-version=v1"
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic secret-token"}):
        response = httpx.get(url, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "PermissionDenied"
    assert httpx.get(f"{running.origin}/_emulator/requests").status_code == 401
    accepted = {"authorization": "Bearer secret-token"}
    assert httpx.get(url, headers=accepted).status_code == 200
    log = httpx.get(f"{running.origin}/_emulator/requests", headers=accepted).text
    assert "secret-token" not in log


def test_without_a_token_other_host_names_are_refused(shared: RunningService) -> None:
    response = httpx.get(f"{shared.endpoint}/assistants?api-version=v1", headers={"host": "evil.example"})
    assert response.status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_other_machines_are_not_served_without_a_token(
    host: str, tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTS_EMULATOR_TOKEN", raising=False)
    with pytest.raises(SystemExit) as stopped:
        main(["--host", host, "--data-dir", str(tmp_path), "--model", "smollm2"])
    assert stopped.value.code == 2
    assert "--token-file" in capsys.readouterr().err


def test_a_wrong_model_is_named(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data-dir", str(tmp_path), "--model", "gpt-9"]) == 2
    assert "gpt-9" in capsys.readouterr().err


def test_a_data_directory_serves_one_service(
    service: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    running = service()
    monkeypatch.setattr("agents_emulator.service.WAIT_FOR_DATA_DIRECTORY", 0.1)
    model = write_rules(tmp_path, {"rules": []})
    assert main(["--data-dir", str(running.data_dir), "--model", model]) == 2
    assert "another service" in capsys.readouterr().err


def test_the_operations_are_those_of_the_service() -> None:
    assert len({operation.name for operation in OPERATIONS}) == 42
    assert len({(operation.method, operation.path) for operation in OPERATIONS}) == 42


def test_an_unexpected_failure_is_a_plain_500(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    running = service()

    async def explode(*args: Any) -> None:
        raise ZeroDivisionError("inner detail")

    with running.http() as client:
        thread = post(client, "/threads")
        monkeypatch.setattr(running.server._app.state.service.store, "read", explode)
        response = client.get(f"/threads/{thread['id']}")
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "server_error"
    assert "inner detail" not in response.text
