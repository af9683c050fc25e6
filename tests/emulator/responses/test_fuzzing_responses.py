"""Fuzzing of the successor's wire: requests of every operation, right ones with something wrong in them.

No 500, no hang. The normal run sends a few hundred; `AGENTS_EMULATOR_FUZZ_REQUESTS=10000` sends a
quarter of that.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents_emulator.endpoints import Operation
from agents_emulator.guard import Limits
from agents_emulator.responses.operations import OPERATIONS
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import Json
from tests.emulator.responses.helpers import MODEL, RULES, WEATHER, Wire, wire
from tests.emulator.test_fuzzing import HANG_SECONDS, JUNK, JUNK_TEXT, RAW
from tests.support.answers import ANSWERS
from tests.support.service import start_in_thread, write_rules

REQUESTS = int(os.environ.get("AGENTS_EMULATOR_FUZZ_REQUESTS", "300"))
WANTED = REQUESTS if REQUESTS < 1000 else REQUESTS // 4  # a longer round is the classic wire's
BATCH = 20
SAID = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
ANSWERED = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "4"}
PICTURE = {
    "type": "computer_call_output",
    "call_id": "call_1",
    "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,"},
}
APPROVAL = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
TOOLS: list[Json] = [
    WEATHER,
    {"type": "file_search", "vector_store_ids": ["vs_1"], "max_num_results": 3, "ranking_options": {}},
    {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [], "memory_limit": "1g"}},
    {
        "type": "mcp",
        "server_label": "a",
        "server_url": "http://127.0.0.1:1/",
        "headers": {"x": "y"},
        "authorization": "z",
        "allowed_tools": {"tool_names": ["a"]},
        "require_approval": {"always": {"tool_names": ["a"]}},
    },
    {
        "type": "openapi",
        "openapi": {
            "name": "o",
            "description": "d",
            "spec": {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}},
            "auth": {"type": "anonymous"},
        },
    },
    {"type": "azure_ai_search", "azure_ai_search": {"indexes": [{"index_name": "i", "top_k": 2}]}},
    {"type": "bing_grounding", "bing_grounding": {"search_configurations": [{"count": 1}]}},
    {"type": "computer_use_preview", "environment": "browser", "display_width": 1, "display_height": 1},
    {"type": "web_search", "search_context_size": "low"},
    {"type": "a2a", "base_url": "http://127.0.0.1:1/"},
]
DEFINITION: Json = {
    "kind": "prompt",
    "model": MODEL,
    "instructions": "Be {{how}}.",
    "temperature": 0.5,
    "top_p": 1,
    "tools": TOOLS[:1],
    "tool_choice": "auto",
    "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
    "structured_inputs": {"how": {"description": "d", "default_value": "kind", "required": False}},
    "reasoning": {"effort": "low"},
}
ENDPOINT = {
    "version_selector": {
        "version_selection_rules": [{"type": "FixedRatio", "agent_version": "1", "traffic_percentage": 100}]
    }
}
BODIES: dict[str, Json] = {
    "agent_versions.create": {"definition": DEFINITION, "description": "d", "metadata": {"a": "b"}},
    "named_agents.create": {"name": "fuzzed-new", "definition": DEFINITION},
    "named_agents.update": {"definition": DEFINITION, "metadata": {"a": "b"}},
    "named_agents.patch": {"agent_endpoint": ENDPOINT, "agent_card": {}},
    "conversations.create": {"items": [SAID, ANSWERED, CALL, OUTPUT], "metadata": {"a": "b"}},
    "conversations.update": {"metadata": {"a": "b"}},
    "conversation_items.create": {"items": [SAID, CALL, OUTPUT]},
    "responses.create": {
        "model": MODEL,
        "input": [SAID, ANSWERED, CALL, OUTPUT, PICTURE, APPROVAL],
        "instructions": "Be kind.",
        "tools": TOOLS,
        "tool_choice": {"type": "function", "name": "get_weather"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}},
        "temperature": 1,
        "top_p": 1,
        "metadata": {"a": "b"},
        "include": ["file_search_call.results"],
        "max_output_tokens": 20,
        "max_tool_calls": 3,
        "parallel_tool_calls": True,
        "stream": False,
        "background": False,
        "store": True,
        "truncation": "auto",
        "reasoning": {"effort": "low"},
        "conversation": {"id": "conv_1"},
        "previous_response_id": "resp_1",
        "agent_reference": {"type": "agent_reference", "name": "fuzzed", "version": "1"},
        "structured_inputs": {"how": "short"},
    },
    "vector_stores.create": {"name": "s", "file_ids": ["a"], "metadata": {}, "expires_after": None},
    "vector_stores.update": {"name": "s", "metadata": {"a": "b"}},
    "vector_stores.search": {
        "query": "oak",
        "max_num_results": 3,
        "ranking_options": {"score_threshold": 0.1},
        "rewrite_query": False,
    },
    "vector_store_files.create": {"file_id": "a", "attributes": {}, "chunking_strategy": {"type": "auto"}},
    "file_batches.create": {"file_ids": ["a"]},
    "containers.create": {
        "name": "c",
        "file_ids": ["a"],
        "expires_after": {"anchor": "last_active_at", "minutes": 20},
        "memory_limit": "1g",
    },
    "container_files.create": {"file_id": "a"},
}
"""Right bodies, by operation, with everything in them: most keys are left out of each request."""
QUERY = ("limit", "order", "after", "before", "conversation_id", "agent_name", "agent_id", "stream")


class Target:
    """A service with something of everything, and requests to it."""

    def __init__(self, api: Wire) -> None:
        self.api = api
        self.statuses: Counter[int] = Counter()
        self.worked: Counter[str] = Counter()
        self.known: dict[str, list[str]] = {}
        self.populate()

    def populate(self) -> None:
        """Make one of everything, and remember the ids."""
        api = self.api
        # Straight to the service, whatever became of the one before.
        reference = api.agent("fuzzed")
        conversation = api.conversation("hello")
        made = api.respond(conversation=conversation, input="hello", background=True, stream=False)
        api.ended(made["id"])
        upload = {"file": ("a.md", b"Oak.")}
        file_id = api.http.post("/openai/v1/files", files=upload, data={"purpose": "assistants"}).json()["id"]
        store = api.call("POST", "/openai/v1/vector_stores", {"name": "s", "file_ids": [file_id]})["id"]
        batch = api.call("POST", f"/openai/v1/vector_stores/{store}/file_batches", {"file_ids": [file_id]})
        container = api.call("POST", "/openai/v1/containers", {"name": "c"})["id"]
        api.http.post(f"/openai/v1/containers/{container}/files", files=upload)
        self.known = {
            "agent_name": ["fuzzed"],
            "agent_version": [reference["version"]],
            "agent_id": [f"fuzzed:{reference['version']}"],
            "conversation": [conversation],
            "response_id": [made["id"]],
            "item_id": [item["id"] for item in api.items(conversation)],
            "file_id": [file_id],
            "vector_store_id": [store],
            "batch_id": [batch["id"]],
            "container": [container],
            "call_id": ["call_1"],
        }

    def identifier(self, name: str, chance: random.Random, data: st.DataObject) -> str:
        """An id for a name, mostly one that exists."""
        for noun, found in self.known.items():
            if noun in name and chance.random() < 0.85:
                return chance.choice(found)
        return data.draw(JUNK_TEXT)

    def value(self, value: Any, name: str, chance: random.Random, data: st.DataObject) -> Any:
        """A right value with, here and there, something left out or wrong."""
        if chance.random() < 0.03:
            return data.draw(JUNK)
        if isinstance(value, dict):
            kept = {key: inner for key, inner in value.items() if chance.random() > 0.25}
            return {key: self.value(inner, key, chance, data) for key, inner in kept.items()}
        if isinstance(value, list):
            chosen = [item for item in value if chance.random() > 0.5]
            return [self.value(item, name.removesuffix("s"), chance, data) for item in chosen]
        if isinstance(value, str) and (name.endswith("_id") or name == "id"):
            return self.identifier("conversation" if name == "id" else name, chance, data)
        return value

    def shoot(self, chance: random.Random, data: st.DataObject) -> None:
        """Send one request and look at its answer."""
        operation = chance.choice(OPERATIONS)
        path = "/".join(
            _filled(part, lambda name: self.identifier(name, chance, data))
            for part in operation.path.split("/")
        )
        query = [("api-version", "v1")] if operation.path.startswith("/agents") else []
        query += [(name, self._queried(name, chance, data)) for name in QUERY if chance.random() < 0.1]
        options = self._body(operation, chance, data)
        shown = f"{operation.method} {path} {query} {str(options)[:3000]}"
        with self.api.http.stream(operation.method, path, params=query, **options) as response:
            text = response.read()
        self.statuses[response.status_code] += 1
        self.worked[operation.name] += response.status_code < 400
        assert response.status_code < 500, f"{shown} -> {response.status_code} {text[:500]!r}"
        if response.headers.get("content-type") == "application/json":
            json.loads(text)
        if operation.method == "DELETE" and response.status_code < 300:
            self.populate()
        if operation.name == "named_agents.disable" and response.status_code < 300:
            self.api.call("POST", "/agents/fuzzed:enable", status=204, **{"api-version": "v1"})

    def _queried(self, name: str, chance: random.Random, data: st.DataObject) -> str:
        if name == "limit":
            return str(chance.choice([0, 1, 20, 100, 101, "x"]))
        if name == "order":
            return chance.choice(["asc", "desc", "up"])
        return "true" if name == "stream" else self.identifier(f"{name}_item_id", chance, data)

    def _body(self, operation: Operation, chance: random.Random, data: st.DataObject) -> Json:
        if operation.name in ("files.upload", "container_files.create") and chance.random() < 0.8:
            content = data.draw(st.binary(max_size=50))
            name = data.draw(st.one_of(st.sampled_from(["a.txt", "a.md", "a.csv"]), JUNK_TEXT))
            return {"files": {"file": (name, content)}, "data": {"purpose": "assistants"}}
        if chance.random() < 0.03:
            kind = chance.choice(["application/json", "text/plain", "multipart/form-data", "x"])
            return {"content": data.draw(RAW), "headers": {"content-type": kind}}
        body = BODIES.get(operation.name)
        if body is None:
            return {}
        value = self.value(copy.deepcopy(body), "", chance, data)
        if operation.name == "responses.create" and isinstance(value, dict):
            value = _one_of_each_kind(value, chance)
        return {"content": json.dumps(value).encode(), "headers": {"content-type": "application/json"}}


def _one_of_each_kind(body: Json, chance: random.Random) -> Json:
    """Leave out what would have nearly every request refused, so that some get further."""
    if chance.random() < 0.7:
        owned = ("model", "instructions", "tools", "temperature", "top_p", "text", "reasoning")
        unwanted = owned if chance.random() < 0.4 else ("agent_reference", "structured_inputs")
        before = chance.choice(["conversation", "previous_response_id"])
        body = {key: value for key, value in body.items() if key not in (*unwanted, before)}
        if unwanted is not owned:
            body.setdefault("model", MODEL)
        if chance.random() < 0.5:
            body["input"] = "hello"
    return body


def _filled(part: str, identifier: Any) -> str:
    name, closed, rest = part.removeprefix("{").partition("}")
    if not (part.startswith("{") and closed):
        return part
    return (quote(identifier(name).encode("utf-8", "replace"), safe="") or "-") + rest


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("fuzz")
    limits = Limits(idle_timeout=2, head_timeout=2, read_timeout=5)
    config = ServiceConfig(limits=limits, max_concurrent_runs=8)
    running = start_in_thread(folder / "data", write_rules(folder, RULES), config)
    with wire(running) as api:
        api.http.timeout = httpx.Timeout(HANG_SECONDS)
        yield Target(api)
    running.stop()


@pytest.mark.timeout(60 + WANTED // 5)
def test_no_request_breaks_the_service(target: Target) -> None:
    @settings(
        max_examples=max(1, WANTED // BATCH),
        deadline=None,
        database=None,
        derandomize=WANTED <= 300,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.integers(0, 2**32))
    def fuzz(data: st.DataObject, seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(BATCH):
            target.shoot(chance, data)

    fuzz()
    ANSWERS.violations(longest=0)  # what a request has put into a definition comes back, however odd it is
    worked = len(+target.worked)
    print(f"{target.statuses.total()} requests: {dict(target.statuses)}, {worked} operations worked")
    assert target.statuses.total() >= WANTED * 0.9
    assert httpx.get(f"{target.api.running.origin}/_emulator/health", timeout=5).status_code == 200
    if WANTED >= 2500:
        assert worked >= 45, target.worked
