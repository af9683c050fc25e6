"""Executes code: gives the jail what it needs, reads what it answers, and ends it."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agents_emulator.tools.sandbox.bubblewrap import Started, start_isolated, start_unisolated
from agents_emulator.tools.sandbox.errors import IsolationError, SandboxError
from agents_emulator.tools.sandbox.jail.frames import (
    READY,
    FrameError,
    checked_path,
    head_bytes,
    read_head,
    read_length,
)
from agents_emulator.tools.sandbox.kept import Incoming, Kept
from agents_emulator.tools.sandbox.limits import Limits

_ERROR_BYTES = 4096
_PIECE = 1 << 20
_END_SECONDS = 30.0


@dataclass(frozen=True)
class Execution:
    """What was printed (errors too), and whether it came to its own end: else nothing is kept."""

    output: str
    completed: bool


class Sandbox:
    """Executes code in processes of their own, each for one call and with what is kept of one thread.

    Whether code is isolated is a setting and nothing else; where it cannot be, none is executed.
    """

    def __init__(self, limits: Limits | None = None, *, isolated: bool = True) -> None:
        self.limits = limits or Limits()
        self._start = start_isolated if isolated else start_unisolated

    async def run(self, code: str, folder: Path, links: Mapping[str, str] | None = None) -> Execution:
        """Execute `code` with the files and variables that `folder` keeps; afterwards it keeps the new ones.

        Ends the process on cancellation too.

        Args:
            code: Python, as a model wrote it.
            folder: where files and variables are kept between calls.
            links: further names of files, which the code sees as links.

        Raises:
            IsolationError: this system cannot isolate code.
            SandboxError: it can, but not this time; or what is kept could not be read or written.
        """
        try:
            return await self._execute(code, Kept(folder), links or {})
        except IsolationError:
            raise
        except SandboxError:
            await self.probe()
            raise

    async def probe(self) -> None:
        """Execute nothing, in the way that code is. Raises `IsolationError` if that fails."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                await self._execute("", Kept(Path(folder)), {})
            except SandboxError as error:
                raise IsolationError(str(error)) from error

    async def _execute(self, code: str, kept: Kept, links: Mapping[str, str]) -> Execution:
        await asyncio.to_thread(_check_size, kept, self.limits)
        started = await self._start(self.limits)
        incoming = await asyncio.to_thread(kept.incoming, self.limits)
        try:
            execution = await _Running(started, incoming).finish(code, kept, links)
            if execution.completed:
                await asyncio.to_thread(kept.replace, incoming)
        except OSError as error:
            raise SandboxError(f"files of the thread cannot be kept in {kept.folder}: {error}") from error
        finally:
            started.kill()
            await asyncio.shield(asyncio.to_thread(_clean_up, started, incoming))
        return execution


