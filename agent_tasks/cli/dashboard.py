"""`agent-tasks dashboard`: the Prefect server of the state folder, for as long as somebody looks at it."""

from __future__ import annotations

import signal
import time
import webbrowser
from types import FrameType

from agent_tasks.cli.errors import InterruptedBySignal, say
from agent_tasks.cli.interrupts import SIGNALS
from agent_tasks.embedded import prefect_server
from agent_tasks.settings import Settings

__all__ = ["show_dashboard"]


def show_dashboard(*, browser: bool) -> None:
    """Starts (or joins) the server, prints its address, and stays until Ctrl-C (the usual end) or SIGTERM."""
    settings = Settings()
    for number in SIGNALS:
        signal.signal(number, _raise)
    ours = settings.prefect_api_url is None
    if ours:
        say("Starting the Prefect server ...", style="dim")
    server = prefect_server(settings)
    try:
        address = (settings.prefect_api_url or server.launch().wait()).removesuffix("/api")
        print(address, flush=True)
        if browser:
            webbrowser.open(address)
        if ours:
            say("Ctrl-C ends it.", style="dim")
            while True:
                time.sleep(3600)  # a signal ends it
    except InterruptedBySignal as interrupt:
        if interrupt.number != signal.SIGINT:
            raise
    finally:
        server.close()


def _raise(number: int, frame: FrameType | None) -> None:
    raise InterruptedBySignal(number)
