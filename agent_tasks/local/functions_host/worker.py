"""The app process as its host sees it: started, called, killed when a function hangs, started again."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from agent_tasks.errors import FunctionsHostError
from agent_tasks.local.functions_host.wire import Channel, Function, Invocation, Outcome, open_channel
from agent_tasks.local.supervisor import die_with_parent
from agent_tasks.logs import get_logger
from agent_tasks.pauses import Pauses

__all__ = ["AppWorker", "WorkerGoneError"]

logger = get_logger("agent_tasks.functions")

START_SECONDS = 60.0
STOP_SECONDS = 5.0
FIRST_RESTART_PAUSE = 0.1
LONGEST_RESTART_PAUSE = 10.0
RAN_WELL_SECONDS = 60.0
"""After this time the pauses before a restart begin anew."""
_PROGRAM = "agent_tasks.local.functions_host.app_process"


class WorkerGoneError(Exception):
    """The app process ended while a function was at work."""


class AppWorker:
    """One app process at a time; `start` it, `call` it, `close` it.

    Args:
        folder: the app's folder.
        environment: complete environment of the process: the app settings.
        plain: do not use Microsoft's worker library.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, plain: bool = False) -> None:
        self._folder = folder
        self._environment = environment
        self._plain = plain
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._running = asyncio.Event()
        self._closed = asyncio.Event()
        self.description = ""
        """What runs the functions."""
        self.starts = 0
        """How often the process has been started."""

    @property
    def pid(self) -> int:
        """Process id of the app process that runs now; 0 if there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    async def start(self) -> list[Function]:
        """Starts the process; returns the app's functions.

        Raises:
            FunctionsHostError: the app cannot be imported; the message has its traceback.
        """
        functions = await self._spawn()
        self._supervisor = asyncio.create_task(self._supervise())
        return functions

    async def call(self, invocation: Invocation, *, timeout: float | None) -> Outcome:  # noqa: ASYNC109
        """Calls a function. One that takes longer than `timeout` seconds ends its process, as in Azure.

        Raises:
            WorkerGoneError: the process ended meanwhile.
        """
        await self._running.wait()
        assert self._channel is not None  # noqa: S101 - it runs
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[invocation.id] = answer
        self._channel.send(invocation)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError:
            logger.error("a function took longer than functionTimeout (%s s): its process is killed", timeout)
            self._kill()
            raise WorkerGoneError(f"timed out after {timeout:g} s") from None
        finally:
            self._waiting.pop(invocation.id, None)

    async def close(self) -> None:
        """Ends the process; calls that are at work fail."""
        self._closed.set()
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                await asyncio.to_thread(self._process.wait, STOP_SECONDS)
            self._kill()
        if self._supervisor is not None:
            await asyncio.wait([self._supervisor])

    async def _spawn(self) -> list[Function]:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-P", "-u", "-m", _PROGRAM, str(theirs.fileno())]
            self._process = subprocess.Popen(  # noqa: ASYNC220 - takes milliseconds
                [*command, *(["--plain"] if self._plain else [])],
                cwd=self._folder,
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                # What an app prints is its log.
                stdout=2,
                pass_fds=[theirs.fileno()],
                # Its own session: it is killed together with what it has started.
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self._channel = await open_channel(ours)
        self.starts += 1
        try:
            async with asyncio.timeout(START_SECONDS):
                hello = await self._channel.receive()
        except TimeoutError:
            hello = {"failed": f"it was not ready after {START_SECONDS:g} seconds"}
        if hello is None or "failed" in hello:
            self._kill()
            what = (hello or {}).get("failed") or "its process ended"
            raise FunctionsHostError(f"The Function App {self._folder} could not be started: {what}")
        self.description = str(hello["description"])
        self._running.set()
        return [Function.from_json(values) for values in hello["ready"]]

    async def _supervise(self) -> None:
        """Hands outcomes to their callers; starts the process again when it has ended."""
        loop = asyncio.get_running_loop()
        pauses = Pauses(FIRST_RESTART_PAUSE, LONGEST_RESTART_PAUSE, growth=2.0)
        while True:
            began = loop.time()
            await self._listen()
            self._running.clear()
            self._kill()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(WorkerGoneError("the app process ended"))
            if self._closed.is_set():
                return
            if loop.time() - began >= RAN_WELL_SECONDS:
                pauses.restart()
            assert self._process is not None  # noqa: S101 - it has just ended
            code = self._process.returncode
            logger.error("the app process ended with %s; it is started again in %g s", code, pauses.coming)
            while not await pauses.until(self._closed):
                try:
                    await self._spawn()
                    break
                except FunctionsHostError as error:
                    logger.error("%s", error)
            if self._closed.is_set():
                # While it was started: `close` may know the channel of the process before only.
                assert self._channel is not None  # noqa: S101 - it was started before
                self._channel.close()
                self._kill()
                return

    async def _listen(self) -> None:
        assert self._channel is not None  # noqa: S101 - called after _spawn
        while (values := await self._channel.receive()) is not None:
            answer = self._waiting.get(values["id"])
            if answer is not None and not answer.done():
                answer.set_result(Outcome(**values))

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
