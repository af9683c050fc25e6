"""Derives the JSON schemas that the local service and the tests use from the collected specification.

    python -m tests.support.derive_schemas

reads `../shared/wire` (beside the repository) and writes

* `agents_emulator/schemas/requests.json`: query and body of every operation (package data of the service),
* `tests/support/answers.json`: body of every answer and of every streamed event (for tests only),
* `tests/support/agent_answers.json`: body of the answers about the successor's agents (for tests only; of the
  rest of its wire there is no published document).

Facts only: names, types, required lists, enumerations and limits, no descriptions. The newest preview
contains all of `v1` (asserted here), so one set serves both api-versions.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT.parent / "shared" / "wire" / "spec"
REQUESTS = ROOT / "agents_emulator" / "schemas" / "requests.json"
ANSWERS = ROOT / "tests" / "support" / "answers.json"
AGENT_ANSWERS = ROOT / "tests" / "support" / "agent_answers.json"

_REFERENCE = "#/components/schemas/"
_DROPPED = ("description", "format", "readOnly", "discriminator", "title", "default")
# What the published document says of request bodies that the specification at hand writes out in place.
_BODY_FACTS = {
    "agents.update": "UpdateAgentOptions",
    "threads.update": "UpdateAgentThreadOptions",
    "messages.create": "ThreadMessageOptions",
    "vector_stores.update": "VectorStoreUpdateOptions",
}
# Nullability of answers outside the read part of the published document: every recorded null.
_RECORDED_NULLS = {
    "Agent": ["name", "description", "instructions", "temperature", "top_p", "response_format"],
    "AgentErrorDetail": ["message", "type", "param", "code"],
    "FileInfo": ["status_details"],
    "RunStep": [
        *("last_error", "expired_at", "completed_at", "cancelled_at", "failed_at", "usage", "metadata"),
    ],
    "VectorStore": ["name", "expires_after", "expires_at", "last_active_at"],
    "MCPToolDefinition": ["allowed_tools"],
}

NAMES = {
    ("GET", "/assistants"): "agents.list",
    ("POST", "/assistants"): "agents.create",
    ("GET", "/assistants/{}"): "agents.get",
    ("POST", "/assistants/{}"): "agents.update",
    ("DELETE", "/assistants/{}"): "agents.delete",
    ("GET", "/files"): "files.list",
    ("POST", "/files"): "files.upload",
    ("DELETE", "/files/{}"): "files.delete",
    ("GET", "/files/{}"): "files.get",
    ("GET", "/files/{}/content"): "files.content",
    ("GET", "/threads"): "threads.list",
    ("POST", "/threads"): "threads.create",
    ("GET", "/threads/{}"): "threads.get",
    ("POST", "/threads/{}"): "threads.update",
    ("DELETE", "/threads/{}"): "threads.delete",
    ("GET", "/threads/{}/messages"): "messages.list",
    ("POST", "/threads/{}/messages"): "messages.create",
    ("GET", "/threads/{}/messages/{}"): "messages.get",
    ("POST", "/threads/{}/messages/{}"): "messages.update",
    ("DELETE", "/threads/{}/messages/{}"): "messages.delete",
    ("POST", "/threads/runs"): "runs.create_thread_and_run",
    ("GET", "/threads/{}/runs"): "runs.list",
    ("POST", "/threads/{}/runs"): "runs.create",
    ("GET", "/threads/{}/runs/{}"): "runs.get",
    ("POST", "/threads/{}/runs/{}"): "runs.update",
    ("POST", "/threads/{}/runs/{}/cancel"): "runs.cancel",
    ("POST", "/threads/{}/runs/{}/submit_tool_outputs"): "runs.submit_tool_outputs",
    ("GET", "/threads/{}/runs/{}/steps"): "run_steps.list",
    ("GET", "/threads/{}/runs/{}/steps/{}"): "run_steps.get",
    ("GET", "/vector_stores"): "vector_stores.list",
    ("POST", "/vector_stores"): "vector_stores.create",
    ("GET", "/vector_stores/{}"): "vector_stores.get",
    ("POST", "/vector_stores/{}"): "vector_stores.update",
    ("DELETE", "/vector_stores/{}"): "vector_stores.delete",
    ("GET", "/vector_stores/{}/files"): "vector_store_files.list",
    ("POST", "/vector_stores/{}/files"): "vector_store_files.create",
    ("GET", "/vector_stores/{}/files/{}"): "vector_store_files.get",
    ("DELETE", "/vector_stores/{}/files/{}"): "vector_store_files.delete",
    ("POST", "/vector_stores/{}/file_batches"): "file_batches.create",
    ("GET", "/vector_stores/{}/file_batches/{}"): "file_batches.get",
    ("POST", "/vector_stores/{}/file_batches/{}/cancel"): "file_batches.cancel",
    ("GET", "/vector_stores/{}/file_batches/{}/files"): "file_batches.list_files",
}

AGENT_NAMES = {
    ("GET", "/agents"): "named_agents.list",
    ("GET", "/agents/{}"): "named_agents.get",
    ("PATCH", "/agents/{}"): "named_agents.patch",
    ("DELETE", "/agents/{}"): "named_agents.delete",
    ("GET", "/agents/{}/versions"): "agent_versions.list",
    ("POST", "/agents/{}/versions"): "agent_versions.create",
    ("GET", "/agents/{}/versions/{}"): "agent_versions.get",
    ("DELETE", "/agents/{}/versions/{}"): "agent_versions.delete",
}
_SAME_ANSWER = {"named_agents.create": "named_agents.get", "named_agents.update": "named_agents.get"}
"""Operations that the published document lacks, and the ones whose answers they share."""

_EVENTS = {
    "AgentThread": ["thread.created"],
    "ThreadRun": [
        f"thread.run.{state}"
        for state in (
            *("created", "queued", "in_progress", "requires_action", "completed", "incomplete", "failed"),
            *("cancelling", "cancelled", "expired"),
        )
    ],
    "RunStep": [
        f"thread.run.step.{state}"
        for state in ("created", "in_progress", "completed", "failed", "cancelled", "expired")
    ],
    "RunStepDeltaChunk": ["thread.run.step.delta"],
    "ThreadMessage": [
        f"thread.message.{state}" for state in ("created", "in_progress", "completed", "incomplete")
    ],
    "MessageDeltaChunk": ["thread.message.delta"],
}


class Document:
    """One api-version's document, and the published facts about it; the operations in it that are named."""

    def __init__(self, version: str, names: dict[tuple[str, str], str] = NAMES) -> None:
        document = json.loads((SPEC / f"openapi-{version}.json").read_text(encoding="utf-8"))
        self.schemas: Json = document["components"]["schemas"]
        self.facts: Json = json.loads((SPEC / "published-v1-facts.json").read_text(encoding="utf-8"))
        self.operations: dict[str, Json] = {}
        for path, methods in document["paths"].items():
            pattern = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
            for method, operation in methods.items():
                if (method.upper(), pattern) in names:
                    self.operations[names[method.upper(), pattern]] = operation

    def body(self, name: str) -> Json | None:
        """The schema of an operation's JSON body, None if it takes none."""
        content = self.operations[name].get("requestBody", {}).get("content", {})
        return content["application/json"]["schema"] if "application/json" in content else None

    def plain(self, schema: Any) -> Any:
        """Return a schema without descriptions and extensions, its references short."""
        if isinstance(schema, list):
            return [self.plain(item) for item in schema]
        if not isinstance(schema, dict):
            return schema
        if "properties" in schema:
            schema = {
                **schema,
                "properties": {key: self.plain(value) for key, value in schema["properties"].items()},
            }
        result: Json = {}
        for key, value in schema.items():
            if key in _DROPPED or key.startswith("x-"):
                continue
            if key == "$ref":
                result[key] = "#/$defs/" + value.removeprefix(_REFERENCE)
            elif key == "allOf" and len(value) == 1 and "properties" not in schema:
                result.update(self.plain(value[0]))
            else:
                result[key] = value if key == "properties" else self.plain(value)
        if len(result.get("anyOf", [])) > 1:
            result["anyOf"] = [
                item for n, item in enumerate(result["anyOf"]) if item not in result["anyOf"][:n]
            ]
        return result

    def definition(self, name: str) -> Json:
        """Return a named schema on its own: a subtype with what it inherits, a base with its choice."""
        source = self.schemas[name]
        schema: Json = self.plain(source)
        if name in self.facts["enums"]:
            # The generated sources trim some enumerations.
            schema["enum"] = self.facts["enums"][name]
        for base in schema.pop("allOf", []):
            inherited = self.definition(base["$ref"].removeprefix("#/$defs/"))
            inherited.pop("allOf", None)
            schema["properties"] = {**inherited["properties"], **schema["properties"]}
            schema["required"] = list(
                dict.fromkeys([*inherited.get("required", []), *schema.get("required", [])])
            )
        if "discriminator" in source:
            key = source["discriminator"]["propertyName"]
            schema["allOf"] = [
                {
                    "if": {"properties": {key: {"const": value}}, "required": [key]},
                    "then": {"$ref": "#/$defs/" + target.removeprefix(_REFERENCE)},
                }
                for value, target in source["discriminator"]["mapping"].items()
            ]
        return schema


