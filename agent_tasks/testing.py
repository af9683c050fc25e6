"""Tools for testing that a pipeline survives: kill it at a named place, run it again, ask the local service.

A test starts the local service (`python -m agents_emulator ...`), runs its pipeline in a child process that
dies at a crash point, runs it again without, and judges by what the service saw::

    killed = kill_at("turn.started", my_pipeline, endpoint, folder)
    ended = run_coroutine(my_pipeline, endpoint, folder)
    log = ServiceLog(endpoint)
    assert ended.result == "the expected answer"
    assert log.verdict()["ok"], log.verdict()

`LossyTransport` loses answers and cuts streams between the client and the service instead. The names of the
crash points are in `agent_tasks.crashpoints.CRASH_POINTS` and in docs/durability.md.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

import httpx

from agent_tasks.crashpoints import VARIABLE

__all__ = [
    "ChildEnd",
    "ChildFailed",
    "CrashPointNotReached",
    "LossyTransport",
    "ServiceLog",
    "kill_at",
    "kill_script_at",
    "preload",
    "run_coroutine",
    "run_script",
]

LIMIT = 60.0
"""Seconds that a child process may take unless a call says otherwise."""

_PRELOADED = [  # what children need, imported once for all; the last ones are loaded lazily by the journal
    *("agent_tasks.operations", "agent_tasks.tools", "agent_tasks.testing"),
    *("agent_tasks.pipeline.loader", "agent_tasks.batch.run"),
    *("agent_tasks.client._aiohttp", "aiosqlite", "sqlalchemy.dialects.sqlite"),
    *("httpcore", "anyio._backends._asyncio"),
]


_EXIT_CODES = threading.Lock()
"""Held while one is read, as all are at each start of a child: what two threads read at once is lost."""


class CrashPointNotReached(AssertionError):  # noqa: N818 - reads as what the test found
    """The child process ended by itself: it never came to the place where it was to be killed."""


class ChildFailed(AssertionError):  # noqa: N818 - reads as what the test found
    """The child process failed, or did not end in time."""


@dataclass(frozen=True)
class ChildEnd:
    """How a child process ended."""

    exit_code: int
    """As of `subprocess`: negative for a signal."""
    result: Any = None
    """What the coroutine returned."""
    output: str = ""
    """What a script printed, or the traceback of a coroutine."""

    @property
    def was_killed(self) -> bool:
        """Whether it died of SIGKILL, as at a crash point."""
        return self.exit_code == -signal.SIGKILL


# --- coroutines ----------------------------------------------------------------------------------------


def preload(*modules: str) -> None:
    """Have modules imported once for all children of `run_coroutine` and `kill_at`, instead of by each.

    To be called before the first child is started (in a `conftest.py`); later it changes nothing.

    Args:
        modules: names of modules. What they read from the environment when they are imported is that of the
            first child for all. One that cannot be imported is left to the children, who say so.
    """
    _PRELOADED.extend(name for name in modules if name not in _PRELOADED)


def run_coroutine(
    function: Callable[..., Awaitable[Any]],
    *args: Any,
    crash_point: str | None = None,
    environment: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> ChildEnd:
    """Run a coroutine function in a child process, armed at a crash point if one is given.

    The child is forked from a process that has operations and batches imported, so it starts in milliseconds;
    `preload` adds what yours needs.

    Args:
        function: an `async def` of a module that the child can import; its result must be picklable.
        args: its arguments, picklable.
        crash_point: `NAME[:NTH][:ACTION]`, see `agent_tasks.crashpoints`; None: nothing is armed.
        environment: variables to set in the child, beside those of this process.
        limit: seconds the child may take.

    Returns:
        How it ended: with the coroutine's result, or killed.

    Raises:
        ChildFailed: the coroutine raised (its traceback is in the message), or the limit passed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    ours, theirs = context.Pipe(duplex=False)
    # The process that children are forked from keeps the environment that it was started with.
    variables = {**os.environ, **(environment or {}), VARIABLE: crash_point or ""}
    child = context.Process(target=_serve, args=(theirs, variables, function, args), daemon=True)
    with _EXIT_CODES:
        child.start()
    theirs.close()
    try:
        answered = ours.poll(limit)
        status, value = ours.recv() if answered else ("late", f"It did not end within {limit:g} s.")
    except EOFError:
        status, value = "dead", None
    finally:
        ours.close()
        if not wait([child.sentinel], 5.0):
            child.kill()
            wait([child.sentinel])
    with _EXIT_CODES:
        code = child.exitcode if child.exitcode is not None else -signal.SIGKILL
    if status == "done":
        return ChildEnd(code, result=value)
    if status == "dead" and code == -signal.SIGKILL:
        return ChildEnd(code)
    raise ChildFailed(f"The child process of {function.__qualname__} failed (exit code {code}):\n{value}")


def kill_at(
    point: str,
    function: Callable[..., Awaitable[Any]],
    *args: Any,
    environment: Mapping[str, str] | None = None,
    limit: float = LIMIT,
) -> ChildEnd:
    """Run a coroutine function in a child process that is killed (SIGKILL) at `point`.

    Args:
        point: `NAME` or `NAME:NTH`.
        function: as for `run_coroutine`, as all that follows.
        args: its arguments.
        environment: variables to set in the child, beside those of this process.
        limit: seconds the child may take.

    Raises:
        CrashPointNotReached: the child ended by itself.
        ChildFailed: as for `run_coroutine`.
    """
    ended = run_coroutine(function, *args, crash_point=point, environment=environment, limit=limit)
    if not ended.was_killed:
        raise CrashPointNotReached(f"{function.__qualname__} ended without getting to {point}.")
    return ended


