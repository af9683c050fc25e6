"""Which files of a folder are documents."""

import os
from pathlib import Path

import pytest

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
