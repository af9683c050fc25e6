"""Starts the child process of an execution, feeds it, reads what it writes, and ends it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import stat
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from agent_tasks.logs import get_logger

logger = get_logger("agents_emulator")

_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_SETUP_FAILED = 97
_REPORT_BYTES = 4096
_GRACE_SECONDS = 2.0
_WATCH_SECONDS = 0.25
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "Agg",
    # One thread each: address space is limited, and each thread of theirs takes a good part of it.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Limits:
    """What one execution may use.

    Attributes:
        cpu_seconds: processor time.
        wall_seconds: time until it is ended, whatever it does.
        memory_bytes: address space.
        file_bytes: size of one file.
        folder_bytes: size of all files of a thread.
        folder_files: number of all files of a thread.
        open_files: open at the same time.
        processes: threads of the same user (processes are refused altogether where that is possible).
        output_characters: printed text that is kept; the rest is left out, which the text then says.
        output_bytes: printed text that ends the execution.
    """

    cpu_seconds: int = 30
    wall_seconds: float = 60.0
    memory_bytes: int = 2 * 1024**3
    file_bytes: int = 64 * 1024**2
    folder_bytes: int = 256 * 1024**2
    folder_files: int = 2000
    open_files: int = 256
    processes: int = 128
    output_characters: int = 32_000
    output_bytes: int = 8 * 1024**2


@dataclass(frozen=True)
class Execution:
    """What an execution printed (errors included), and whether it came to its own end."""

    output: str
    completed: bool


class SandboxError(Exception):
    """The child process could not be started."""


class Sandbox:
    """Executes code in child processes, each for one call and with the folders of one thread."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._isolates: bool | None = None
        self._probing = asyncio.Lock()

    async def run(self, code: str, folder: Path) -> Execution:
        """Execute `code` with `folder/data` as its current folder and `folder/state` for its variables.

        Ends the child process on cancellation too. Raises `SandboxError` if it does not start.
        """
        isolate = await self._isolation(folder)
        return await self._execute(code, folder, isolate)

    async def _isolation(self, folder: Path) -> bool:
        """Whether this system permits namespaces; tried out once."""
        async with self._probing:
            if self._isolates is None:
                try:
                    await self._execute("", folder, True)
                    self._isolates = True
                except SandboxError as error:
                    self._isolates = False
                    logger.warning(
                        "this system does not permit namespaces (%s): executed code is held by a filter of "
                        "system calls and by an audit hook only; let nobody you distrust write it",
                        error,
                    )
        return self._isolates

    async def _execute(self, code: str, folder: Path, isolate: bool) -> Execution:
        data, state, root = (_folder(folder / name) for name in ("data", "state", "root"))
        request = {
            "code": code,
            "data": str(data),
            "state": str(state),
            "root": str(root),
            "isolate": isolate,
            "limits": asdict(self.limits),
            "environment": _ENVIRONMENT,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(_SUPERVISOR)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            env={"PATH": _ENVIRONMENT["PATH"], "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        assert process.stdin is not None  # noqa: S101 - pipes were asked for
        assert process.stderr is not None  # noqa: S101
        # These two read to the end in any case: with unread pipes asyncio never sees the process end.
        reading = asyncio.create_task(self._read_output(process))
        reporting = asyncio.create_task(process.stderr.read(_REPORT_BYTES))
        watch = asyncio.create_task(self._watch(data))
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await asyncio.wait(
                {reading, watch},
                timeout=self.limits.wall_seconds + _GRACE_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            excess = watch.result() if watch.done() else None
        finally:
            watch.cancel()
            if not reading.done():
                _kill(process)
            output, flooded = await asyncio.shield(reading)
            report = _report(await asyncio.shield(reporting))
            await asyncio.shield(process.wait())
            process.stdin.close()
        if "setup" in report or process.returncode == _SETUP_FAILED:
            raise SandboxError(str(report.get("setup", "the child process did not start")))
        ending = excess or (f"more than {self.limits.output_bytes} bytes were printed" if flooded else None)
        ending = ending or self._ending(report)
        if ending is not None:
            output += (
                f"\n[The execution was ended: {ending}.]"
                if output
                else f"[The execution was ended: {ending}.]"
            )
        return Execution(output, ending is None)

    def _ending(self, report: dict[str, object]) -> str | None:
        reason = report.get("reason")
        if reason == "time":
            return f"it took longer than {self.limits.wall_seconds:g} s"
        if isinstance(reason, str):
            return f"{reason}; it may use {self.limits.cpu_seconds} s"
        return None if report.get("exit") == 0 else f"exit status {report.get('exit')}"

    async def _read_output(self, process: asyncio.subprocess.Process) -> tuple[str, bool]:
        """Return the text up to the limit, and whether there was so much that the process was killed."""
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        kept = bytearray()
        total = 0
        while chunk := await process.stdout.read(65536):
            total += len(chunk)
            if len(kept) < 4 * self.limits.output_characters:
                kept += chunk
            if total > self.limits.output_bytes:
                _kill(process)
        text = kept.decode("utf-8", "replace").replace("\x00", "\ufffd")
        limit = self.limits.output_characters
        if len(text) > limit:
            text = (
                f"{text[:limit]}\n[{'More' if total > len(kept) else len(text) - limit} characters left out.]"
            )
        return text, total > self.limits.output_bytes

    async def _watch(self, data: Path) -> str:
        """Return, only then, when the files of the thread are too large or too many."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            size, files = await asyncio.to_thread(folder_size, data, self.limits.folder_files)
            if size > self.limits.folder_bytes:
                return f"its files take more than {self.limits.folder_bytes} bytes"
            if files > self.limits.folder_files:
                return f"it has more than {self.limits.folder_files} files"


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the supervisor; the kernel kills its child with it."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def folder_size(folder: Path, most_files: int) -> tuple[int, int]:
    """Return the bytes and number of all files below a folder; stops counting above `most_files`."""
    size = files = 0
    waiting = [str(folder)]
    while waiting and files <= most_files:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    files += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:  # removed or locked by the code while it was counted
            continue
        if files > most_files:
            break
    return size, files


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)  # whatever earlier code made of it
    return path.resolve()


def _report(line: bytes) -> dict[str, object]:
    try:
        report = json.loads(line.splitlines()[0])
    except (ValueError, IndexError):  # it was killed before it could write one, or Python itself failed
        return {"exit": None, "reason": None}
    return report if isinstance(report, dict) else {}


def read_regular(path: Path, limit: int) -> bytes | None:
    """Return the content of a file that executed code left; None if it is no regular file or too large.

    A link is not followed: it could lead anywhere outside the folder.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > limit:
        os.close(descriptor)
        return None
    with open(descriptor, "rb") as file:
        return file.read(limit)


def remove_folder(path: Path) -> None:
    """Remove a folder, whatever executed code put there: it may have locked folders of its own."""
    for parent, folders, _ in os.walk(path):
        for name in folders:
            folder = os.path.join(parent, name)
            if not os.path.islink(folder):
                os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)
