"""What the blocking client does where the async one uses asyncio; see the module of this name there."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any, Protocol, TypeVar, cast

import httpx

from agent_tasks import pauses
from agent_tasks.client._carried import CarriedRequest
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.client.gate import current_gate
from agent_tasks.errors import ConfigurationError

__all__ = [
    "Answer",
    "CarriedRequest",
    "Carrier",
    "Lock",
    "Semaphore",
    "acquired",
    "call_any",
    "closing",
    "contextmanager",
    "cut_off",
    "direct_transport",
    "for_each",
    "gate_passed",
    "gate_trace",
    "in_thread",
    "run_function",
    "sleep",
    "within",
]

T = TypeVar("T")
R = TypeVar("R")

Answer = httpx.Response
"""An answer that is not read."""

Lock = threading.Lock
Semaphore = threading.Semaphore


def acquired(semaphore: threading.Semaphore, seconds: float | None) -> None:
    """Acquires it. Raises httpx.PoolTimeout where that takes longer."""
    if not semaphore.acquire(timeout=seconds):
        raise httpx.PoolTimeout(f"no connection was free within {seconds:g} s")


def sleep(seconds: float) -> None:
    """Waits."""
    pauses.block(seconds)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Nothing: a blocking call can't be ended from here. Its pieces have their timeouts, its head a size."""
    yield


@contextmanager
def cut_off(response: httpx.Response, seconds: float) -> Iterator[None]:
    """Ends reading the rest of an answer after so many seconds; its connection is closed then.

    What blocks in a socket is ended by shutting the socket down: by the plain method, since `SSLSocket` would
    take its own state away from under the reader.
    """
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is None:  # nothing that could block
        yield
        return
    guard, is_over = threading.Lock(), False

    def cut() -> None:
        with guard, suppress(OSError):
            if not is_over:
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with guard:
            is_over = True
        timer.cancel()


def call_any(function: Callable[..., Any], *args: Any, seconds: float) -> Any:
    """Calls a blocking function; TimeoutError after so many seconds (its thread is left to itself then).

    Raises ConfigurationError for an async one, which belongs to an event loop.
    """
    if inspect.iscoroutinefunction(function):
        owner = type(getattr(function, "__self__", function)).__name__
        raise ConfigurationError(
            f"{owner} is an async credential; AgentsClient takes a blocking one (azure.identity), "
            "AsyncAgentsClient takes either.",
            setting="credential",
        )
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="agent-tasks-credential", daemon=True).start()
    return future.result(seconds)


class Carrier(Protocol):
    """What the async client has beside httpx."""

    def carry(self, request: CarriedRequest, closed: Callable[[], None]) -> httpx.Response:
        """Send a request."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


def direct_transport(
    _endpoint: Endpoint, _verified: Callable[[], ssl.SSLContext], *, keep_alive: float
) -> Carrier | None:
    """None: what there is for the blocking client is httpx."""
    return None


def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Calls a function that reads or writes a disk."""
    return function(*args)


def run_function(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Calls a function of the caller: a blocking one here, an async one in an event loop of its own."""
    result = function(*args, **named)
    if not inspect.isawaitable(result):
        return result

    async def whole() -> Any:
        return await result

    return _with_loop(whole())


def _with_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Runs a coroutine to its end, also where the calling thread has a running loop (as notebooks do)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, thread_name_prefix="agent-tasks") as pool:
        return pool.submit(contextvars.copy_context().run, asyncio.run, coroutine).result()


def for_each(function: Callable[[T], R], items: Iterable[T], *, at_once: int) -> list[R]:
    """Calls the function for all items, so many at once in threads; results in order.

    All calls run to their end; then the first exception, if any, is raised.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="agent-tasks") as pool:
        futures = [
            pool.submit(cast("Callable[..., R]", contextvars.copy_context().run), function, item)
            for item in items
        ]
    return [future.result() for future in futures]


def gate_passed() -> None:
    """Asks the gate that is up here, if there is one; raises what it says."""
    gate = current_gate()
    if gate is not None and not gate.is_open():
        gate.enter_blocking()


def gate_trace(event: str, _info: Any) -> None:
    """For httpx's extension `trace`: asks the gate when a connection is there and the first byte is due."""
    if event.endswith(".send_request_headers.started"):
        gate_passed()
