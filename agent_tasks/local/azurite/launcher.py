"""Runs Azurite on three free ports and says where it listens.

A guardian's server has one port and one ready file; Azurite has three ports, and says on its standard output
where it listens. This program stands between the two. It uses the standard library alone:

    python -P -S -E launcher.py READY_FILE FIRST_PORT NODE AZURITE.js OPTION ...

FIRST_PORT and the two after it are taken if they are free; any others otherwise. READY_FILE gets the JSON
`{"endpoint", "blob", "queue", "table"}`. SIGTERM is passed on: Azurite writes its data and ends.
"""

from __future__ import annotations

import ctypes
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

SERVICES = ("blob", "queue", "table")
PR_SET_PDEATHSIG = 1
_LISTENS = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (https?://\S+)")
# Loaded before any fork: a forked child should not load libraries.
_LIBC: Any = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


def main() -> int:
    """Runs Azurite until it ends; returns its exit code."""
    ready_file, first, command = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    told = threading.Event()
    child: subprocess.Popen[str] | None = None

    def stop(*_: object) -> None:
        told.set()
        if child is not None and child.poll() is None:
            child.terminate()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    preferred = [first + index for index in range(len(SERVICES))]
    # A port may be taken in the moment between the look and the start: then any others do.
    for ports in ([port if _is_free(port) else 0 for port in preferred], [0, 0, 0]):
        flags = [part for name, port in zip(SERVICES, ports, strict=True) for part in _flags(name, port)]
        child = subprocess.Popen(
            [*command, *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            preexec_fn=_die_with_parent,
        )
        if told.is_set():
            child.terminate()
        was_ready = _follow(child, ready_file)
        code = child.wait()
        if was_ready or told.is_set():
            break
    return code


def _follow(child: subprocess.Popen[str], ready_file: Path) -> bool:
    """Copies what Azurite prints until it ends; reports when all services listen.

    Returns whether they did.
    """
    addresses: dict[str, str] = {}
    assert child.stdout is not None  # noqa: S101 - asked for by the caller
    for line in child.stdout:
        print(line, end="", flush=True)
        if found := _LISTENS.search(line):
            addresses[found.group(1).lower()] = found.group(2)
            if len(addresses) == len(SERVICES):
                temporary = ready_file.with_suffix(".tmp")
                temporary.write_text(
                    json.dumps({"endpoint": addresses["queue"], **addresses}), encoding="utf-8"
                )
                temporary.replace(ready_file)
    return len(addresses) == len(SERVICES)


def _flags(service: str, port: int) -> tuple[str, ...]:
    return (f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _die_with_parent() -> None:
    """Asks the kernel to end Azurite when this process is killed (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
