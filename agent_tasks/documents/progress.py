"""Signs of life from readers to whoever watches over them: the reading process, if it is read in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


def _nobody(_: bool) -> None:
    """Nobody watches: the document is read in the caller's own process."""


_watcher: Callable[[bool], None] = _nobody


def watch(watcher: Callable[[bool], None]) -> None:
    """Have a function called at each sign of life; with True, recognition of a page begins."""
    global _watcher
    _watcher = watcher


def alive() -> None:
    """Say that a part of the document, such as a page, has been read."""
    _watcher(False)


@contextmanager
def recognising() -> Iterator[None]:
    """Recognise a page within: it may take time of its own."""
    _watcher(True)
    yield
    _watcher(False)
