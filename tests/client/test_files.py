"""Uploads and downloads."""

import re
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import httpx
import pytest

from agent_tasks.client._uploads import safe_file_name
from agent_tasks.errors import NotFoundError, TransportError
from tests.client.conftest import Network, Pieces

FILE = {
    "id": "assistant-1",
    "object": "file",
    "bytes": 1,
    "filename": "a.txt",
    "created_at": 1,
    "purpose": "assistants",
}
OK = httpx.Response(200, json=FILE)


def parts(request: httpx.Request) -> dict[str, tuple[str | None, bytes]]:
    """The form fields of a request: name -> (file name, content)."""
    head = b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n"
    message = BytesParser(policy=HTTP).parsebytes(head + request.content)
    found = {}
    for part in message.iter_parts():
        name = re.search(r'\bname="([^"]*)"', part["content-disposition"])
        assert name is not None
        found[name[1]] = (part.get_filename(), part.get_payload(decode=True))
    return found  # type: ignore[return-value]


async def test_upload_of_bytes(network: Network) -> None:
    network.answers = [OK]
    await network.client().files.upload(b"con\x00tent", "a.txt", purpose="vision")
    assert parts(network.requests[0]) == {"purpose": (None, b"vision"), "file": ("a.txt", b"con\x00tent")}


async def test_upload_of_a_path_is_read_anew_at_every_try(network: Network, tmp_path: Path) -> None:
    file = tmp_path / "report.pdf"
    file.write_bytes(b"x" * 200_000)
    network.answers = [httpx.Response(429), httpx.ConnectError("refused"), OK]
    await network.client().files.upload(file)
    assert len(network.requests) == 3
    for request in network.requests:
        assert parts(request)["file"] == ("report.pdf", b"x" * 200_000)


async def test_upload_of_a_missing_file_is_an_os_error(network: Network, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await network.client().files.upload(tmp_path / "missing.txt")
    assert network.requests == []


async def test_bytes_need_a_name(network: Network) -> None:
    with pytest.raises(ValueError, match="file name"):
        await network.client().files.upload(b"x")


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("Größe – 100 €.txt", "Größe – 100 €.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.txt", "a.txt"),
        ('a".txt\r\nX-Evil: 1', "a.txtX-Evil: 1"),
        ("a\x00b\u202e.txt", "ab.txt"),
        ("x" * 300 + ".docx", "x" * 250 + ".docx"),
    ],
)
def test_name_is_made_safe(name: str, safe: str) -> None:
    assert safe_file_name(name) == safe


@pytest.mark.parametrize("name", ["", "/", "..", "a/..", "\r\n", ". ."])
def test_name_of_which_nothing_is_left_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        safe_file_name(name)


async def test_name_cannot_break_out_of_its_header(network: Network) -> None:
    network.answers = [OK]
    await network.client().files.upload(b"x", 'a"; name="purpose"\r\n\r\nevil')
    assert set(parts(network.requests[0])) == {"purpose", "file"}
    assert b"\r\n\r\nevil" not in network.requests[0].content


async def test_content_comes_in_pieces(network: Network) -> None:
    body = Pieces(b"one", b"two")
    network.answers = [httpx.Response(503), httpx.Response(200, stream=body)]
    assert [piece async for piece in network.client().files.get_content("assistant-1")] == [b"one", b"two"]
    assert network.requests[1].url.path.endswith("/files/assistant-1/content")
    assert body.closed


async def test_content_that_is_cut_off_is_an_error(network: Network) -> None:
    body = Pieces(b"one", httpx.ReadError("reset"))
    network.answers = [httpx.Response(200, stream=body)]
    with pytest.raises(TransportError, match="no complete answer"):
        _ = [piece async for piece in network.client().files.get_content("assistant-1")]
    assert body.closed


async def test_content_that_is_not_there(network: Network) -> None:
    network.answers = [httpx.Response(404)]
    with pytest.raises(NotFoundError):
        await anext(aiter(network.client().files.get_content("assistant-1")))
