"""`agent-tasks functions`: runs a Function App on this machine, with Azurite if it wants local storage."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from agent_tasks.cli.errors import ExitCode, InterruptedBySignal, say
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.errors import ConfigurationError
from agent_tasks.local.azurite import Azurite, StorageAddresses, azurite
from agent_tasks.local.functions_host import AppFolder, FunctionsHost
from agent_tasks.logs import log_to_stderr
from agent_tasks.settings import Settings, environment

__all__ = ["run_functions", "with_storage"]

_LOCAL = "usedevelopmentstorage=true"


def run_functions(
    folder: Path,
    *,
    data: Path | None = None,
    ready_file: Path | None = None,
    plain: bool = False,
    command: Sequence[str] = (),
) -> int:
    """Runs the app until Ctrl-C or SIGTERM, or as long as `command` runs; returns the exit code.

    Raises:
        ConfigurationError, FunctionsHostError, EmbeddedServiceError, QueueError: it cannot be started.
    """
    log_to_stderr(logging.INFO)
    for noisy in ("azure.core", "azure.identity"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if command and shutil.which(command[0]) is None:
        raise ConfigurationError(f"There is no program {command[0]} to run beside the app.")
    app = AppFolder.read(folder)
    settings = app.settings(environment())
    try:
        return run_interruptible(lambda: _run(app, settings, data, ready_file, command, plain=plain))
    except InterruptedBySignal:
        if command:
            raise
        return ExitCode.OK  # a server that is told to stop has done its work


def with_storage(settings: Mapping[str, str], storage: StorageAddresses) -> dict[str, str]:
    """App settings with an Azurite in the place of `UseDevelopmentStorage=true`."""
    string = storage.connection_string.get_secret_value()
    return {name: string if _is_local(value) else value for name, value in settings.items()}


async def _run(
    app: AppFolder,
    settings: dict[str, str],
    data: Path | None,
    ready_file: Path | None,
    command: Sequence[str],
    *,
    plain: bool,
) -> int:
    async with AsyncExitStack() as stack:
        storage: StorageAddresses | None = None
        if any(map(_is_local, settings.values())):
            own = Settings()
            server = Azurite(data, state_dir=own.state_dir) if data else azurite(own)
            storage = await stack.enter_async_context(server)
            settings = with_storage(settings, storage)
            say(f"Azurite runs: queues at {storage.queue}, data in {server.folder}")
        elif data is not None:
            raise ConfigurationError(
                "--data is the folder of Azurite, and no setting of the app asks for it: set one to "
                "UseDevelopmentStorage=true, or leave --data out."
            )
        host = await stack.enter_async_context(FunctionsHost(app, settings, plain=plain))
        _introduce(host)
        if ready_file is not None:
            _write_ready_file(ready_file, storage)
        if command:
            connections = {function.trigger.connection for function in host.functions}
            return await _run_command(command, {name: settings[name] for name in connections & set(settings)})
        say("Ctrl-C ends it.")
        await host.serve()
    return ExitCode.OK


async def _run_command(command: Sequence[str], connections: Mapping[str, str]) -> int:
    """Runs a command that finds the app's connections in its environment; returns its exit code."""
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **connections})
    try:
        return await process.wait()
    finally:
        if process.returncode is None:  # we are told to stop, and so is it
            process.terminate()
            await process.wait()


def _introduce(host: FunctionsHost) -> None:
    say(f"A development host, not Microsoft's. Functions run by {host.worker.description}.")
    for function in host.functions:
        outputs = ", ".join(output.queue for output in function.outputs) or "nothing"
        say(f"  {function.name}: {function.trigger.queue} -> {outputs}")
    for function in host.skipped:
        say(f"  {function.name}: does not run here ({function.trigger.type})", style="yellow")
    if host.created:
        say(f"Queues created: {len(host.created)} (a convenience that Azure does not have).")


def _write_ready_file(path: Path, storage: StorageAddresses | None) -> None:
    ready: dict[str, object] = {"pid": os.getpid()}
    if storage is not None:
        ready |= {
            "queue": storage.queue,
            "blob": storage.blob,
            "table": storage.table,
            "connection_string": storage.connection_string.get_secret_value(),
        }
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(ready), encoding="utf-8")
    partial.replace(path)


def _is_local(value: str) -> bool:
    return value.strip().rstrip(";").lower() == _LOCAL
