"""What makes a Prefect server that idles take less: Prefect has no settings for it.

Each function changes one thing that looks again and again whether there is something to do, and says so where
that thing is another one than is known here: then the server works as Prefect's own does.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from inspect import signature
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

__all__ = [
    "AUTOMATION_SECONDS",
    "HEARTBEAT_SECONDS",
    "LOOK_SECONDS",
    "TICK_SECONDS",
    "idle_less",
    "look_less_often",
    "read_automations_less_often",
    "wait_to_be_told",
]

LOOK_SECONDS = 5.0
"""How often the background worker looks for work that is due; what is due at once does not wait for it."""
HEARTBEAT_SECONDS = 30.0
"""How often it tells the broker, which is in the same process, that it lives."""
AUTOMATION_SECONDS = 10.0
"""How often automations are read anew, and events that were held back are let go."""
TICK_SECONDS = 1.0
"""How often uvicorn writes anew the date that answers carry."""


def idle_less() -> None:
    """Change all that is known here; say on stderr what is not."""
    for change in (look_less_often, read_automations_less_often, wait_to_be_told):
        try:
            change()
        except (ImportError, AttributeError) as error:
            # Other packages than those that are pinned: the server works, and takes more while it idles.
            print(f"Prefect's server will take more while it idles: {error}", file=sys.stderr)


def look_less_often() -> None:
    """Have Prefect's background worker look for work every five seconds, and say every thirty that it lives.

    It looks four times a second, and ten times, each through a thread, for tasks that were cancelled, of
    which Prefect has none, and says every two seconds that it lives: more than half of what an idle server
    takes.

    Raises:
        ImportError: What it works with is not there.
        AttributeError: It is another one than is known here.
    """
    from burner_redis import PubSub  # type: ignore[import-untyped]
    from docket import Docket, Worker
    from prefect.server.api import background_workers

    seconds = timedelta(seconds=LOOK_SECONDS)
    known = signature(Worker).parameters
    if not {"minimum_check_interval", "scheduling_resolution"} <= known.keys():
        raise AttributeError(f"Worker has other intervals: {', '.join(known)}")
    if "heartbeat_interval" not in signature(Docket).parameters:
        raise AttributeError(f"Docket has other intervals: {', '.join(signature(Docket).parameters)}")

    def seldom(docket: Docket) -> Worker:
        docket.heartbeat_interval = timedelta(seconds=HEARTBEAT_SECONDS)
        return Worker(docket, minimum_check_interval=seconds, scheduling_resolution=seconds)

    background_workers.Worker = seldom  # type: ignore[assignment,attr-defined]
    message_at_hand = PubSub.get_message

    async def get_message(
        pubsub: Any,
        ignore_subscribe_messages: bool = False,
        timeout: float = 0.0,  # noqa: ASYNC109 - as its caller names it
    ) -> Any:
        found = await message_at_hand(pubsub, ignore_subscribe_messages)
        if found is None and timeout:
            await asyncio.sleep(LOOK_SECONDS)
        return found

    PubSub.get_message = get_message


def read_automations_less_often() -> None:
    """Have Prefect read its automations anew every ten seconds, where it would every five.

    One that is made or changed through this server is known at once.

    Raises:
        ImportError: What evaluates triggers is not there.
        AttributeError: It is another one than is known here.
    """
    from prefect.server.events import triggers

    evaluate = triggers.evaluate_periodically
    known = signature(evaluate).parameters
    if [*known] != ["periodic_granularity"]:
        raise AttributeError(f"evaluate_periodically takes other arguments: {', '.join(known)}")

    async def seldom(periodic_granularity: timedelta) -> None:
        await evaluate(max(periodic_granularity, timedelta(seconds=AUTOMATION_SECONDS)))

    triggers.evaluate_periodically = seldom


def wait_to_be_told() -> None:
    """Have uvicorn wake for the signal that ends it, where it looks for one ten times a second.

    Raises:
        ImportError: It is not there.
        AttributeError: It is another one than is known here.
    """
    from uvicorn import Server

    known = signature(Server.on_tick).parameters
    if [*known] != ["self", "counter"] or not asyncio.iscoroutinefunction(Server.main_loop):
        raise AttributeError(f"Server.on_tick takes other arguments: {', '.join(known)}")
    handle_exit = Server.handle_exit
    wake: WeakKeyDictionary[Server, Callable[[], object]] = WeakKeyDictionary()

    async def main_loop(server: Server) -> None:
        told = asyncio.Event()
        wake[server] = partial(asyncio.get_running_loop().call_soon_threadsafe, told.set)
        while not await server.on_tick(0):  # the tick of a whole second: it writes the date
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), TICK_SECONDS)

    def handle_exit_and_wake(server: Server, sig: int, frame: FrameType | None) -> None:
        handle_exit(server, sig, frame)
        if server in wake:
            wake[server]()

    Server.main_loop = main_loop  # type: ignore[assignment,method-assign]
    Server.handle_exit = handle_exit_and_wake  # type: ignore[assignment,method-assign]
