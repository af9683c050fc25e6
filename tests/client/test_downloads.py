"""Files saved to a disk."""

import os
from pathlib import Path

import httpx
import pytest

from agent_tasks.client._downloads import local_file_name
from agent_tasks.errors import NotFoundError, TransportError
from tests.client.conftest import Network, Pieces
from tests.client.test_files import FILE


def content(*pieces: bytes | Exception) -> httpx.Response:
    return httpx.Response(200, stream=Pieces(*pieces))


def named(name: str) -> httpx.Response:
    return httpx.Response(200, json={**FILE, "filename": name})


async def test_file_is_saved_under_its_own_name(network: Network, tmp_path: Path) -> None:
    network.answers = [named("chart.png"), content(b"one", b"two")]
    path = await network.client().files.save("assistant-1", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "chart.png"
    assert path.read_bytes() == b"onetwo"
    assert os.listdir(path.parent) == ["chart.png"]


async def test_name_from_outside_stays_within_the_folder(network: Network, tmp_path: Path) -> None:
    network.answers = [named("../../..\\.ssh/authorized_keys\n"), content(b"x")]
    path = await network.client().files.save("assistant-1", tmp_path / "in")
    assert path == tmp_path / "in" / "authorized_keys"


async def test_file_that_is_there_is_left_alone(network: Network, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    network.answers = [content(b"theirs")]
    files = network.client().files
    with pytest.raises(FileExistsError, match="overwrite=True"):
        await files.save("assistant-1", tmp_path, "a.txt")
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert network.requests == []
    await files.save("assistant-1", tmp_path, "a.txt", overwrite=True)
    assert (tmp_path / "a.txt").read_text() == "theirs"


async def test_file_that_appears_during_the_download_is_left_alone(network: Network, tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        (tmp_path / "a.txt").write_text("mine")
        return content(b"theirs")

    network.answers = [answer]
    with pytest.raises(FileExistsError):
        await network.client().files.save("assistant-1", tmp_path, "a.txt")
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(content(b"one", httpx.ReadError("reset")), TransportError), (httpx.Response(404), NotFoundError)],
)
async def test_download_that_fails_leaves_nothing(
    network: Network, tmp_path: Path, answer: httpx.Response, kind: type[Exception]
) -> None:
    def fresh(request: httpx.Request) -> httpx.Response:
        if answer.status_code == 404:
            return httpx.Response(404)
        return content(b"one", httpx.ReadError("reset"))

    network.answers = [fresh]
    with pytest.raises(kind):
        await network.client().files.save("assistant-1", tmp_path, "a.txt")
    assert os.listdir(tmp_path) == []


async def test_link_that_waits_under_the_name_is_not_followed(network: Network, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.txt").symlink_to(tmp_path / "elsewhere")
    network.answers = [content(b"x")]
    with pytest.raises(FileExistsError):
        await network.client().files.save("assistant-1", tmp_path / "out", "a.txt")
    await network.client().files.save("assistant-1", tmp_path / "out", "a.txt", overwrite=True)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("report.pdf", "report.pdf"),
        ("Größe – 100 €.txt", "Größe – 100 €.txt"),
        (".bashrc", "bashrc"),
        ("..txt", "_.txt"),
        (". .txt", "_.txt"),
        ("...tar.gz", "tar.gz"),
        ("../..txt", "_.txt"),
        ("..a.txt", "a.txt"),
        ("..txt.", "_.txt"),
        ("a..txt", "a..txt"),
        ("-rf.txt", "-rf.txt"),
        ("\ud800..txt", "_.txt"),
        ("..\u202etxt.exe", "txt.exe"),
        ("a.txt:stream", "a.txt_stream"),
        ("CON.txt", "_CON.txt"),
        ("a\x00\x1b[31m.txt", "a[31m.txt"),
        ("name. ", "name"),
        ("ü" * 300 + ".docx", "ü" * 125 + ".docx"),
    ],
)
def test_name_fits_this_disk(name: str, local: str) -> None:
    assert local_file_name(name) == local


@pytest.mark.parametrize("name", ["", "..", "/", "a/..", "...", "\x00"])
def test_name_of_which_nothing_is_left_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a file name"):
        local_file_name(name)