def _serve(
    answer: Connection,
    variables: Mapping[str, str],
    function: Callable[..., Awaitable[Any]],
    args: Sequence[Any],
) -> None:
    os.environ.clear()
    os.environ.update(variables)

    async def run() -> Any:
        return await function(*args)

    try:
        message = ("done", asyncio.run(run()))
    except BaseException:
        message = ("raised", traceback.format_exc())
    answer.send(message)
    answer.close()


# --- scripts -------------------------------------------------------------------------------------------


def run_script(
    command: Sequence[str],
    *,
    crash_point: str | None = None,
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    limit: float = LIMIT,
) -> ChildEnd:
    """Run a program, such as `[sys.executable, "pipeline.py"]`, armed at a crash point if one is given.

    Args:
        command: the program and its arguments.
        crash_point: `NAME[:NTH][:ACTION]`, see `agent_tasks.crashpoints`; None: nothing is armed.
        environment: variables to set, beside those of this process.
        folder: its working folder.
        limit: seconds it may take.

    Returns:
        How it ended, with all that it printed.

    Raises:
        ChildFailed: it ended with another exit code than 0 without being killed, or the limit passed.
    """
    variables = {**os.environ, **(environment or {}), VARIABLE: crash_point or ""}
    try:
        done = subprocess.run(
            list(command), cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=limit, check=False, text=True, errors="replace",
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise ChildFailed(f"{command[0]} did not end within {limit:g} s:\n{late.output or ''}") from None
    ended = ChildEnd(done.returncode, output=done.stdout)
    if ended.exit_code != 0 and not ended.was_killed:
        raise ChildFailed(f"{command[0]} ended with exit code {ended.exit_code}:\n{ended.output}")
    return ended


def kill_script_at(
    point: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    limit: float = LIMIT,
) -> ChildEnd:
    """Run a program that is killed (SIGKILL) at `point`; arguments as for `run_script`.

    Raises:
        CrashPointNotReached: the program ended by itself.
        ChildFailed: as for `run_script`.
    """
    ended = run_script(command, crash_point=point, environment=environment, folder=folder, limit=limit)
    if not ended.was_killed:
        raise CrashPointNotReached(f"{command[0]} ended without getting to {point}:\n{ended.output}")
    return ended


# --- what the local service saw ------------------------------------------------------------------------


class ServiceLog:
    """What the local service was asked, and what it says about its client (docs/local-service.md).

    Args:
        endpoint: the local service's project address.
    """

    def __init__(self, endpoint: str) -> None:
        self._origin = endpoint.partition("/api/")[0]

    def requests(self, operation: str | None = None) -> list[dict[str, Any]]:
        """Rows of the request log in their order; of one operation, such as `runs.create`, if given."""
        rows: list[dict[str, Any]] = []
        while True:
            page = self._get("requests", after=rows[-1]["id"] if rows else 0)["data"]
            if not page:
                return [row for row in rows if operation is None or row["operation"] == operation]
            rows += page

    def verdict(self, *, min_poll: float = 0.1) -> dict[str, Any]:
        """The service's verdict: `ok`, and a `count` with `details` for each kind of finding.

        Args:
            min_poll: seconds; what is read again sooner counts as polled too fast. A process that takes over
                from a killed one may look within 0.1 at what that had just read.
        """
        return self._get("verdict", min_poll=min_poll)

    def _get(self, page: str, **query: Any) -> dict[str, Any]:
        response = httpx.get(f"{self._origin}/_emulator/{page}", params=query, timeout=20.0)
        response.raise_for_status()
        found: dict[str, Any] = json.loads(response.content)
        return found


# --- answers lost on the wire --------------------------------------------------------------------------


class LossyTransport(httpx.AsyncBaseTransport):
    """Real HTTP that can lose answers: the service acts, the client hears nothing.

    Give it to `AsyncAgentsClient(..., transport=...)`. `lose` holds (method, end of path) pairs; each loses
    one answer. `cut` holds (method, end of path, bytes); each ends one streamed answer after so many bytes.

    Args:
        inner: what carries the requests; plain HTTP if not given.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport | None = None) -> None:
        self._inner = inner or httpx.AsyncHTTPTransport()
        self.lose: list[tuple[str, str]] = []
        self.cut: list[tuple[str, str, int]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, and lose or cut its answer if it is the next one to be hit."""
        response = await self._inner.handle_async_request(request)
        for fault in self.lose:
            if request.method == fault[0] and request.url.path.endswith(fault[1]):
                self.lose.remove(fault)
                await response.aread()
                await response.aclose()
                raise httpx.ReadError("the answer was lost", request=request)
        for cut in self.cut:
            if request.method == cut[0] and request.url.path.endswith(cut[1]):
                self.cut.remove(cut)
                return httpx.Response(
                    response.status_code,
                    headers=response.headers,
                    stream=_Cut(response, cut[2]),
                    request=request,
                )
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Cut(httpx.AsyncByteStream):
    def __init__(self, response: httpx.Response, limit: int) -> None:
        self._response = response
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for piece in self._response.aiter_raw():
            yield piece[:left]
            left -= len(piece)
            if left <= 0:
                raise httpx.ReadError("the connection broke")

    async def aclose(self) -> None:
        await self._response.aclose()
