"""Functions behind storage queues, driven by the service or by the pipeline.

    tools = queue_tools(read_definitions("tools.json"), drive="pipeline", connection=connection)

With `drive="service"` they are `azure_function` tools: the service puts the calls into the queues itself. The
basic agent setup refuses those. With `drive="pipeline"` they are functions to the service, and this process
puts the calls into the same queues: same definitions, same Function App.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_tasks.errors import ConfigurationError, ToolArgumentsError, ToolOutputError
from agent_tasks.field_types import check_field_types
from agent_tasks.pool import Pool
from agent_tasks.queues import QueueAccount, ReaderPolicy, Storage, StorageConnection, send_call
from agent_tasks.tools.azure_function import AzureFunctionTool, StorageQueue
from agent_tasks.tools.base import Tool, ToolContext
from agent_tasks.tools.function import (
    DEFAULT_MAX_OUTPUT_CHARS,
    check_name,
    function_definition,
    given_arguments,
)
from agent_tasks.tools.policy import WhenUnknown

DEFAULT_DEADLINE = 120.0
"""Seconds from the call to its answer, the retries of the queue included."""

DEFAULT_CONTAINER = "queue-tool-values"
"""Blob container of values too large for a queue, as the Function App has it (`LARGE_VALUES_CONTAINER`)."""

IDLE_SECONDS = 30.0
"""How long an account stays open when no call waits: its readers then still know a duplicate as one."""

Drive = Literal["service", "pipeline"]


class QueueToolDefinition(BaseModel):
    """A function behind queues, as its Function App describes it (`python catalog.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """Name that the model calls."""
    description: str
    """What it does, for the model."""
    parameters: dict[str, Any]
    """JSON schema of the arguments."""
    input_queue: str
    """Where calls go in."""
    output_queue: str
    """Where answers come out."""


def read_definitions(path: str | Path) -> list[QueueToolDefinition]:
    """Read the definitions that a Function App has written.

    Raises:
        ConfigurationError: the file is missing or is not such a list.
    """
    remedy = "write it with `python catalog.py > tools.json` in the folder of the Function App"
    try:
        text = Path(path).read_text(encoding="utf-8")
        return TypeAdapter(list[QueueToolDefinition]).validate_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the definitions {path} cannot be read ({error}); {remedy}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"the definitions {path} are not queue tools: {where}: {first['msg']}; {remedy}"
        ) from error


def queue_tools(
    definitions: Iterable[QueueToolDefinition],
    *,
    drive: Drive,
    connection: StorageConnection,
    deadline: float = DEFAULT_DEADLINE,
    idempotent: bool = True,
    container: str = DEFAULT_CONTAINER,
) -> list[Tool]:
    """The tools for an agent.

    Args:
        definitions: what the Function App serves.
        drive: who puts the calls into the queues.
        connection: the storage account. With `drive="service"` only its address is used: the service signs in
            with its own identity.
        deadline: seconds until a call is given up (`drive="pipeline"`).
        idempotent: whether a call that was interrupted in this process is sent again when the turn resumes.
            The Function App of this project answers a repetition from the stored first answer; say False for
            an app that does not.
        container: blob container of values too large for a queue (`drive="pipeline"`).

    Raises:
        ConfigurationError: a name or an address is not possible.
    """
    if drive not in ("service", "pipeline"):
        raise ConfigurationError(f"drive is {drive!r}: it is 'service' or 'pipeline'", setting="drive")
    _check_connection(connection)
    if drive == "service":
        address = Storage(connection).address
        return [
            AzureFunctionTool(
                one.name,
                one.description,
                one.parameters,
                StorageQueue(address, one.input_queue),
                StorageQueue(address, one.output_queue),
            )
            for one in definitions
        ]
    return [
        QueueFunctionTool(
            one, connection, deadline=deadline, idempotent=idempotent, container=container
        ).configured()
        for one in definitions
    ]


def _check_connection(connection: object) -> None:
    """Refuse the *name* of a connection in the place of the connection, before a call needs it."""
    if not isinstance(connection, StorageConnection):
        raise ConfigurationError(
            f"connection is a {type(connection).__name__}; it has to be a StorageConnection. One that is "
            "named in the environment: StorageConnection.from_settings('STORAGE', os.environ).",
            setting="connection",
        )


@dataclass(frozen=True)
class QueueFunctionTool:
    """A function behind queues that this process calls: the service sees a function tool.

    The call goes out under the idempotency key of its context as `CorrelationId`, so a call that is repeated
    after a crash is the same call to the Function App.
    """

    definition: QueueToolDefinition
    """What it is."""
    connection: StorageConnection
    """The account of its queues."""
    deadline: float = DEFAULT_DEADLINE
    """Seconds from the call to its answer."""
    idempotent: bool = True
    """Whether an interrupted call may be sent again."""
    container: str = DEFAULT_CONTAINER
    """Blob container of values too large for a queue."""
    max_output_chars: int = DEFAULT_MAX_OUTPUT_CHARS
    """Characters that an answer may have."""
    policy: ReaderPolicy = field(default=ReaderPolicy(), repr=False)
    """How answers are read; one reader serves all tools with the same output queue."""

    def __post_init__(self) -> None:
        _check_connection(self.connection)
        check_field_types(self)

    def configured(
        self, *, deadline: float | None = None, max_output_chars: int | None = None
    ) -> QueueFunctionTool:
        """A copy with other settings; what is None stays. Raises ConfigurationError for impossible values."""
        tool = replace(
            self,
            deadline=self.deadline if deadline is None else deadline,
            max_output_chars=self.max_output_chars if max_output_chars is None else max_output_chars,
        )
        check_name(tool.name)
        for queue in (tool.definition.input_queue, tool.definition.output_queue):
            StorageQueue("https://account.queue.core.windows.net", queue)  # checks the name
        if tool.deadline <= 0 or tool.max_output_chars <= 0:
            raise ConfigurationError(f"tool {tool.name}: deadline and max_output_chars must be above 0")
        return tool

    @property
    def when_unknown(self) -> WhenUnknown:
        """What happens to an interrupted call that may not be sent again: the agent is told."""
        return WhenUnknown.TELL_AGENT

    @property
    def name(self) -> str:
        """Name that the model calls."""
        return self.definition.name

    @property
    def definitions(self) -> list[dict[str, Any]]:
        """The tool as the service is told about it."""
        one = self.definition
        return [function_definition(one.name, one.description, one.parameters)]

    @property
    def resources(self) -> dict[str, Any]:
        """Functions have none."""
        return {}

    async def call(self, arguments_json: str, context: ToolContext) -> str:
        """Send a call and wait for its answer.

        Args:
            arguments_json: the arguments as the model wrote them; the Function App checks them.
            context: its idempotency key is the `CorrelationId`.

        Returns:
            The `Value`: the function's result, or `{"error": {...}}` as the app tells of it.

        Raises:
            ToolArgumentsError: the arguments are no JSON object; nothing was sent.
            QueueAnswerTimeoutError: no answer came within `deadline` seconds; a later one is dropped.
            QueueAnswerError: an answer came that cannot be used.
            StorageUnreachableError: the storage did not answer until the deadline.
            QueueError: a queue is missing, or the storage refuses.
            ToolOutputError: the answer is too long.
        """
        arguments = _object(arguments_json, self.name)
        key, one = context.idempotency_key, self.definition
        loop = asyncio.get_running_loop()
        end = loop.time() + self.deadline
        async with (
            _account(self.connection, self.container) as account,
            account.reader(one.output_queue, self.policy).expect(key) as expected,
        ):
            await send_call(
                account.storage.queue(one.input_queue),
                arguments,
                key,
                within=self.deadline,
                shape="function_args",
                deadline=self.deadline,
                traceparent=_traceparent(),
                claim_check=account.claim_check,
            )
            value = await expected.answer(within=max(0.1, end - loop.time()))
        if len(value) > self.max_output_chars:
            raise ToolOutputError(
                f"tool {self.name} (call {context.call_id}) answered {len(value)} characters; at most "
                f"{self.max_output_chars} are allowed; ask for less, or raise max_output_chars",
                tool=self.name,
                call_id=context.call_id,
            )
        return value


def _object(arguments_json: str, tool: str) -> Mapping[str, Any]:
    try:
        arguments = json.loads(given_arguments(arguments_json))
    except (ValueError, RecursionError) as error:
        raise ToolArgumentsError(f"arguments of tool {tool} are not JSON: {error}", tool=tool) from None
    if not isinstance(arguments, dict):
        raise ToolArgumentsError(f"arguments of tool {tool} are not a JSON object", tool=tool)
    return arguments


def _traceparent() -> str | None:
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


_accounts: Pool[QueueAccount] = Pool("queues-idle", idle=IDLE_SECONDS)
"""Accounts in use, which stay open a while for the next call."""


def _account(connection: StorageConnection, container: str) -> AbstractAsyncContextManager[QueueAccount]:
    """The account of a connection, opened by the first call."""
    return _accounts.use((connection, container), lambda: QueueAccount(Storage(connection), container))
