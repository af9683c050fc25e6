"""Which files of a folder are documents."""

import io
import os
from pathlib import Path

import pytest

from agent_tasks.documents import discovery
from agent_tasks.documents.discovery import DocumentFile, discover
from agent_tasks.errors import (
    ConfigurationError,
    DocumentTooLongError,
    UnreadableDocumentError,
    UnsupportedDocumentError,
)


def _names(found: list[DocumentFile]) -> dict[str, str | None]:
    return {file.name: type(file.problem).__name__ if file.problem else None for file in found}


def test_documents_are_found_recursively_sorted_and_without_hidden_ones(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "a/z.md",
        "a/B.TXT",
        ".git/x.txt",
        ".hidden.txt",
        "c.xlsx",
        "out/report.md",
        "old/x.txt",
        "p.md",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    found = discover(
        tmp_path, suffixes=(".txt", ".md"), ignore=("old/*",), exclude=[tmp_path / "out", tmp_path / "p.md"]
    )
    assert list(_names(found)) == ["a/B.TXT", "a/z.md", "b.txt", "c.xlsx"]
    assert _names(found)["c.xlsx"] == "UnsupportedDocumentError"


def test_links_never_lead_out_of_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder = tmp_path / "documents"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "real.txt").write_text("real")
    (folder / "inside.txt").symlink_to(folder / "sub" / "real.txt")
    (folder / "outside.txt").symlink_to(secret)
    (folder / "parent").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.txt").symlink_to(folder / "absent.txt")
    found = discover(folder, suffixes=(".txt",))
    assert _names(found) == {
        "dangling.txt": "UnreadableDocumentError",
        "inside.txt": None,
        "loop": "UnsupportedDocumentError",
        "outside.txt": "UnsupportedDocumentError",
        "parent": "UnsupportedDocumentError",
        "sub/real.txt": None,
    }
    with pytest.raises(UnsupportedDocumentError, match="out of the folder"):
        next(file for file in found if file.name == "outside.txt").read(100)


def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    [pipe] = discover(tmp_path, suffixes=(".txt",))
    with pytest.raises(UnsupportedDocumentError, match="not a regular file"):
        pipe.read(100)


def test_reading_is_bounded_and_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("12345")
    [file] = discover(tmp_path, suffixes=(".txt",))
    assert file.read(5) == b"12345"
    with pytest.raises(DocumentTooLongError, match="max_document_bytes"):
        file.read(4)
    file.path.unlink()
    with pytest.raises(UnreadableDocumentError, match=r"a\.txt"):
        file.read(5)


def test_names_that_are_no_text_are_shown_escaped(tmp_path: Path) -> None:
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w") as file:
        file.write("x")
    [found] = discover(tmp_path, suffixes=(".txt",))
    assert found.name == "caf\\xe9.txt"
    assert found.read(5) == b"x"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a folder"):
        discover(tmp_path / "absent", suffixes=(".txt",))


def test_two_files_never_have_one_name(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    names = [
        b"bad\xff.txt",
        b"bad\\xff.txt",
        b"bad\\x5cxff.txt",
        b"bad\\\xff.txt",
        b"a\\b.txt",
        b"x" * 200 + b".txt",
    ]
    for number, name in enumerate(names):
        with open(folder + b"/" + name, "w") as file:
            file.write(str(number))
    found = discover(tmp_path, suffixes=(".txt",))
    assert len({file.name for file in found}) == len(names)
    assert sorted(file.read(5) for file in found) == [b"%d" % number for number in range(len(names))]
    assert "a\\b.txt" in _names(found)


def test_paths_that_are_too_long_keep_rows_of_their_own(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(5):
        deep = deep / ("d" * 220)
    deep.mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (deep / name).write_text("x")
    found = discover(tmp_path, suffixes=(".txt",))
    assert len({file.name for file in found}) == 2
    assert all(len(file.name) <= 1000 for file in found)
    assert set(_names(found).values()) == {"UnsupportedDocumentError"}


def test_links_to_themselves_are_failures_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "b.txt")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "good.txt").write_text("x")
    assert _names(discover(tmp_path, suffixes=(".txt",))) == {
        "a.txt": "UnreadableDocumentError",
        "b.txt": "UnreadableDocumentError",
        "good.txt": None,
    }


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that cannot be read, whoever we are."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "x.txt").write_text("x")
    (tmp_path / "good.txt").write_text("x")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return tmp_path


def test_a_folder_that_cannot_be_read_is_a_failure_of_its_own(closed: Path) -> None:
    found = discover(closed, suffixes=(".txt",))
    assert _names(found) == {"closed": "UnreadableDocumentError", "good.txt": None}
    with pytest.raises(UnreadableDocumentError, match="folder closed cannot be read: Permission denied"):
        found[0].read(5)


@pytest.mark.parametrize("pattern", ["closed", "closed/*", "clo*", "*ed/*"])
def test_what_is_ignored_is_not_opened(closed: Path, pattern: str) -> None:
    assert list(_names(discover(closed, suffixes=(".txt",), ignore=(pattern,)))) == ["good.txt"]


def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    [file] = discover(tmp_path, suffixes=(".txt",))
    file.path.unlink()
    os.mkfifo(file.path)
    with pytest.raises(UnsupportedDocumentError, match="not a regular file"):
        file.read(5)


def test_a_file_that_says_another_size_is_read_to_its_end() -> None:
    """One that grows while it is read, or one of a file system that knows no sizes."""
    content = bytes(range(256)) * 4
    for size in (0, 1, 7, 1023, 1024, 5000):
        assert discovery._content(io.BytesIO(content), size, 2000) == content  # type: ignore[arg-type]
        assert discovery._content(io.BytesIO(content), size, 600) == content[:600]  # type: ignore[arg-type]
