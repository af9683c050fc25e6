"""Checks every answer and every streamed event of the local service against the published schemas.

`CheckedAnswers` wraps the application of every service that tests start, in a thread or a process, so the
whole test run is a test of the answers. Objects are closed: a key that neither the published document nor the
tables of deviations below know is a violation. The deviations are those of FACTS.md and of the recorded
traffic, where the wire was seen to differ from the document.
"""

from __future__ import annotations

import copy
import functools
import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jsonschema_rs
from jsonschema import Draft202012Validator
from starlette.types import Message, Receive, Scope, Send

Json = dict[str, Any]

_SCHEMAS = Path(__file__).with_name("answers.json")
_AGENT_SCHEMAS = Path(__file__).with_name("agent_answers.json")
_TEXT: Json = {"type": "string"}
_OPTIONAL_TEXT: Json = {"type": ["string", "null"]}
_TIME: Json = {"type": ["integer", "null"]}

# -- the deviations, by definition; each is a fact of FACTS.md (its section in brackets) or recorded

_ADDED: dict[str, Json] = {
    # [Runs] usage also has prompt_token_details.cached_tokens.
    "RunCompletionUsage": {"prompt_token_details": {"type": "object"}},
    "RunStepCompletionUsage": {"prompt_token_details": {"type": "object"}},
    # [Messages and steps] a step's expiry is `expires_at`.
    "RunStep": {"expires_at": _TIME},
    # [Agents] the echo of a function tool gains `strict`.
    "FunctionDefinition": {"strict": {"type": ["boolean", "null"]}},
    # The parent API's switch for structured output, which the document lacks; echoed as it was sent.
    "ResponseFormatJsonSchema": {"strict": {"type": ["boolean", "null"]}},
    # Recorded: a function call of a step shows its output, null while it waits for one.
    "RunStepFunctionToolCallDetails": {"output": _OPTIONAL_TEXT},
    "RunStepDeltaFunction": {"output": _OPTIONAL_TEXT},
    # Recorded: an uploaded file has an expiry.
    "FileInfo": {"expires_at": _TIME},
    # [Runs] file_search results carry attributes.
    "RunStepFileSearchToolCallResult": {"attributes": {"type": "object"}},
    # [Runs] a connected agent's step names the child's run, thread and agent.
    "RunStepConnectedAgent": {"run_id": _TEXT, "thread_id": _TEXT, "assistant_id": _TEXT},
    # [Runs] an openapi step has its payload under `function`.
    "RunStepOpenAPIToolCall": {"function": {"type": "object"}},
    # [Agents] code-interpreter data sources come back as file_ids.
    "CodeInterpreterToolResource": {"file_ids": {"type": "array"}},
    # Not from the wire: the local service says in the step where it answers in a hosted tool's place.
    "RunStepDeepResearchToolCallDetails": {"stand_in": {"type": "string", "minLength": 1}},
}
_OPTIONAL: dict[str, list[str]] = {
    # [Messages and steps] REST bodies of messages omit these four.
    "ThreadMessage": ["status", "completed_at", "incomplete_at", "incomplete_details"],
    # [Messages and steps] `expires_at` stands in place of `expired_at`; recorded steps have no metadata.
    "RunStep": ["expired_at", "metadata"],
    # Recorded: only the first delta of a tool call has its id.
    "RunStepDeltaToolCall": ["id"],
    "RunStepDeltaFunctionToolCall": ["id"],
    "RunStepDeltaCodeInterpreterToolCall": ["id"],
    # Recorded: a listed MCP tool shows the server's own JSON schema, whatever is in it.
    "ActivityFunctionParameters": ["properties", "required"],
    # Recorded: no delta of a message has a role.
    "MessageDelta": ["role"],
    # [Messages and steps] `quote` is absent from citations.
    "MessageTextFileCitationDetails": ["quote"],
    # [Runs] see above: `function` stands in place of `openapi`.
    "RunStepOpenAPIToolCall": ["openapi"],
    # Recorded: parameters are echoed only where they were given.
    "FunctionDefinition": ["parameters"],
}
_OPEN = ("ActivityFunctionParameters", "FunctionArgument")
_VALUES: dict[str, list[str]] = {
    # [Runs] missing from the enumeration, though its event exists.
    "RunStatus": ["incomplete"],
}
_CONSTANTS: dict[tuple[str, str], str] = {
    # [Vector stores and files]
    ("VectorStoreFileBatch", "object"): "vector_store.file_batch",
}
# Recorded: list answers also have `object` and `first_id`.
_LIST_KEYS: Json = {"object": {"const": "list"}, "first_id": _OPTIONAL_TEXT}


