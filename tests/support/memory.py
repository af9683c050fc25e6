"""Memory of a process that the machine keeps at hand, so that its processor time is its own.

Some virtual machines lose the mapping of memory that was not used for a moment: using a page again costs
20 µs then, and what a program that wakes once a second does costs a hundred times of what it costs at once.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["after_a_pause", "in_use"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_AT_ONCE = 1024  # pages a call of the system: its limit
_PRESENT = 0x80  # of the last byte of a page's entry
_EVERY = 0.05  # seconds between two looks


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


@contextmanager
def in_use(pid: int) -> Generator[None, None, None]:
    """Read a byte of each page of another process's memory again and again, in a thread of this one.

    Raises:
        PermissionError: its memory may not be read.
    """
    chunks = _chunks(pid)
    _read(pid, chunks)
    ended = threading.Event()

    def read_on() -> None:
        while not ended.wait(_EVERY):
            _read(pid, chunks)

    reader = threading.Thread(target=read_on, name="memory in use")
    reader.start()
    try:
        yield
    finally:
        ended.set()
        reader.join()


def after_a_pause(pause: float, pages: int = 500) -> float:
    """Microseconds of processor time that using a page takes which was used `pause` seconds ago."""
    memory = bytearray(pages * _PAGE)

    def use() -> float:
        begun = time.thread_time()
        for place in range(0, len(memory), _PAGE):
            memory[place] = 1
        return (time.thread_time() - begun) / pages * 1e6

    use()
    took = []
    for _ in range(3):
        time.sleep(pause)
        took.append(use())
    return min(took)


def _chunks(pid: int) -> list[ctypes.Array[_Vector]]:
    """The pages that a process has in memory, in pieces for one call each."""
    pages: list[int] = []
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as entries:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if not rights.startswith("r") or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            first, end = (int(one, 16) // _PAGE for one in span.split("-"))
            entries.seek(first * 8)
            flags = entries.read((end - first) * 8)[7::8]
            pages += [(first + place) * _PAGE for place, flag in enumerate(flags) if flag & _PRESENT]
    starts = range(0, len(pages), _AT_ONCE)
    return [_vectors(pages[start : start + _AT_ONCE]) for start in starts]


def _vectors(pages: list[int]) -> ctypes.Array[_Vector]:
    return (_Vector * len(pages))(*[(page, 1) for page in pages])


def _read(pid: int, chunks: list[ctypes.Array[_Vector]]) -> None:
    system = ctypes.CDLL(None, use_errno=True)
    taken = ctypes.create_string_buffer(_AT_ONCE)
    here = _Vector(ctypes.addressof(taken), len(taken))
    for chunk in chunks:
        # A page that is gone meanwhile ends its chunk early; the others are read the next time.
        got = system.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(chunk), len(chunk), 0)
        if got < 0 and ctypes.get_errno() == 1:
            raise PermissionError(f"the memory of process {pid} may not be read (ptrace)")
