"""A few processes that read documents, so that no document can harm the caller or its neighbours.

A few pages of plain ASCII text can harm nobody: they are read in the caller's process, at once.

Each process reads one document at a time, within limits of its own on processor time and memory. One that
dies, hangs or is spent is replaced; its document alone fails. Processes start when they are needed, serve
many documents, and end when there has been nothing to read for a while, or when the caller dies.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import PurePath
from typing import IO, TypeVar

from agent_tasks.base_environment import picked
from agent_tasks.documents import transfer
from agent_tasks.documents.content import DocumentContent, Place
from agent_tasks.documents.limits import DEFAULT_LIMITS, ReadingLimits, too_long
from agent_tasks.documents.reading import PLAIN_TEXT_EXTENSIONS, read_document
from agent_tasks.errors import ConfigurationError, DocumentError, UnreadableDocumentError

_Taken = TypeVar("_Taken")

IDLE_SECONDS = 10.0
"""How long a process waits for its next document."""
START_SECONDS = 120.0
"""How long a process may take to start, on a machine that is busy."""
WALL_FACTOR = 5
"""How many times its processor time a document may take by the clock before a sign of life comes."""
_COMMAND = (sys.executable, "-P", "-m", "agent_tasks.documents.reading_process")
_MEMORY = {"MALLOC_ARENA_MAX": "2", "MALLOC_TOP_PAD_": str(1 << 20)}
"""Of glibc: few heaps, which keep what a page took for the next page."""
_NOT_STARTED = "The process that reads documents cannot be started"
_HARMLESS_BYTES = 16 * 1024
_PRINTABLE = re.compile(rb"[\t-\r -~]*")  # no escapes, which change what the bytes after them mean
_BYTES_A_CHARACTER = 40  # of an answer: text, sections and boxes


class ReadingPool:
    """Reads documents in processes of their own.

    Args:
        size: How many documents are read at a time; default the number of processors, 4 at most.
        command: What the processes run.
    """

    def __init__(self, size: int | None = None, *, command: Sequence[str] = _COMMAND) -> None:
        self.size = size or min(4, os.cpu_count() or 1)
        self._command = tuple(command)
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="reading")
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._reaper: threading.Timer | None = None

    def read(self, content: bytes, name: str, *, limits: ReadingLimits = DEFAULT_LIMITS) -> DocumentContent:
        """Read a document; see :func:`agent_tasks.documents.reading.read_document`.

        Raises:
            DocumentError: The document cannot be read, takes too much, or makes its reader crash.
            ConfigurationError: The processes cannot be started, or a reader cannot be loaded.
        """
        if _is_harmless(content, name):
            return read_document(content, name, limits=limits)
        asked = transfer.Request(name, content, limits)
        return self._threads.submit(self._do, _Job(), asked, transfer.content_of).result()

    async def read_async(
        self, content: bytes, name: str, *, limits: ReadingLimits = DEFAULT_LIMITS
    ) -> DocumentContent:
        """Read a document, as `read` does; if it is cancelled, the process that reads is killed."""
        if _is_harmless(content, name):
            return read_document(content, name, limits=limits)
        return await self._do_async(transfer.Request(name, content, limits), transfer.content_of)

    async def pictures_async(
        self, content: bytes, name: str, places: Sequence[Place], *, limits: ReadingLimits = DEFAULT_LIMITS
    ) -> list[bytes]:
        """Make pictures of places; see :func:`agent_tasks.documents.place_pictures.pictures`.

        Raises:
            DocumentError: The document cannot be drawn, takes too much, or makes its reader crash.
            ConfigurationError: The processes cannot be started.
        """
        asked = transfer.Request(name, content, limits, tuple(places))
        return await self._do_async(asked, lambda parts: transfer.pictures_of(parts, len(asked.places)))

    async def page_images_async(
        self,
        content: bytes,
        name: str,
        pages: Sequence[int],
        max_pixels: int,
        *,
        limits: ReadingLimits = DEFAULT_LIMITS,
    ) -> list[bytes]:
        """Make images of whole pages; see :func:`agent_tasks.documents.page_images.page_images`.

        Raises:
            DocumentError: A page cannot be drawn, takes too much, or makes its reader crash.
            ConfigurationError: The processes cannot be started.
        """
        asked = transfer.Request(name, content, limits, pages=tuple(pages), max_pixels=max_pixels)
        return await self._do_async(asked, lambda parts: transfer.images_of(parts, len(asked.pages)))

    async def _do_async(self, asked: transfer.Request, take: Callable[[list[bytes]], _Taken]) -> _Taken:
        job = _Job()
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._do, job, asked, take)
        try:
            return await running
        except asyncio.CancelledError:
            job.cancel()
            raise

    def close(self) -> None:
        """End the processes that have nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self._reaper is not None:
                self._reaper.cancel()
                self._reaper = None
        for process in idle:
            process.end()

    def _do(self, job: _Job, asked: transfer.Request, take: Callable[[list[bytes]], _Taken]) -> _Taken:
        size, most = len(asked.content), asked.limits.max_bytes
        if size > most:
            raise too_long(asked.name, f"has {size:,} bytes", f"{most:,} bytes")
        process = self._taken()
        try:
            job.begin(process)
            taken = process.do(asked, take)
        except DocumentError:
            self._put_back(process)
            raise
        except BaseException:
            process.end()
            raise
        self._put_back(process)
        return taken

    def _taken(self) -> _Process:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.is_alive:
                    return process
                process.end()
        return _Process(self._command)

    def _put_back(self, process: _Process) -> None:
        if process.is_spent or not process.is_alive:
            process.end()
            return
        process.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(process)
            self._reap_later()

    def _reap_later(self) -> None:
        if self._reaper is None and self._idle:
            self._reaper = threading.Timer(IDLE_SECONDS, self._reap)
            self._reaper.daemon = True
            self._reaper.start()

    def _reap(self) -> None:
        now = time.monotonic()
        with self._lock:
            self._reaper = None
            old = [process for process in self._idle if now - process.idle_since >= 0.9 * IDLE_SECONDS]
            self._idle = [process for process in self._idle if process not in old]
            self._reap_later()
        for process in old:
            process.end()