@dataclass(frozen=True)
class Answer:
    """One answer of a service, as it went over the wire."""

    request: str
    operation: str | None
    status: int
    content_type: str
    body: str

    def violations(self) -> list[str]:
        """Return what is wrong with it."""
        if "/openai/" in self.request:
            found = []  # of this there is no published document; see tests/conformance/successor/validated.py
        elif "/agents" in self.request:
            found = self._violations_about_agents()
        elif self.content_type.startswith("text/event-stream"):
            found = check_stream(self.body)
        elif self.operation == "files.content" and self.status == 200:
            found = []
        elif not self.content_type.startswith("application/json"):
            found = [f"content type '{self.content_type}'"]
        elif self.status >= 400:
            found = check("error", "error", json.loads(self.body))
        else:
            found = check("operations", str(self.operation), json.loads(self.body))
        return [f"{self.request} -> {self.status}: {text}" for text in found]

    def _violations_about_agents(self) -> list[str]:
        """Return what is wrong with an answer about the successor's agents."""
        if self.status == 204:
            return [] if not self.body else ["an answer without content has some"]
        body = json.loads(self.body)
        if self.status >= 400:
            error = body.get("error")
            known = isinstance(error, dict) and isinstance(error.get("message"), str)
            return (
                [] if known and isinstance(error.get("code"), str | None) else ["the error has another form"]
            )
        return check("agents", str(self.operation), body)


class Answers:
    """The answers since the last look. They are checked by the test that looks, not while a service works."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Answer] = []
        self.checked = 0

    def add(self, answer: Answer) -> None:
        """Keep an answer for the next look."""
        with self._lock:
            self._waiting.append(answer)

    def load(self, path: Path) -> None:
        """Take over what a service process wrote."""
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                self.add(Answer(**json.loads(line)))
            path.unlink()

    def violations(self, longest: int | None = None) -> list[str]:
        """Check and forget the answers so far; returns what is wrong with them.

        With `longest`, answers of more characters are forgotten unchecked.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, []
        if longest is not None:
            waiting = [answer for answer in waiting if len(answer.body) <= longest]
        self.checked += len(waiting)
        return [text for answer in dict.fromkeys(waiting) for text in answer.violations()]


class AnswerFile:
    """Keeps answers in a file, one a line: for a service in a process of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, answer: Answer) -> None:
        """Append an answer."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(answer)) + "\n")


ANSWERS = Answers()


@functools.cache
def _definitions() -> Json:
    loaded: Json = json.loads(_SCHEMAS.read_text(encoding="utf-8"))
    definitions: Json = loaded["$defs"]
    for name, schema in definitions.items():
        _deviate(name, schema)
        definitions[name] = _closed(schema)
    for schema in loaded["operations"].values():
        if "data" in schema.get("properties", {}):
            schema["properties"].update(_LIST_KEYS)
    loaded["operations"] = {name: _closed(schema) for name, schema in loaded["operations"].items()}
    return loaded


def _deviate(name: str, schema: Json) -> None:
    properties = schema.get("properties", {})
    properties.update(copy.deepcopy(_ADDED.get(name, {})))
    if "required" in schema:
        schema["required"] = [key for key in schema["required"] if key not in _OPTIONAL.get(name, [])]
    if name in _OPEN:
        schema["additionalProperties"] = True
    if name in _VALUES:
        schema["enum"] = [*schema["enum"], *_VALUES[name]]
    for (owner, key), value in _CONSTANTS.items():
        if owner == name:
            properties[key] = {"const": value}


