"""The program of a state folder's Prefect server: `prefect server start`, which begins sooner.

    python -m agent_tasks.local.prefect_program --host 127.0.0.1 --port 14200

Its arguments are those of Prefect's command, its environment is that of `agent_tasks.local.servers`. Three
things are done before: a new database is made from a template (`agent_tasks.local.database_template`),
Prefect is imported without garbage collection, which would go through all its models again and again, and
what looks for something to do all the time is made to look less often (`agent_tasks.local.idling`).
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from agent_tasks.local.database_template import DatabaseTemplate
from agent_tasks.local.idling import idle_less

__all__ = ["main"]


def main() -> None:
    """Run the server until it is told to end."""
    gc.disable()
    database = Path(os.environ["PREFECT_HOME"]) / "prefect.db"
    if not database.exists():
        _make(database)
    import_module("prefect.server.api.server")
    idle_less()
    gc.freeze()
    gc.enable()

    from prefect.cli import app

    sys.argv = ["prefect", "server", "start", *sys.argv[1:]]
    app()


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
