"""Recognised pages are kept by their content, in a folder with a bound."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from PIL import Image

from agent_tasks.documents.layout import Word
from agent_tasks.documents.recognition_cache import CachedRecogniser, cache_folder

SIZE = (60.0, 40.0)


class Counting:
    """Recognises the same word in every picture, and counts how often it is asked."""

    name = "counting"

    def __init__(self, version: str = "1") -> None:
        self.version = version
        self.asked = 0

    def words(self, picture: Image.Image, size: tuple[float, float]) -> tuple[list[Word], float]:
        self.asked += 1
        box = (0.1, 0.2, 0.3, 0.4)
        return [Word("1.234,50 €", 1.0, 2.0, 3.0, 4.5, box=box, is_set_apart=True)], 0.875


def page(shade: int = 0) -> Image.Image:
    return Image.new("RGB", (6, 4), (shade, 0, 0))


def test_a_picture_is_recognised_once_also_by_another_process(tmp_path: Path) -> None:
    inner = Counting()
    first = CachedRecogniser(inner, tmp_path).words(page(), SIZE)
    again = CachedRecogniser(inner, tmp_path).words(page(), SIZE)
    assert inner.asked == 1
    assert again == first


def test_another_picture_size_or_version_is_recognised_anew(tmp_path: Path) -> None:
    inner, newer = Counting(), Counting("2")
    cached = CachedRecogniser(inner, tmp_path)
    cached.words(page(), SIZE)
    cached.words(page(1), SIZE)
    cached.words(page(), (61.0, 40.0))
    assert inner.asked == 3
    CachedRecogniser(newer, tmp_path).words(page(), SIZE)
    assert newer.asked == 1


@pytest.mark.parametrize("damage", ["", "{}", '{"sureness": 1, "words": [[1, 2]]}', "\x00", "[]"])
def test_a_damaged_file_is_recognised_again_and_replaced(tmp_path: Path, damage: str) -> None:
    inner = Counting()
    cached = CachedRecogniser(inner, tmp_path)
    first = cached.words(page(), SIZE)
    (kept,) = tmp_path.iterdir()
    kept.write_text(damage)
    assert cached.words(page(), SIZE) == first
    assert cached.words(page(), SIZE) == first
    assert inner.asked == 2


def test_the_oldest_are_removed_beyond_the_bound(tmp_path: Path) -> None:
    inner = Counting()
    filling = CachedRecogniser(inner, tmp_path)
    for shade in range(10):
        filling.words(page(shade), SIZE)
    files = sorted(tmp_path.iterdir())
    size = files[0].stat().st_size
    for age, path in enumerate(files):
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    CachedRecogniser(inner, tmp_path, max_bytes=5 * size).words(page(99), SIZE)
    left = set(tmp_path.iterdir())
    assert len(left) == 5  # four of the ten, and the new one
    assert set(files[-4:]) <= left


def test_where_nothing_can_be_written_pages_are_recognised_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    inner = Counting()
    cached = CachedRecogniser(inner, tmp_path / "file" / "below")
    assert cached.words(page(), SIZE)[1] == 0.875
    assert cached.words(page(), SIZE)[1] == 0.875
    assert inner.asked == 2


def test_the_folder_is_the_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = cache_folder()
    assert folder == tmp_path / "agent-tasks" / "recognised"
    CachedRecogniser(Counting(), folder).words(page(), SIZE)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert cache_folder() is None
