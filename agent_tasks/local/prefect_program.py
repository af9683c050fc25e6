"""The program of a state folder's Prefect server: `prefect server start`, which begins sooner.

    python -m agent_tasks.local.prefect_program --host 127.0.0.1 --port 14200

Its arguments are those of Prefect's command, its environment is that of `agent_tasks.local.servers`. Three
things are done before: a new database is made from a template (`agent_tasks.local.database_template`),
Prefect is imported without garbage collection, which would go through all its models again and again, and its
background worker is made to look for work less often.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import sys
from datetime import timedelta
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any

from agent_tasks.local.database_template import DatabaseTemplate

__all__ = ["LOOK_SECONDS", "look_less_often", "main"]

LOOK_SECONDS = 2.0
"""How often the background worker looks for work that is due; what is due at once does not wait for it."""
HEARTBEAT_SECONDS = 10.0
"""How often it tells the broker, which is in the same process, that it lives."""


def main() -> None:
    """Run the server until it is told to end."""
    gc.disable()
    database = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    if not database.exists():
        _make(database)
    import_module("prefect.server.api.server")
    try:
        look_less_often()
    except (ImportError, AttributeError) as error:
        # Others of its packages than those that are pinned: the server works, and takes more while it idles.
        print(f"Prefect's background worker cannot be made to look less often: {error}", file=sys.stderr)
    gc.freeze()
    gc.enable()

    from prefect.cli import app

    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()


def look_less_often() -> None:
    """Have Prefect's background worker look for work every two seconds, and say every ten that it lives.

    It looks four times a second, and ten times, each through a thread, for tasks that were cancelled, of
    which Prefect has none, and says every two seconds that it lives: more than half of what an idle server
    takes. There is no setting for it.

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


def _make(database: Path) -> None:
    try:
        template = DatabaseTemplate(version("prefect"))
        if template.copy_to(database):
            return
        asyncio.run(_migrate())
        template.keep(database)
    except (OSError, sqlite3.Error) as error:
        # The server makes the tables where they are missing; the next new folder takes a few seconds longer.
        print(f"The template of Prefect's tables cannot be used: {error}", file=sys.stderr)


async def _migrate() -> None:
    from prefect.server.database import provide_database_interface

    interface = provide_database_interface()
    await interface.create_db()
    await (await interface.engine()).dispose()


if __name__ == "__main__":
    main()