class _Running:
    """One process and what is exchanged with it."""

    def __init__(self, started: Started, incoming: Incoming) -> None:
        self._started = started
        self._process = started.process
        self._limits = started.limits
        self._incoming = incoming
        self._ready = asyncio.Event()
        self._flooded = False
        self._broken: str | None = None

    async def finish(self, code: str, kept: Kept, links: Mapping[str, str]) -> Execution:
        """Have the code executed and wait for its end. Raises `SandboxError` if it was never begun."""
        reading = asyncio.create_task(self._read_output())
        exchange = asyncio.create_task(self._exchange(code, kept, links))
        ended = asyncio.create_task(self._process.wait())
        watch = asyncio.create_task(self._watch())
        tasks = {reading, exchange, ended}
        try:
            await asyncio.wait(
                {ended, watch}, timeout=self._limits.wall_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            late = None if ended.done() else f"it took longer than {self._limits.wall_seconds:g} s"
            excess = watch.result() if watch.done() else late
        finally:
            watch.cancel()
            if not ended.done():
                self._started.kill()
            # All its processes have ended, so all pipes are closed; what if not must not stop the service.
            _, open_still = await asyncio.wait(tasks, timeout=_END_SECONDS)
            for task in tasks:
                if task in open_still:
                    task.cancel()
                elif not task.cancelled():
                    task.exception()  # known here: whoever was cancelled looks at none of them
        if open_still:
            raise SandboxError(f"the jail was killed, and had not ended {_END_SECONDS:g} s later")
        complete = await exchange
        output = await reading
        ending = excess or self._ending(complete)
        if ending is None:
            return Execution(output, True)
        note = f"[The execution was ended: {ending}. What it changed is not kept.]"
        return Execution(f"{output}\n{note}" if output else note, False)

    def _ending(self, complete: bool) -> str | None:
        if self._flooded:
            return f"more than {self._limits.output_bytes} bytes were printed"
        if self._broken is not None:
            return f"what it gave to be kept is not in order ({self._broken})"
        # bubblewrap adds 128 to the signal that ended the code.
        status = self._process.returncode or 0
        number = -status if status < 0 else status - 128
        if number == signal.SIGXCPU:
            return f"it used its {self._limits.cpu_seconds} s of processor time"
        if number > 0:
            return f"signal {number}"
        if status != 0 or not complete:
            return f"exit status {status}"
        return None

    async def _exchange(self, code: str, kept: Kept, links: Mapping[str, str]) -> bool:
        """Give code and files, take files; returns whether all came that was to come."""
        assert self._process.stderr is not None  # noqa: S101 - pipes were asked for
        answers = self._process.stderr
        await self._wait_until_ready(answers)
        self._ready.set()
        complete = await self._give_and_take(answers, code, kept, links)
        # What is left unread would keep the pipe from being seen to close, and the process to end.
        while await answers.read(_PIECE):
            pass
        return complete

    async def _give_and_take(
        self, answers: asyncio.StreamReader, code: str, kept: Kept, links: Mapping[str, str]
    ) -> bool:
        giving = asyncio.create_task(self._give(code, kept, links))
        try:
            return await self._take(answers)
        except asyncio.IncompleteReadError:
            return False
        except FrameError as error:
            self._broken = str(error)
            self._started.kill()
            return False
        finally:
            await giving

    async def _watch(self) -> str:
        await self._ready.wait()
        return await self._started.watch()

    async def _wait_until_ready(self, answers: asyncio.StreamReader) -> None:
        try:
            told = await answers.readexactly(len(READY))
        except asyncio.IncompleteReadError as error:
            told = error.partial
        if told != READY:
            told += await answers.read(_ERROR_BYTES)
            lines = told.decode("utf-8", "replace").strip().splitlines()
            raise SandboxError(lines[-1] if lines else "the process for the code did not start")

    async def _give(self, code: str, kept: Kept, links: Mapping[str, str]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - pipes were asked for
        stream = self._process.stdin
        text = code.encode("utf-8", "replace")
        try:
            stream.write(head_bytes({"code": True, "size": len(text)}) + text)
            root = kept.current()
            for path, found in await asyncio.to_thread(lambda: list(kept.files())):
                if root is not None:
                    await _give_file(stream, root / path, path, found)
            for name, target in links.items():
                stream.write(head_bytes({"link": "/".join(checked_path(f"data/{name}")), "to": target}))
            stream.write(head_bytes({"end": True}))
            await stream.drain()
        except (BrokenPipeError, ConnectionResetError):  # it has ended; its exit says why
            return

    async def _take(self, answers: asyncio.StreamReader) -> bool:
        while True:
            head = read_head(await answers.readexactly(read_length(await answers.readexactly(4))))
            if head.get("end") is True:
                return True
            content = self._incoming.take(head)
            if content is not None:
                file, left = content
                with file:
                    while left:
                        piece = await answers.read(min(left, _PIECE))
                        if not piece:
                            return False
                        await asyncio.to_thread(file.write, piece)
                        left -= len(piece)

    async def _read_output(self) -> str:
        """Return the text up to the limit; what prints too much is killed."""
        assert self._process.stdout is not None  # noqa: S101 - a pipe was asked for
        kept = bytearray()
        total = 0
        while chunk := await self._process.stdout.read(65536):
            total += len(chunk)
            if len(kept) < 4 * self._limits.output_characters:
                kept += chunk
            if total > self._limits.output_bytes:
                self._flooded = True
                self._started.kill()
        text = kept.decode("utf-8", "replace").replace("\x00", "\ufffd")
        limit = self._limits.output_characters
        if len(text) > limit:
            left_out = "More" if total > len(kept) else str(len(text) - limit)
            text = f"{text[:limit]}\n[{left_out} characters left out.]"
        return text


async def _give_file(stream: asyncio.StreamWriter, source: Path, path: str, found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        stream.write(head_bytes({"folder": path}))
        return
    stream.write(head_bytes({"path": path, "size": found.st_size, "mtime": found.st_mtime_ns}))
    with source.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _PIECE):
            stream.write(piece)
            await stream.drain()


def _check_size(kept: Kept, limits: Limits) -> None:
    size = sum(found.st_size for _, found in kept.files())
    if size > limits.folder_bytes:
        raise SandboxError(
            f"the files of this thread have {size} bytes, and executed code may have {limits.folder_bytes} "
            "(interpreter.folder_bytes in the tools file)"
        )


def _clean_up(started: Started, incoming: Incoming) -> None:
    started.clean_up()
    incoming.remove()
