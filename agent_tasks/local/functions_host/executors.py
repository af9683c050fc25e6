"""How the functions of an app are found and called, inside the app process.

`MicrosoftWorker` does both through Microsoft's Python worker library (`azure-functions-runtime`), the code
that runs them in Azure: it indexes the app, checks bindings against annotations, converts messages and
outputs. Its parts without protobuf are internal, so the version is pinned; where it does not import,
`PlainExecutor` does the same by `azure.functions` alone.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import traceback
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from typing_extensions import override

from agent_tasks.local.functions_host.wire import Binding, Function, Invocation, Outcome
from agent_tasks.logs import get_logger

__all__ = ["Executor", "MicrosoftWorker", "PlainExecutor", "load_executor"]

RUNTIME_VERSION = "1.3.0"
"""The version of Microsoft's library whose internal parts are used here."""
THREADS = 32
logger = get_logger("agent_tasks.functions")


class Executor(ABC):
    """Finds and calls the functions of the app in the current folder, once a process."""

    description: str
    """What runs the functions, for the person."""

    @abstractmethod
    def index(self, folder: Path) -> list[Function]:
        """The functions of the app. Raises whatever importing the app raises."""

    @abstractmethod
    async def call(self, invocation: Invocation) -> Outcome:
        """Calls a function with a message; never raises."""


def load_executor(*, plain: bool = False) -> Executor:
    """Microsoft's library if it can be used and `plain` does not forbid it; else `azure.functions`."""
    if plain:
        return PlainExecutor("azure.functions, as asked for")
    try:
        from importlib.metadata import version

        found = version("azure-functions-runtime")
        if found != RUNTIME_VERSION:
            return PlainExecutor(
                f"azure.functions (of Microsoft's worker library, {found} is installed, and this host knows "
                f"{RUNTIME_VERSION})"
            )
        return MicrosoftWorker()
    except Exception as error:
        return PlainExecutor(
            f"azure.functions (Microsoft's worker library cannot be used: {type(error).__name__}: {error})"
        )


class MicrosoftWorker(Executor):
    """Microsoft's Python worker library."""

    description = f"Microsoft's Python worker library {RUNTIME_VERSION}"

    def __init__(self) -> None:
        runtime: Any = importlib.import_module("azure_functions_runtime.handle_event")
        native: Any = importlib.import_module("azure_functions_runtime.native_invocation")
        threads: Any = importlib.import_module("azure_functions_runtime.utils.threadpool")
        self._datum: Any = importlib.import_module("azure_functions_runtime.bindings.datumdef").Datum
        self._invoke = native.invocation_request_native
        self._runtime = runtime
        # Its protocol classes belong to the real host. For indexing, plain objects do.
        directions = type("BindingInfo", (_Fields,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})
        runtime.protos = SimpleNamespace(
            BindingInfo=directions, RpcFunctionMetadata=_Fields, RpcRetryOptions=_Fields
        )
        runtime.load_binding_registry()
        threads.start_threadpool_executor()

    @override
    def index(self, folder: Path) -> list[Function]:
        self._runtime.load_function_metadata(str(folder), caller_info="local host")
        found = self._runtime._metadata_result or []
        return [_function(one.function_id, one.name, map(json.loads, one.raw_bindings)) for one in found]

    @override
    async def call(self, invocation: Invocation) -> Outcome:
        function = self._runtime._functions.get_function(invocation.function_id)
        text = {
            "Id": invocation.message_id,
            "PopReceipt": invocation.pop_receipt,
            "InsertionTime": invocation.inserted_at,
            "ExpirationTime": invocation.expires_at,
            "NextVisibleTime": invocation.next_visible_at,
        }
        metadata = {name: self._datum(value, "string") for name, value in text.items() if value}
        metadata["DequeueCount"] = self._datum(str(invocation.dequeue_count), "json")
        name = function.trigger_metadata["param_name"] if function.trigger_metadata else None
        name = name or next(iter(function.input_types))
        ok, returned, outputs, error, trace = await self._invoke(
            invocation.id, invocation.function_id, [(name, self._datum(invocation.body, "string"))], metadata
        )
        if not ok:
            return Outcome(invocation.id, error=trace or error)
        given = [*outputs, *([("$return", returned)] if returned is not None else [])]
        return Outcome(
            invocation.id,
            outputs={name: _texts_of_datum(datum.type, datum.value) for name, datum in given},
        )


