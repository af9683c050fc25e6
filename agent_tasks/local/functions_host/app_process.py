"""The program of the app process: one Function App, called over a socket by its host.

    python -m agent_tasks.local.functions_host.app_process DESCRIPTOR [--plain]

It runs in the app's folder, with the app settings as its environment. It ends when its host is gone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from agent_tasks.local.functions_host.executors import Executor, load_executor
from agent_tasks.local.functions_host.wire import Channel, Invocation, Outcome, open_channel
from agent_tasks.logs import log_to_stderr

__all__ = ["main"]


def main() -> int:
    """Serves the app in the working directory; returns the exit code."""
    log_to_stderr(logging.INFO)
    for noisy in ("azure.core", "azure.identity", "azure.functions"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # Ctrl-C in a terminal reaches this process too; its host decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.insert(0, str(Path.cwd()))
    return asyncio.run(_serve(int(sys.argv[1]), plain="--plain" in sys.argv[2:]))


async def _serve(descriptor: int, *, plain: bool) -> int:
    channel = await open_channel(socket.socket(fileno=descriptor))
    executor = load_executor(plain=plain)
    try:
        functions = executor.index(Path.cwd())
    except Exception:
        channel.send({"failed": traceback.format_exc()})
        await asyncio.sleep(0.1)
        return 1
    channel.send(
        {
            "ready": [asdict(function) for function in functions],
            "description": executor.description,
            "pid": os.getpid(),
        }
    )
    calls: set[asyncio.Task[None]] = set()
    while (values := await channel.receive()) is not None:
        task = asyncio.create_task(_call(executor, channel, Invocation(**values)))
        calls.add(task)
        task.add_done_callback(calls.discard)
    os._exit(0)  # the host is gone: whatever is still at work has nobody to report to


async def _call(executor: Executor, channel: Channel, invocation: Invocation) -> None:
    try:
        outcome = await executor.call(invocation)
    except Exception:
        outcome = Outcome(invocation.id, error=traceback.format_exc())
    channel.send(outcome)


if __name__ == "__main__":
    sys.exit(main())
