"""A function behind two storage queues, which the service calls itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from agent_tasks.errors import ConfigurationError
from agent_tasks.field_types import check_field_types
from agent_tasks.tools.base import HostedTool, named
from agent_tasks.tools.function import FunctionTool
from agent_tasks.wire import (
    AzureFunctionBinding,
    AzureFunctionDefinition,
    AzureFunctionStorageQueue,
    AzureFunctionToolDefinition,
    FunctionDefinition,
    ToolDefinition,
)

# Azure Storage: 3 to 63 lower-case letters, digits and single hyphens, not at either end.
_QUEUE_NAME = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class StorageQueue:
    """A storage queue. Raises ConfigurationError for a name or address that cannot be one."""

    queue_service_endpoint: str
    """Address of the account's queues, such as `https://ACCOUNT.queue.core.windows.net`."""
    queue_name: str
    """3 to 63 lower-case letters, digits and single hyphens."""

    def __post_init__(self) -> None:
        check_field_types(self)
        parts = urlsplit(self.queue_service_endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.password:
            raise ConfigurationError(
                "a queue's endpoint is an http address without a signature or password "
                "(the service signs in with its own identity)",
                setting="queue_service_endpoint",
            )
        if _QUEUE_NAME.fullmatch(self.queue_name) is None:
            raise ConfigurationError(
                f"{self.queue_name!r} cannot name a queue: use 3 to 63 lower-case letters, digits and "
                "single hyphens",
                setting="queue_name",
            )

    def to_wire(self) -> AzureFunctionBinding:
        """As on the wire."""
        queue = AzureFunctionStorageQueue(
            queue_service_endpoint=self.queue_service_endpoint, queue_name=self.queue_name
        )
        return AzureFunctionBinding(type="storage_queue", storage_queue=queue)


@dataclass(frozen=True)
class AzureFunctionTool(HostedTool):
    """A function that the service calls over two storage queues; the run stays `in_progress` meanwhile.

    The service puts `{..arguments.., "CorrelationId"}` into the input queue; the Function App answers with
    `{"Value", "CorrelationId"}` in the output queue.

    Raises ConfigurationError for an impossible name, or the same queue in both places.
    """

    name: str
    """Name that the model calls."""
    description: str
    """What the function does, for the model."""
    parameters: Mapping[str, Any] = field(repr=False)
    """JSON schema of the arguments."""
    input_queue: StorageQueue
    """Where the service puts calls."""
    output_queue: StorageQueue
    """Where it reads answers."""

    def __post_init__(self) -> None:
        named("AzureFunctionTool", name=self.name, description=self.description)
        if self.input_queue == self.output_queue:
            raise ConfigurationError(
                f"AzureFunctionTool {self.name}: input and output are the same queue; the function would "
                "read its own answers"
            )

    @classmethod
    def from_callable(
        cls,
        fn: Callable[..., Any],
        *,
        input_queue: StorageQueue,
        output_queue: StorageQueue,
        name: str | None = None,
        description: str | None = None,
    ) -> AzureFunctionTool:
        """Describe the function by a Python function's hints and docstring; it is never called here.

        Raises ConfigurationError as `FunctionTool.from_callable` does.
        """
        told = FunctionTool.from_callable(fn, name=name, description=description)
        return cls(told.name, told.description, told.parameters, input_queue, output_queue)

    def _definitions(self) -> list[ToolDefinition]:
        function = FunctionDefinition(
            name=self.name, description=self.description, parameters=dict(self.parameters)
        )
        return [
            AzureFunctionToolDefinition(
                azure_function=AzureFunctionDefinition(
                    function=function,
                    input_binding=self.input_queue.to_wire(),
                    output_binding=self.output_queue.to_wire(),
                )
            )
        ]