class PlainExecutor(Executor):
    """`azure.functions` alone: enough for queue triggers, queue outputs and the `context` parameter."""

    def __init__(self, description: str = "azure.functions") -> None:
        self.description = description
        self._functions: dict[str, tuple[Function, Any]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="function")

    @override
    def index(self, folder: Path) -> list[Function]:
        import azure.functions as func

        module = importlib.import_module("function_app")
        apps = [value for value in vars(module).values() if isinstance(value, func.FunctionApp)]
        if len(apps) != 1:
            raise ValueError(f"function_app.py has to define one FunctionApp, and defines {len(apps)}")
        for found in apps[0].get_functions():
            name = str(found.get_function_name())
            bindings = [json.loads(binding) for binding in found.get_raw_bindings()]
            self._functions[name] = (_function(name, name, bindings), found.get_user_function())
        return [function for function, _ in self._functions.values()]

    @override
    async def call(self, invocation: Invocation) -> Outcome:
        function, user = self._functions[invocation.function_id]
        queue: Any = importlib.import_module("azure.functions.queue")
        message = queue.QueueMessage(
            id=invocation.message_id,
            body=invocation.body.encode(),
            dequeue_count=invocation.dequeue_count,
            pop_receipt=invocation.pop_receipt,
            insertion_time=_moment(invocation.inserted_at),
            expiration_time=_moment(invocation.expires_at),
            time_next_visible=_moment(invocation.next_visible_at),
        )
        outs = {output.name: _Out() for output in function.outputs if output.name != "$return"}
        arguments: dict[str, Any] = {function.trigger.name: message, **outs}
        if "context" in inspect.signature(user).parameters:
            arguments["context"] = SimpleNamespace(
                invocation_id=invocation.id, function_name=function.name, function_directory=str(Path.cwd())
            )
        try:
            if inspect.iscoroutinefunction(user):
                returned = await user(**arguments)
            else:
                loop = asyncio.get_running_loop()
                returned = await loop.run_in_executor(self._threads, lambda: user(**arguments))
            given = {name: out.get() for name, out in outs.items()}
            if any(output.name == "$return" for output in function.outputs):
                given["$return"] = returned
            elif returned is not None:
                raise RuntimeError(f"{function.name} has no $return binding and returned a value")
            texts = {name: _texts(value) for name, value in given.items() if value is not None}
        except Exception:
            logger.exception("the function %s failed", function.name)
            return Outcome(invocation.id, error=traceback.format_exc())
        return Outcome(invocation.id, outputs=texts)


class _Fields:
    """An object with the given fields."""

    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


class _Out:
    """`func.Out`: what a function sets as an output."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, value: Any) -> None:
        self._value = value

    def get(self) -> Any:
        return self._value


def _function(identifier: str, name: str, bindings: Any) -> Function:
    read = [
        (
            str(binding.get("direction", "")).upper(),
            Binding(
                str(binding["type"]),
                str(binding["name"]),
                str(binding.get("queueName", "")),
                str(binding.get("connection", "")),
            ),
        )
        for binding in bindings
    ]
    trigger = next(
        (binding for _, binding in read if binding.type.lower().endswith("trigger")), Binding("none", "")
    )
    return Function(identifier, name, trigger, [binding for way, binding in read if way == "OUT"])


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _texts_of_datum(kind: str | None, value: Any) -> list[str]:
    """The messages of an output, as Microsoft's library has encoded it."""
    if kind is None or value is None:
        return []
    return _texts(json.loads(value) if kind == "json" else value)


def _texts(value: Any) -> list[str]:
    """The messages of an output: a text, bytes, a queue message, or several of them."""
    if isinstance(value, str):
        return _texts_of_string(value)
    if isinstance(value, dict):
        return [str(value["body"])] if set(value) == {"id", "body"} else [_as_host_writes(value)]
    if isinstance(value, list | tuple):
        return [text for one in value for text in ([one] if isinstance(one, str) else _texts(one))]
    if isinstance(value, bytes | bytearray):
        return [bytes(value).decode()]
    if hasattr(value, "get_body"):
        return [value.get_body().decode()]
    raise TypeError(f"a queue takes text, bytes or queue messages, and not {type(value).__name__}")


def _texts_of_string(text: str) -> list[str]:
    """The messages that Azure's host makes of a text.

    A text in braces or brackets is read as JSON: each element of a list becomes a message of its own, an
    object is written anew, and what is no JSON fails the invocation (published source of the host,
    `FunctionBinding.ReadAsEnumerable`). That host also turns texts that look like a date into one of its own
    form; this one leaves them.
    """
    trimmed = text.strip()
    if not (trimmed[:1] + trimmed[-1:] in ("{}", "[]") and len(trimmed) > 1):
        return [text]
    try:
        value = json.loads(trimmed)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"the output is in braces or brackets but no JSON ({error}); Azure's host refuses it too. "
            "Encode it in base64, or set bytes."
        ) from error
    return [_as_host_writes(one) for one in (value if isinstance(value, list) else [value])]


def _as_host_writes(value: Any) -> str:
    """A JSON value as the text of a message, as .NET writes it: a text as it is, containers indented."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return str(value)
        case _:
            return json.dumps(value, ensure_ascii=False, indent=2)
