"""The process in the jail: `python -I jail SETUP`, where SETUP is JSON.

It locks itself up further, reports `READY`, takes code and files from stdin, executes the code, and sends
back the files that are to be kept. From the first line of the code on nothing here is to be trusted: whoever
reads the answer takes it for something that the code may have written.
"""

from __future__ import annotations

import json
import os
import resource
import stat
import sys
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from execute import execute  # type: ignore[import-not-found]  # in the folder that Python runs
from frames import (  # type: ignore[import-not-found]
    DATA,
    DEPTH,
    PLACES,
    READY,
    SHOWN,
    VARIABLES,
    head_bytes,
    plain_name,
    read_head,
    read_length,
)

_PIECE = 1 << 20
_NOTICES = 20

Signature = tuple[int, int, int]


def give_up_user(user: int) -> None:
    """Become a user that the limit of threads holds for; root's own is none (it may have mapped two)."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    for folder in (os.path.dirname(os.__file__), sys.prefix):
        if not os.access(folder, os.R_OK | os.X_OK):
            raise PermissionError(f"other users than root cannot read {folder} (remedy: chmod -R go+rX)")


def limit(limits: dict[str, Any]) -> None:
    """Set the limits of the process; it cannot raise them again."""
    cpu = limits["cpu_seconds"]
    values = {
        # At the first it gets a signal that tells what happened; at the second it is killed.
        "RLIMIT_CPU": (cpu, cpu + 1),
        "RLIMIT_AS": (limits["memory_bytes"],) * 2,
        "RLIMIT_NOFILE": (limits["open_files"],) * 2,
        # With 0 a dump would still go to a program of the host, where it has one for them (core(5)).
        "RLIMIT_CORE": (1, 1) if sys.platform == "linux" else (0, 0),
        "RLIMIT_NPROC": (limits["threads"],) * 2,
    }
    if sys.platform != "linux":  # there they count otherwise, or are not settable
        del values["RLIMIT_AS"], values["RLIMIT_NPROC"]
    for name, (soft, hard) in values.items():
        _set_limit(getattr(resource, name), soft, hard)


def _set_limit(number: int, soft: int, hard: int) -> None:
    most = resource.getrlimit(number)[1]
    if most != resource.RLIM_INFINITY:
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(number, (soft, hard))


class Root:
    """The writable folder: files of the thread, variables, figures."""

    def __init__(self, path: str, limits: dict[str, Any]) -> None:
        self.path = path
        self._limits = limits
        self._given: dict[str, Signature] = {}
        self._notices = 0
        for place in PLACES:
            os.makedirs(self.at(place), exist_ok=True)
        self._device = os.stat(path).st_dev

    def at(self, path: str) -> str:
        """Return where a path of a frame is."""
        return os.path.join(self.path, path)

    def receive(self, stream: BinaryIO) -> str:
        """Take code and files; returns the code. Raises `EOFError` if they break off."""
        code = ""
        while True:
            head = read_head(_exactly(stream, read_length(_exactly(stream, 4))))
            if "end" in head:
                return code
            if "code" in head:
                code = _exactly(stream, head["size"]).decode("utf-8", "replace")
            elif "folder" in head:
                os.makedirs(self.at(head["folder"]), exist_ok=True)
            elif "link" in head:
                if not os.path.lexists(self.at(head["link"])):
                    os.symlink(head["to"], self.at(head["link"]))
            else:
                self._receive_file(stream, head)

    def _receive_file(self, stream: BinaryIO, head: dict[str, Any]) -> None:
        path = self.at(head["path"])
        with open(path, "wb") as file:
            left = head["size"]
            while left:
                piece = _exactly(stream, min(left, _PIECE))
                file.write(piece)
                left -= len(piece)
        os.utime(path, ns=(head["mtime"], head["mtime"]))
        self._given[head["path"]] = _signature(os.stat(path))

    def send(self, report: int) -> None:
        """Report what is to be kept: folders and files, those that have changed with their content."""
        room, files = self._limits["folder_bytes"], self._limits["folder_files"]
        for path, found in self._walk():
            if files == 0:
                self._notice(path, f"there are more than {self._limits['folder_files']} files")
                break
            files -= 1
            if stat.S_ISDIR(found.st_mode):
                _write(report, head_bytes({"folder": path}))
            elif found.st_size > room:
                self._notice(path, f"the files take more than {self._limits['folder_bytes']} bytes")
            else:
                room -= found.st_size
                self._send_file(report, path, found)
        _write(report, head_bytes({"end": True}))

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        waiting = list(PLACES)
        while waiting:
            folder = waiting.pop()
            if folder not in PLACES:
                yield folder, os.lstat(self.at(folder))
            os.chmod(self.at(folder), 0o700)  # whatever the code made of it
            for name in sorted(os.listdir(self.at(folder))):
                path = f"{folder}/{name}"
                found = os.lstat(self.at(path))
                if found.st_dev != self._device or stat.S_ISLNK(found.st_mode):
                    continue  # mounted there (a part of the interpreter), or made anew each time
                if not plain_name(name) or path.count("/") >= DEPTH:
                    self._notice(path, "its name cannot be kept")
                elif stat.S_ISDIR(found.st_mode):
                    waiting.append(path)
                elif stat.S_ISREG(found.st_mode):
                    yield path, found
                else:
                    self._notice(path, "it is no regular file")

    def _send_file(self, report: int, path: str, found: os.stat_result) -> None:
        if self._given.get(path) == _signature(found):
            _write(report, head_bytes({"path": path, "same": True}))
            return
        os.chmod(self.at(path), 0o600)
        with open(self.at(path), "rb") as file:
            _write(report, head_bytes({"path": path, "size": found.st_size}))
            left = found.st_size
            while left and (piece := file.read(min(left, _PIECE))):
                _write(report, piece)
                left -= len(piece)

    def _notice(self, path: str, reason: str) -> None:
        self._notices += 1
        if self._notices <= _NOTICES:
            print(f"[{path.partition('/')[2]!a} is not kept for later calls: {reason}]")


def _signature(found: os.stat_result) -> Signature:
    return found.st_size, found.st_mtime_ns, found.st_ino


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content


def _write(report: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(report, view) :]


def _end_with(service: int) -> None:
    """Outside of a jail: end when the service does."""

    def wait() -> None:
        while os.read(service, 4096):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Execute one request."""
    setup = json.loads(sys.argv[1])
    os.closerange(3, 1024)  # bubblewrap leaves some of its own open
    report = os.dup(2)
    os.dup2(1, 2)
    os.umask(0o077)
    try:
        limit(setup["limits"])
        if setup["user"] is not None:
            give_up_user(setup["user"])
        root = Root(setup["root"], setup["limits"])
        os.chdir(root.at(DATA))
        null = os.open("/dev/null", os.O_RDWR)
    except (OSError, ValueError) as error:
        _write(report, f"{error}\n".encode())
        os._exit(1)
    _write(report, READY)
    try:
        code = root.receive(sys.stdin.buffer)
    except EOFError:  # the service has ended
        os._exit(1)
    # After what was uploaded is there, which may be larger.
    _set_limit(resource.RLIMIT_FSIZE, *(setup["limits"]["file_bytes"],) * 2)
    if not setup["isolated"]:
        _end_with(os.dup(0))
        code = code.replace("/mnt/data", root.at(DATA))
    os.dup2(null, 0)
    os.close(null)
    sys.path.remove(os.path.dirname(os.path.abspath(__file__)))
    execute(code, root.at(VARIABLES), root.at(SHOWN))
    try:
        root.send(report)
    except OSError as error:  # of descriptors or threads that the code holds, say
        print(f"[files and variables could not be kept: {error}]", flush=True)
        os._exit(1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)


main()
