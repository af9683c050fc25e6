"""The host: the app process, and a listener for each of its queue-triggered functions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from agent_tasks.errors import ConfigurationError, QueuePermissionError
from agent_tasks.local.functions_host.configuration import AppFolder
from agent_tasks.local.functions_host.listener import LEASE_SECONDS, POISON, QueueListener
from agent_tasks.local.functions_host.wire import Binding, Function
from agent_tasks.local.functions_host.worker import AppWorker
from agent_tasks.logs import get_logger
from agent_tasks.queues import Queue, Storage, StorageConnection

__all__ = ["FunctionsHost"]

logger = get_logger("agent_tasks.functions")

DRAIN_SECONDS = 10.0
QUEUE_TRIGGER = "queuetrigger"
QUEUE_OUTPUT = "queue"


class FunctionsHost:
    """Runs the app of a folder: `async with FunctionsHost(app, settings) as host: await host.serve()`.

    On entry it starts the app process and creates the queues that the app's bindings name: a convenience for
    development, which Microsoft's host does not have for the queues it reads.

    Args:
        app: the folder.
        settings: the app settings, which are the environment of the app process as well; the connections of
            the bindings are among them.
        plain: run functions by `azure.functions` alone, also where Microsoft's worker library is installed.
        lease: seconds for which a message at work is hidden at a time.

    Raises on entry:
        FunctionsHostError: the app cannot be imported.
        ConfigurationError: a connection is missing, or the app has no function that this host can run.
        QueueError: the storage refuses.
    """

    def __init__(
        self, app: AppFolder, settings: Mapping[str, str], *, plain: bool = False, lease: int = LEASE_SECONDS
    ) -> None:
        self.app = app
        self.worker = AppWorker(app.path, settings, plain=plain)
        self.functions: list[Function] = []
        """Those that run here."""
        self.skipped: list[Function] = []
        """Those of other triggers, which do not run here."""
        self.created: list[str] = []
        """Names of the queues that had to be created."""
        self._settings = settings
        self._lease = lease
        self._storages: dict[str, Storage] = {}
        self._stack = AsyncExitStack()
        self._listeners: list[QueueListener] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.worker.close)
            found = await self.worker.start()
            self.functions = [one for one in found if one.trigger.type.lower() == QUEUE_TRIGGER]
            self.skipped = [one for one in found if one not in self.functions]
            if not self.functions:
                raise ConfigurationError(
                    f"The Function App {self.app.path} has no queue-triggered function, and this host "
                    "runs no other."
                )
            queues = await self._queues(stack)
            self._listeners = [self._listener(function, queues) for function in self.functions]
            self._tasks = [asyncio.create_task(listener.run()) for listener in self._listeners]
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(listener.drain(DRAIN_SECONDS) for listener in self._listeners))
        await self._stack.aclose()

    async def serve(self) -> None:
        """Runs until it is cancelled. Raises whatever ends a listener."""
        await asyncio.gather(*self._tasks)

    async def _queues(self, stack: AsyncExitStack) -> dict[tuple[str, str], Queue]:
        """The queues of all bindings by connection and name; created where they are missing."""
        queues: dict[tuple[str, str], Queue] = {}
        for function in self.functions:
            for binding in (function.trigger, *_queue_outputs(function)):
                key = (binding.connection, binding.queue)
                if key not in queues:
                    queues[key] = (await self._storage(binding.connection, stack)).queue(binding.queue)

        async def create(queue: Queue) -> None:
            try:
                if await queue.create():
                    self.created.append(queue.name)
            except QueuePermissionError as error:
                # It may be there, and open to reading and writing; else its listener will say so.
                logger.warning("the queue %s cannot be created: %s", queue.name, error)

        await asyncio.gather(*map(create, queues.values()))
        self.created.sort()
        return queues

    async def _storage(self, connection: str, stack: AsyncExitStack) -> Storage:
        name = connection or "AzureWebJobsStorage"
        if name not in self._storages:
            if not any(key.startswith(name) for key in self._settings) and name in os.environ:
                raise ConfigurationError(
                    f"The connection {name} is set in the environment, but the app's local.settings.json "
                    f'does not name it, so it does not reach the app: add "{name}": "" to its Values.',
                    setting=name,
                )
            opened = Storage(StorageConnection.from_settings(name, self._settings))
            self._storages[name] = await stack.enter_async_context(opened)
        return self._storages[name]

    def _listener(self, function: Function, queues: dict[tuple[str, str], Queue]) -> QueueListener:
        trigger = function.trigger
        storage = self._storages[trigger.connection or "AzureWebJobsStorage"]
        poison = None if trigger.queue.endswith(POISON) else storage.queue(f"{trigger.queue}{POISON}")
        return QueueListener(
            function,
            queues[trigger.connection, trigger.queue],
            poison,
            {output.name: queues[output.connection, output.queue] for output in _queue_outputs(function)},
            self.worker,
            self.app.options,
            lease=self._lease,
        )


def _queue_outputs(function: Function) -> list[Binding]:
    other = [output for output in function.outputs if output.type.lower() != QUEUE_OUTPUT]
    if other:
        raise ConfigurationError(
            f"The function {function.name} has the output binding {other[0].name} of type {other[0].type}; "
            "this host has output bindings to queues only."
        )
    return function.outputs