def _closed(schema: Any) -> Any:
    """Return a schema whose objects take declared keys only; of a choice, the branches do."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {
        key: value if key in ("required", "enum", "const", "if") else _closed(value)
        for key, value in schema.items()
    }
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        result["properties"] = {key: _closed(value) for key, value in schema["properties"].items()}
        if "allOf" not in schema and "additionalProperties" not in schema:
            result["additionalProperties"] = False
    return result


@functools.cache
def _schema(kind: str, name: str) -> Json | None:
    if kind == "agents":
        about: Json = json.loads(_AGENT_SCHEMAS.read_text(encoding="utf-8"))
        # A definition comes back as it was sent: only what makes a tool one has to be there.
        about["$defs"]["FunctionTool"]["required"] = ["type", "name"]
        wanted, definitions = about["operations"].get(name), about["$defs"]
    else:
        loaded = _definitions()
        wanted, definitions = loaded["error"] if kind == "error" else loaded[kind].get(name), loaded["$defs"]
    return None if wanted is None else {**wanted, "$defs": definitions}


@functools.cache
def _validators(
    kind: str, name: str
) -> tuple[jsonschema_rs.Draft202012Validator, Draft202012Validator] | None:
    """A quick one that says whether something is wrong, and one that says what."""
    schema = _schema(kind, name)
    if schema is None:
        return None
    return jsonschema_rs.Draft202012Validator(schema), Draft202012Validator(schema)


def check(kind: str, name: str, body: Any) -> list[str]:
    """Return what is wrong with a body. Kinds: `operations`, `agents`, `events` (by name) and `error`."""
    validators = _validators(kind, name)
    if validators is None:
        return [f"{kind[:-1]} {name}: the published document knows no such answer"]
    quick, thorough = validators
    if quick.is_valid(body):
        return []
    found = [
        f"{name}: {'.'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:300]}"
        for error in thorough.iter_errors(body)
    ]
    return found or [f"{name}: {error.message[:300]}" for error in quick.iter_errors(body)]


class CheckedAnswers:
    """ASGI middleware around a whole service that keeps its answers."""

    def __init__(self, app: Any, answers: Answers | AnswerFile = ANSWERS) -> None:
        self._app = app
        self._answers = answers

    @property
    def state(self) -> Any:
        """The state of the application inside."""
        return self._app.state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and keep its answer."""
        if scope["type"] != "http" or scope["path"].startswith("/_emulator/"):
            await self._app(scope, receive, send)
            return
        status, headers, body = 0, {}, bytearray()

        async def observed(message: Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status, headers = message["status"], dict(message["headers"])
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    # Before the client can see the end, so that it belongs to the right test.
                    self._keep(scope, status, headers.get(b"content-type", b""), bytes(body))
            await send(message)

        await self._app(scope, receive, observed)

    def _keep(self, scope: Scope, status: int, kind: bytes, body: bytes) -> None:
        entry = scope.get("agents_emulator.log_entry")
        operation = entry.operation if entry is not None else None
        is_file = operation in ("files.content", "container_files.content") and status == 200
        text = "" if is_file else body.decode()
        request = f"{scope['method']} {scope['path']}"
        self._answers.add(Answer(request, operation, status, kind.decode(), text))


def check_stream(text: str) -> list[str]:
    """Return what is wrong with the complete frames of an event stream."""
    found: list[str] = []
    for frame in text.split("\n\n")[:-1]:
        first, _, second = frame.partition("\n")
        name, data = first.removeprefix("event: "), second.removeprefix("data: ")
        if f"event: {name}\ndata: {data}" != frame or "\n" in data:
            found.append(f"a frame is not as recorded: {frame[:200]}")
        elif name == "done":
            found += [] if data == "[DONE]" else ["done without [DONE]"]
        elif name == "error":
            found += check("error", "error", json.loads(data))
        else:
            found += check("events", name, json.loads(data))
    return found