def _is_harmless(content: bytes, name: str) -> bool:
    """Whether reading a document can take neither long nor much, whatever is in it."""
    if len(content) > _HARMLESS_BYTES or PurePath(name).suffix.lower() not in PLAIN_TEXT_EXTENSIONS:
        return False
    return _PRINTABLE.fullmatch(content) is not None


class _Job:
    """A document that is read, which may be cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._is_cancelled = False

    def begin(self, process: _Process) -> None:
        with self._lock:
            self._process = process
            if self._is_cancelled:
                process.kill()

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._process is not None:
                self._process.kill()


class _Process:
    """A process that reads."""

    def __init__(self, command: Sequence[str]) -> None:
        self.is_spent = False
        self.idle_since = 0.0
        self._is_ready = False
        self._deadline = 0.0
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**picked(os.environ), **_MEMORY}
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise ConfigurationError(
                f"The process that reads documents cannot be started: {error}."
            ) from error
        assert self._child.stdin is not None  # noqa: S101 - pipes were asked for
        assert self._child.stdout is not None  # noqa: S101
        self._input, self._output = self._child.stdin, self._child.stdout
        os.set_blocking(self._input.fileno(), False)
        os.set_blocking(self._output.fileno(), False)

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def kill(self) -> None:
        """Kill it and what it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill it, and leave nothing of it."""
        if self._child.returncode is None:
            self.kill()
            self._child.wait()
        for file in (self._input, self._output, self._errors):
            file.close()

    def do(self, asked: transfer.Request, take: Callable[[list[bytes]], _Taken]) -> _Taken:
        """Have it read a document, or make pictures; returns what is taken of the parts of its answer."""
        name, limits = asked.name, asked.limits
        seconds = WALL_FACTOR * max(limits.max_seconds, 1.0)
        most = _BYTES_A_CHARACTER * limits.max_characters + 2 * limits.max_unpacked_bytes
        try:
            self._await_ready()
            self._deadline = time.monotonic() + seconds
            for piece in asked.frame():
                self._write(piece)
            while True:
                self._deadline = time.monotonic() + seconds
                head, parts = transfer.received(self._read_exactly, most)
                if head.get("kind") == asked.wants:
                    self.is_spent = int(head.get("memory", 0)) > limits.max_memory // 2
                    return take(parts)
                if head.get("kind") == "error":
                    self.is_spent = bool(head.get("spent"))
                    raise transfer.error_of(head, name)
        except (EOFError, BrokenPipeError):
            raise self._died(name, limits) from None
        except TimeoutError:
            self.is_spent = True
            raise too_long(
                name,
                f"was not read within {seconds:g} seconds",
                f"{limits.max_seconds:g} seconds of processor time",
            ) from None
        except transfer.TransferError as error:
            self.is_spent = True
            raise UnreadableDocumentError(
                f"{name} cannot be read: its reader answered too much or not rightly ({error})", document=name
            ) from error

    def _await_ready(self) -> None:
        if self._is_ready:
            return
        self._deadline = time.monotonic() + START_SECONDS
        try:
            transfer.received(self._read_exactly, 0)
        except (EOFError, TimeoutError, transfer.TransferError) as error:
            self.kill()
            status = self._child.wait()
            if status == -signal.SIGKILL and not isinstance(error, TimeoutError) and not self._last_words():
                raise EOFError from error
            raise ConfigurationError(f"{_NOT_STARTED}: {self._last_words() or repr(error)}.") from error
        self._is_ready = True

    def _last_words(self) -> str:
        """Return the last line of what it said before it ended."""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - 2_000))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1].strip() if lines else ""

    def _died(self, name: str, limits: ReadingLimits) -> DocumentError:
        status = self._child.wait()
        if status == -signal.SIGXCPU:
            return too_long(
                name,
                f"takes more than {limits.max_seconds:g} seconds of processor time to read",
                f"{limits.max_seconds:g} seconds (limits.max_reading_seconds)",
            )
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return UnreadableDocumentError(
            f"{name} cannot be read: the process that read it {how}. The file is damaged, or needs more than"
            f" {limits.max_memory:,} bytes of memory (limits.max_reading_memory); export it again.",
            document=name,
        )

    def _write(self, piece: bytes | memoryview) -> None:
        view = memoryview(piece)
        while view:
            self._wait(self._input.fileno(), select.POLLOUT)
            with suppress(BlockingIOError):
                view = view[os.write(self._input.fileno(), view) :]

    def _read_exactly(self, size: int) -> bytes:
        taken = bytearray()
        while len(taken) < size:
            self._wait(self._output.fileno(), select.POLLIN)
            with suppress(BlockingIOError):
                piece = os.read(self._output.fileno(), min(size - len(taken), 1 << 20))
                if not piece:
                    raise EOFError
                taken += piece
        return bytes(taken)

    def _wait(self, descriptor: int, event: int) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        left = self._deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise TimeoutError


def shared_pool() -> ReadingPool:
    """Return the pool of this process."""
    return _pool_of(os.getpid())  # a forked process has neither the threads nor the processes of another one


@functools.cache
def _pool_of(process: int) -> ReadingPool:
    pool = ReadingPool()
    atexit.register(pool.close)
    return pool