def closure(document: Document, roots: Any, adapt: Any) -> Json:
    """Return the definitions that `roots` lead to, each adapted by `adapt(name, schema)`."""
    found: Json = {}
    waiting = sorted(references(roots))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = adapt(name, document.definition(name))
            waiting += sorted(references(found[name]))
    return dict(sorted(found.items()))


def references(schema: Any) -> set[str]:
    """Names of the definitions that a schema refers to."""
    if isinstance(schema, list):
        return set().union(*(references(item) for item in schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"].removeprefix("#/$defs/")} if isinstance(schema.get("$ref"), str) else set()
    return own.union(*(references(value) for value in schema.values()))


def nullable(schema: Json) -> Json:
    """Return a schema that also allows null."""
    if not schema:
        return schema
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def with_nulls(schema: Json, names: list[str]) -> Json:
    """Return an object schema whose named properties may be null."""
    properties = {
        key: nullable(value) if key in names else value for key, value in schema.get("properties", {}).items()
    }
    return {**schema, "properties": properties} if properties else schema


def optional(schema: Json) -> list[str]:
    """Names of the properties that an object may leave out."""
    return [key for key in schema.get("properties", {}) if key not in schema.get("required", [])]


def derive_requests(document: Document) -> Json:
    """Return query and body schemas of all operations.

    In requests an optional value may be null, unless the published document names the nullable ones.
    """
    published = document.facts["nullable"]

    def adapt(name: str, schema: Json) -> Json:
        schema = with_nulls(schema, published.get(name, optional(schema)))
        if name == "StructuredToolOutput":
            # Recorded and v1: outputs of functions come without a type.
            schema["required"] = []
        return schema

    operations: Json = {}
    for name, operation in document.operations.items():
        query = {
            item["name"]: document.plain(item["schema"])
            for item in operation.get("parameters", [])
            if item["in"] == "query" and item["name"] != "api-version"
        }
        entry: Json = {"query": query}
        body = document.body(name)
        if body is not None:
            schema = document.plain(body)
            entry["body"] = with_nulls(schema, published.get(_BODY_FACTS.get(name, ""), optional(schema)))
        operations[name] = entry
    definitions = closure(document, operations, adapt)
    # Recorded: an output has a type only where it is of another kind than a function's.
    definitions["ToolOutput"] = {**definitions["ToolOutput"], "required": []}
    return {"operations": dict(sorted(operations.items())), "$defs": definitions}


def derive_answers(document: Document) -> Json:
    """Return the schemas of all answers and streamed events."""
    published = document.facts["nullable"]

    def adapt(name: str, schema: Json) -> Json:
        return with_nulls(schema, [*published.get(name, []), *_RECORDED_NULLS.get(name, [])])

    operations = {
        name: document.plain(operation["responses"]["200"]["content"]["application/json"]["schema"])
        for name, operation in document.operations.items()
        if name != "files.content"
    }
    events = {event: {"$ref": f"#/$defs/{schema}"} for schema, found in _EVENTS.items() for event in found}
    error = {"$ref": "#/$defs/AgentV1Error"}
    definitions = closure(document, [operations, events, error], adapt)
    return {
        "operations": dict(sorted(operations.items())),
        "events": events,
        "error": error,
        "$defs": definitions,
    }


def derive_agent_answers() -> Json:
    """Return the schemas of answers about the successor's agents. Only what they need is in them."""
    document = Document("foundry-agents-v2", AGENT_NAMES)
    operations = {
        name: document.plain(operation["responses"]["200"]["content"]["application/json"]["schema"])
        for name, operation in document.operations.items()
    }
    operations |= {name: operations[other] for name, other in _SAME_ANSWER.items()}

    def adapt(name: str, schema: Json) -> Json:
        if name == "AgentDefinition":
            # The kind that the local service has; of another one the document lacks a part.
            schema["allOf"] = [one for one in schema["allOf"] if "PromptAgent" in one["then"]["$ref"]]
        return schema

    definitions = closure(document, operations, adapt)
    return {"operations": dict(sorted(operations.items())), "$defs": definitions}


def check_containment(older: Document, newer: Document) -> None:
    """Fail unless the newer version knows every operation and every body property of the older one."""
    for name in older.operations:
        known = (newer.body(name) or {}).get("properties", {})
        missing = set((older.body(name) or {}).get("properties", {})) - set(known)
        if name not in newer.operations or missing:
            raise SystemExit(f"{name}: the preview lacks {missing or 'the operation'}")
    missing = set(older.schemas) - set(newer.schemas)
    if missing:
        raise SystemExit(f"the preview lacks {sorted(missing)}")


def derive() -> tuple[Json, Json]:
    """Return the schemas of requests and of answers."""
    document = Document("2025-05-15-preview")
    check_containment(Document("v1"), document)
    return derive_requests(document), derive_answers(document)


def main() -> None:
    """Write both files."""
    derived = (*derive(), derive_agent_answers())
    for path, content in zip((REQUESTS, ANSWERS, AGENT_ANSWERS), derived, strict=True):
        path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
