"""SIGTERM means: hand over. A process that is told to end so lets its turns go on for whoever comes next.

A pod is moved, a worker is replaced: the next one attaches to the turns and pays for none of them again. So
operations that are cancelled while the process `is_detaching` cancel nothing on the service. Every other end
(Ctrl-C, a cancelled flow run, a deadline) is somebody's decision not to wait any more, and does.

`agent-tasks` says so itself (`detach`). In the process of a flow run SIGTERM is Prefect's: its handler raises
an exception wherever the process is, and must stay in place. There the signal is only heard
(`hearing_sigterm`). A program of a person's own that does not handle SIGTERM would be dead at once: for the
time of a session it ends in order (`ending_on_sigterm`).
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = [
    "DETACH_SECONDS",
    "EXIT_CODE",
    "Ending",
    "detach",
    "ending_on_sigterm",
    "hearing_sigterm",
    "is_detaching",
]

DETACH_SECONDS = 10.0
"""How long a process that is told to end waits for function calls that are under way, so that their outputs
are known. Kubernetes and Prefect give 30 seconds."""

EXIT_CODE = 128 + signal.SIGTERM
"""Of a process that was told to end and did, as shells count."""

_told = threading.Event()
_ears: list[socket.socket] = []


def detach() -> None:
    """Have the operations of this process, which are about to be cancelled, leave their turns running."""
    _told.set()


def is_detaching() -> bool:
    """Whether this process was told to end, so that others go on with its turns."""
    for ear in _ears:
        try:
            heard = ear.recv(4096)
        except (BlockingIOError, OSError):
            continue
        if signal.SIGTERM in heard:
            _told.set()
    return _told.is_set()


@contextmanager
def hearing_sigterm() -> Iterator[None]:
    """Notice SIGTERM in the block, whoever handles it, without taking it from them.

    Works in the main thread, and if nobody else listens there (`loop.add_signal_handler` does); who handles
    signals that way calls `detach` in the handler.
    """
    if threading.current_thread() is not threading.main_thread() or _ears:
        yield
        return
    ear, mouth = socket.socketpair()
    ear.setblocking(False)
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
    else:
        _ears.append(ear)
    try:
        yield
    finally:
        if before == -1:
            is_detaching()
            signal.set_wakeup_fd(-1)
            _ears.remove(ear)
        ear.close()
        mouth.close()


@dataclass
class Ending:
    """A block of a program that does not handle SIGTERM itself."""

    end: Callable[[], None]
    """Called in the main thread: has the block end."""
    was_told: bool = False
    """Whether it was called."""


_blocks: list[Ending] = []


@contextmanager
def ending_on_sigterm(end: Callable[[], None]) -> Iterator[Ending | None]:
    """Have a program that does not handle SIGTERM end in order, where it would be dead at once in the block.

    Of several blocks that are open the outermost is told: what it contains ends with it. A second SIGTERM
    ends the process at once.

    Args:
        end: has the block end, by an exception or by the cancellation of its task.

    Yields:
        Whether it was told; None where the signal is left alone: the program handles or ignores it, or this
        is not the main thread, in which alone Python lets anybody handle signals.
    """
    is_ours = signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _tell)
    if threading.current_thread() is not threading.main_thread() or not is_ours:
        yield None
        return
    block = Ending(end)
    _blocks.append(block)
    signal.signal(signal.SIGTERM, _tell)
    try:
        yield block
    finally:
        _blocks.remove(block)
        if not _blocks and signal.getsignal(signal.SIGTERM) is _tell:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _tell(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _blocks[0].was_told = True
    _blocks[0].end()
