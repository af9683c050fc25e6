"""Whether processes run, and how much of a processor they take while they have nothing to do."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have started; of all of its threads."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # it ends while it is looked at
            for child in map(int, children.read_text().split()):
                found += [child, *descendants(child)]
    return found


def fields_of(pid: int) -> list[str] | None:
    """The fields of `/proc/PID/stat` behind the name: state, parent, ...; None if the process is gone."""
    try:
        # A process that ends between opening and reading is told by ProcessLookupError.
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    fields = fields_of(pid)
    return fields is not None and fields[0] != "Z"


def seconds(pid: int) -> float:
    """Processor seconds that a process has taken so far."""
    fields = fields_of(pid)
    if fields is None:
        raise ProcessLookupError(f"process {pid} is gone")
    return (int(fields[11]) + int(fields[12])) / _TICKS


def share(pid: int, over: float = 6.0) -> float:
    """Processor seconds a second that a process and what it has started take for some seconds; 1.0 is a core.

    What ends or begins meanwhile isn't counted.
    """
    return shares(pid, over=over)[0]


def shares(*pids: int, over: float = 6.0) -> list[float]:
    """The share of each of several processes, during the same seconds."""
    before = [{one: seconds(one) for one in [pid, *descendants(pid)]} for pid in pids]
    began = time.monotonic()
    time.sleep(over)
    took = time.monotonic() - began
    return [sum(_spent_since(then, one) for one, then in those.items()) / took for those in before]


def _spent_since(then: float, pid: int) -> float:
    try:
        return seconds(pid) - then
    except OSError:
        return 0.0
