"""Runs a coroutine so that Ctrl-C and SIGTERM cancel it in order; at SIGTERM it hands its turns over.

Prefect installs its own handler for SIGTERM while a flow runs in the main thread, and kills the process when
the flow has ended. In another thread it leaves signals alone. So the coroutine runs in a thread of its own,
and the main thread waits and owns the signals.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from agent_tasks.cli.errors import InterruptedBySignal
from agent_tasks.detaching import detach

__all__ = ["SIGNALS", "run_interruptible"]

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run_interruptible(
    main: Callable[[], Coroutine[Any, Any, T]], on_interrupt: Callable[[int], None] | None = None
) -> T:
    """Runs `main()` to its end, or until a signal; call it in the main thread.

    The first signal cancels the coroutine, which may clean up for as long as it needs; the second one does
    not wait for that. At SIGTERM the process is detaching (`agent_tasks.detaching`).

    Args:
        main: makes the coroutine.
        on_interrupt: called once with the signal's number, before the coroutine is cancelled.

    Raises:
        InterruptedBySignal: a signal came, whatever the coroutine made of it.
    """
    received: list[int] = []
    outcome: list[T] = []
    failure: list[BaseException] = []
    ready = threading.Event()
    loop_and_task: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[T]]] = []

    async def body() -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        loop_and_task.append((asyncio.get_running_loop(), task))
        ready.set()
        return await main()

    def thread_main() -> None:
        try:
            outcome.append(asyncio.run(body()))
        except BaseException as error:
            failure.append(error)
        finally:
            ready.set()

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise InterruptedBySignal(number)
        if number == signal.SIGTERM:
            detach()
        if on_interrupt is not None:
            on_interrupt(number)
        ready.wait()
        for loop, task in loop_and_task:
            if not loop.is_closed():
                loop.call_soon_threadsafe(task.cancel)

    thread = threading.Thread(target=thread_main, name="run", daemon=True)
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        thread.start()
        thread.join()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise InterruptedBySignal(received[0])
    if failure:
        raise failure[0]
    return outcome[0]
