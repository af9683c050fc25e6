"""What a tool of the service is: its functions for the model, its calls in run steps, its execution.

A tool object belongs to one run and one tool definition. The engine asks it for the functions that the model
may call (`specs`), for the body of each call in the step (`body`, `deltas`), and to execute a call
(`execute`). A failure that the model should hear about is a `ToolError`: it becomes the call's output.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from agent_tasks.logs import get_logger
from agent_tasks.redaction import redacted
from agents_emulator.models.base import ChatRequest, ToolCall, ToolSpec
from agents_emulator.store import Record, Store
from agents_emulator.tools.queue_accounts import QueueAccounts
from agents_emulator.tools.sandbox import Sandbox
from agents_emulator.tools.settings import ToolSettings

logger = get_logger("agents_emulator")

MAX_OUTPUT_CHARACTERS = 512_000
"""Longest output of a call, as the service's documents give it for function tools."""


class ToolError(Exception):
    """A call failed; its text is the output that the model reads. Secrets in it are left out."""

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


class ToolSetupError(Exception):
    """The tool cannot be used at all; becomes `last_error` of the run."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = redacted(message)
        super().__init__(self.message)


@dataclass(frozen=True)
class Source:
    """A text that an answer may cite by its address."""

    url: str
    title: str
    text: str


@dataclass(frozen=True)
class ToolCallResult:
    """The outcome of a call.

    Attributes:
        output: what the model reads.
        body: the finished call, as it stands in the step.
        deltas: parts of step deltas about the outcome.
        images: ids of files to show in the next message.
        sources: texts that the answer may cite.
    """

    output: str
    body: Record
    deltas: Sequence[Record] = ()
    images: Sequence[str] = ()
    sources: Sequence[Source] = ()


@dataclass(frozen=True)
class Answer:
    """What the model answered to a tool: a text, or calls of the functions that the tool offered it."""

    text: str
    tool_calls: Sequence[ToolCall]


@dataclass(frozen=True)
class CallContext:
    """A call that is to be executed.

    `item` is the engine's own record of the call (see `engine.toolwork`); `remember` adds fields to it
    in the transaction of an effect, so that a restarted service finds what it had begun. `ask` puts a
    question to the run's model, whose tokens count towards the run; `context_tokens` of sources fit into one.
    `say` adds a message to the thread that tells how the work goes on, citing sources by their address.
    """

    call_id: str
    name: str
    arguments: str
    body: Record
    item: Record
    remember: Callable[[sqlite3.Connection, Record], None]
    ask: Callable[[ChatRequest], Awaitable[Answer]]
    say: Callable[[str, Sequence[Source]], Awaitable[None]]
    context_tokens: int


class ChildRuns(Protocol):
    """Runs of other agents on behalf of a call."""

    async def run_child(self, parent: Record, agent_id: str, message: str, call: CallContext) -> Record:
        """Return the final state of a run of `agent_id` in a thread of its own; cancelling ends it."""
        ...

    async def follow(self, run: Record, *, is_new: bool) -> Record:
        """Return the final state of a run, which is started if it is new."""
        ...


CONCURRENT_PROCESSES = 4
"""Interpreters and browsers at work at a time: each takes a processor, and hundreds of megabytes."""


@dataclass
class ToolServices:
    """What tools may use of the service."""

    store: Store
    files_dir: Path
    data_dir: Path
    settings: ToolSettings
    children: ChildRuns | None = None
    secrets: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict, repr=False)
    """Headers of MCP servers by run and server label; never written to disk."""

    def __post_init__(self) -> None:
        if self.settings.unisolated_code:
            logger.warning(
                "unisolated_code is set: code that a model writes is executed with all that this service may "
                "do. Let nobody you distrust write its instructions, or its documents"
            )
        self.sandbox = Sandbox(self.settings.interpreter, isolated=not self.settings.unisolated_code)
        self.queues = QueueAccounts(self.settings)
        self.processes = asyncio.Semaphore(CONCURRENT_PROCESSES)

    def thread_folder(self, thread_id: str) -> Path:
        """Return the folder of executed code of a thread; ids are the service's own, so safe as names."""
        return self.data_dir / "interpreter" / thread_id

    def forget_thread(self, thread_id: str) -> None:
        """Remove what executed code left behind in a thread. Blocks."""
        shutil.rmtree(self.thread_folder(thread_id), ignore_errors=True)

    def forget_run(self, run_id: str) -> None:
        """Forget the secrets of a run that has ended."""
        self.secrets.pop(run_id, None)


class Tool(ABC):
    """One tool definition within one run."""

    type: ClassVar[str]
    """Of the definition and of the calls in steps."""
    delta_kind: ClassVar[str] = "tool_calls"
    """`step_details.type` of step deltas about its calls."""
    waits_elsewhere: ClassVar[bool] = False
    """Whether its calls are carried out elsewhere, so that the calls of one answer may wait side by side."""

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        self.definition = definition
        self.run = run
        self.services = services

    async def prepare(self, steps: Sequence[Record]) -> list[Record]:
        """Get ready; returns the activities that have to be shown as a step. Raises `ToolSetupError`."""
        return []

    @abstractmethod
    def specs(self) -> Sequence[ToolSpec]:
        """Return the functions that the model may call."""

    @abstractmethod
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        """Return a call as it stands in the step before it is executed."""

    def deltas(self, body: Record) -> list[Record]:
        """Return the parts of step deltas that announce a call; by default the whole call at once."""
        return [body]

    def waits_for(self, name: str) -> str | None:
        """Return `approval` or `client` for calls that someone else has to decide or carry out."""
        return None

    def required(self, body: Record) -> Record:
        """Return a waiting call as it stands in the run's `required_action`."""
        raise ToolSetupError("server_error", f"the tool {self.type} never waits")

    @abstractmethod
    async def execute(self, call: CallContext) -> ToolCallResult:
        """Execute a call. Raises `ToolError` if it fails; then `failed` gives its outcome.

        Raises `ToolSetupError` if it turns out that the tool cannot be used at all: the run fails.
        """

    @abstractmethod
    def failed(self, body: Record, message: str) -> ToolCallResult:
        """Return the outcome of a call that failed with a message for the model."""


def json_arguments(call: CallContext) -> dict[str, Any]:
    """Return the arguments of a call, none for `null`. Raises `ToolError` if they are no JSON object."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as error:
        raise ToolError(f"The arguments of {call.name} are not JSON: {error}") from None
    if arguments is None:
        return {}
    if not isinstance(arguments, dict):
        raise ToolError(f"The arguments of {call.name} must be a JSON object.")
    return arguments


def text_argument(arguments: Mapping[str, Any], *names: str) -> str:
    """Return the first of these arguments that is a text. Raises `ToolError` if there is none."""
    for name in names:
        value = arguments.get(name)
        if isinstance(value, str) and value.strip():
            return value
    raise ToolError(f"The argument '{names[0]}' is missing.")


def shortened(text: str, limit: int = MAX_OUTPUT_CHARACTERS) -> str:
    """Return a text of at most `limit` characters, which says how much of it was left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[{len(text) - limit} more characters left out]"


def error_output(message: str) -> str:
    """Return a failure as the JSON text that the model reads."""
    return json.dumps({"error": message}, ensure_ascii=False)
