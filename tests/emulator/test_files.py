"""Uploads: names are data, contents are kept, limits hold."""

from __future__ import annotations

from typing import Any

import pytest

from agents_emulator import endpoints
from tests.emulator.helpers import get, upload
from tests.support.service import RunningService


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/abs/olute.txt",
        "räch nung ✓.pdf",
        "a b;c=d.txt",
        ".",
        "con\\aux.txt",
        "x" * 300 + ".txt",
    ],
)
def test_names_are_echoed_and_never_become_paths(service: Any, name: str) -> None:
    running = service()
    with running.http() as client:
        identifier = upload(client, name, b"content")
        file = get(client, f"/files/{identifier}")
        content = client.get(f"/files/{identifier}/content").content
    assert file["filename"] == name
    assert file["bytes"] == 7
    assert content == b"content"
    assert [path.name for path in (running.data_dir / "files").iterdir()] == [identifier]


def test_any_bytes_come_back_unchanged(shared: RunningService) -> None:
    content = bytes(range(256)) * 8192  # 2 MB: more than is kept in memory while it is received
    with shared.http() as client:
        identifier = upload(client, "all.bin", content)
        response = client.get(f"/files/{identifier}/content")
    assert response.content == content
    assert response.headers["content-length"] == str(len(content))


def test_a_deleted_file_leaves_nothing_on_disk(service: Any) -> None:
    running = service()
    with running.http() as client:
        identifier = upload(client, "a.txt", b"x")
        assert client.delete(f"/files/{identifier}").json() == {
            "object": "file",
            "deleted": True,
            "id": identifier,
        }
        get(client, f"/files/{identifier}/content", status=404)
    assert list((running.data_dir / "files").iterdir()) == []


def test_the_list_filters_by_purpose(service: Any) -> None:
    with service().http() as client:
        upload(client, "a.txt", b"x")
        client.post("/files", files={"file": ("b.txt", b"y")}, data={"purpose": "vision"})
        names = [file["filename"] for file in get(client, "/files", purpose="vision")["data"]]
        everything = get(client, "/files")
    assert names == ["b.txt"]
    assert list(everything) == ["object", "data"]


@pytest.mark.parametrize(
    ("files", "data", "param"),
    [
        ({"file": ("a.txt", b"x")}, {}, "purpose"),
        ({"file": ("a.txt", b"x")}, {"purpose": "fun"}, "purpose"),
        ({"other": ("a.txt", b"x")}, {"purpose": "assistants"}, "file"),
    ],
)
def test_an_incomplete_form_is_refused(shared: RunningService, files: Any, data: Any, param: str) -> None:
    with shared.http() as client:
        response = client.post("/files", files=files, data=data)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary=x"]
)
def test_a_broken_form_is_refused(shared: RunningService, content_type: str) -> None:
    with shared.http() as client:
        response = client.post("/files", content=b"--y\r\n garbage", headers={"content-type": content_type})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_bodies_beyond_the_limits_are_refused(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_UPLOAD_BYTES", 1000)
    monkeypatch.setattr(endpoints, "MAX_JSON_BYTES", 1000)
    running = service()
    with running.http() as client:
        big = client.post("/files", files={"file": ("a.txt", b"x" * 100_000)}, data={"purpose": "assistants"})
        chunked = client.post("/threads", content=(b"x" * 500 for _ in range(10)))
        declared = client.post("/threads", content=b"x" * 5000)
    for response in (big, chunked, declared):
        assert response.status_code == 413
        assert response.json()["error"]["code"] == "PayloadTooLarge"
    assert list((running.data_dir / "files").iterdir()) == []
