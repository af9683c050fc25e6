"""Fuzzing: requests of every operation, from almost right to nonsense; no 500, no hang, right answers.

The normal run sends a few hundred requests. `AGENTS_EMULATOR_FUZZ_REQUESTS=10000` sends that many.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from agents_emulator.app import OPERATIONS
from agents_emulator.guard import Limits
from agents_emulator.service import ServiceConfig
from tests.emulator.helpers import Json, agent, get, post, stream, turn, upload
from tests.support.answers import ANSWERS
from tests.support.derive_schemas import REQUESTS
from tests.support.service import HELLO, RunningService, start_in_thread, write_rules

REQUESTS_WANTED = int(os.environ.get("AGENTS_EMULATOR_FUZZ_REQUESTS", "300"))
WANTED = REQUESTS_WANTED // 2  # half of them strict, half of them loose
BATCH = 20
HANG_SECONDS = 15.0
SCHEMAS: Json = json.loads(REQUESTS.read_text(encoding="utf-8"))

JUNK_TEXT = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "\x00", "\ud800".encode("utf-16-le", "surrogatepass").hex(), "../..", "🧨" * 30, "x" * 3000]
    ),
)
JUNK = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False),
        JUNK_TEXT,
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)
RAW = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"{", b"null", b"[]", b'"x"', b"NaN", b"1e999", b"[" * 3000, b'{"a":' * 150, b"\xff\xfe"]
    ),
)


class Generator:
    """Values for a schema: right ones with here and there a wrong one."""

    def __init__(self, random: random.Random, known: dict[str, list[str]], junk: Any) -> None:
        self._random = random
        self._known = known
        self._junk = junk

    def value(self, schema: Json, name: str = "", depth: int = 0) -> Any:
        """A value for a schema; sometimes none at all."""
        if self._random.random() < 0.04:
            return self._junk(JUNK)
        if "$ref" in schema:
            return self.value(SCHEMAS["$defs"][schema["$ref"].removeprefix("#/$defs/")], name, depth)
        if "anyOf" in schema:
            return self.value(self._random.choice(schema["anyOf"]), name, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._random.choice(schema["enum"])
        kinds = schema.get("type", ["object", "string", "null"])
        kind = self._random.choice(kinds if isinstance(kinds, list) else [kinds])
        return self._of_type(kind, schema, name, depth)

    def _of_type(self, kind: str, schema: Json, name: str, depth: int) -> Any:
        chance = self._random
        match kind:
            case "null":
                return None
            case "boolean":
                return chance.random() < 0.5
            case "integer":
                return chance.choice([0, 1, 7, 100, 400, 800, 4096, -1, 2**31, 2**63])
            case "number":
                return chance.choice([0, 0.5, 1, 2, 2.5, -1, 1e300])
            case "array":
                length = 0 if depth > 6 else chance.choice([0, 1, 1, 2, 3])
                return [
                    self.value(schema.get("items", {}), name.removesuffix("s"), depth + 1)
                    for _ in range(length)
                ]
            case "object":
                return self._object(schema, depth)
            case _:
                return self.identifier(name)

    def _object(self, schema: Json, depth: int) -> Json:
        if "allOf" in schema and self._random.random() < 0.95:
            return self.value(self._random.choice(schema["allOf"])["then"], "", depth)  # type: ignore[no-any-return]
        given: Json = {}
        for name, inner in schema.get("properties", {}).items():
            likely = 0.97 if name in schema.get("required", []) else (0.35 if depth < 5 else 0.05)
            if self._random.random() < likely:
                given[name] = self.value(inner, name, depth + 1)
        if isinstance(schema.get("additionalProperties"), dict):
            for _ in range(self._random.choice([0, 1, 2, 17])):
                key = self._junk(st.text(max_size=70))
                given[key] = self.value(schema["additionalProperties"], "", depth + 1)
        return given

    def identifier(self, name: str) -> str:
        """A text; where the name says whose id it is, mostly one that exists."""
        for noun, found in self._known.items():
            if noun in name and found and self._random.random() < 0.85:
                return self._random.choice(found)
        return self._junk(JUNK_TEXT)  # type: ignore[no-any-return]


class Target:
    """A service with something of everything, and the requests to it."""

    def __init__(self, running: RunningService, strict: bool) -> None:
        self.running = running
        self.strict = strict
        self.client = httpx.Client(base_url=running.endpoint, timeout=HANG_SECONDS)
        self.statuses: Counter[int] = Counter()
        self.operations: Counter[str] = Counter()
        self.sent = 0
        self.known: dict[str, list[str]] = {}
        self.populate()

    def populate(self) -> None:
        """Make one of everything, and remember the ids."""
        with self.running.http() as client:
            agent_id = agent(client)
            run = stream(client, "/threads/runs", turn(agent_id, "hi"))[-2][1]
            thread = run["thread_id"]
            file_id = upload(client, "a.md", b"Oslo is the capital of Norway.")
            store = post(client, "/vector_stores", {"name": "s"})["id"]
            batch = post(client, f"/vector_stores/{store}/file_batches", {"file_ids": [file_id]})["id"]
            messages = get(client, f"/threads/{thread}/messages")["data"]
            steps = get(client, f"/threads/{thread}/runs/{run['id']}/steps")["data"]
        self.known = {
            "assistant_id": [agent_id],
            "agent_id": [agent_id],
            "thread_id": [thread],
            "run_id": [run["id"]],
            "message_id": [message["id"] for message in messages],
            "step_id": [step["id"] for step in steps],
            "vector_store_id": [store],
            "file_id": [file_id],
            "batch_id": [batch],
        }

    def shoot(self, data: st.DataObject, chance: random.Random) -> None:
        """Send one request and look at its answer."""
        generator = Generator(chance, self.known, lambda strategy: data.draw(strategy))
        operation = chance.choice(OPERATIONS)
        path = "/".join(
            _quoted(generator.identifier(part[1:-1])) if part.startswith("{") else part
            for part in operation.path.split("/")
        )
        query: list[tuple[str, str]] = [("api-version", chance.choice(["v1", "2025-05-15-preview"]))]
        described = SCHEMAS["operations"][operation.name]
        for name, schema in described["query"].items():
            if chance.random() < 0.25:
                query.append((name, str(generator.value(schema, name))))
        options = self._body(operation.name, described, generator, data, chance)
        with self.client.stream(operation.method, path, params=query, **options) as response:
            text = response.read()
        self.sent += 1
        self.statuses[response.status_code] += 1
        self.operations[operation.name] += response.status_code < 400
        shown = f"{operation.method} {path} {query} {str(options)[:2000]}"
        assert response.status_code < 500, f"{shown} -> {response.status_code} {text[:500]!r}"
        if response.headers["content-type"] == "application/json":
            json.loads(text)
        if operation.method == "DELETE" and response.status_code < 300:
            self.populate()

    def _body(
        self, name: str, described: Json, generator: Generator, data: st.DataObject, chance: random.Random
    ) -> Json:
        if name == "files.upload" and chance.random() < 0.9:
            content = data.draw(st.binary(max_size=50))
            filename = data.draw(st.one_of(st.sampled_from(["a.txt", "a.md", "a.pdf", "a.docx"]), JUNK_TEXT))
            purpose = chance.choice(["assistants", "vision", "batch", "nonsense", ""])
            return {"files": {"file": (filename, content)}, "data": {"purpose": purpose}}
        if chance.random() < 0.04:
            kind = chance.choice(["application/json", "text/plain", "multipart/form-data", "x"])
            return {"content": data.draw(RAW), "headers": {"content-type": kind}}
        if "body" not in described:
            return {}
        value = generator.value(described["body"])
        return {"content": json.dumps(value).encode(), "headers": {"content-type": "application/json"}}


def _quoted(identifier: str) -> str:
    from urllib.parse import quote

    return quote(identifier.encode("utf-8", "replace"), safe="") or "-"


@pytest.fixture(scope="module", params=["strict", "loose"])
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    limits = Limits(idle_timeout=2, head_timeout=2, read_timeout=5)
    config = ServiceConfig(limits=limits, max_concurrent_runs=8, strict=request.param == "strict")
    running = start_in_thread(folder / "data", write_rules(folder, HELLO), config)
    yield Target(running, config.strict)
    running.stop()


@pytest.mark.timeout(60 + WANTED // 10)
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
            target.shoot(data, chance)
        # What a request has added to tools and their resources comes back, whether it is known or not.
        echoed = ("Additional properties", "tool_resources", "tools.")
        violations = ANSWERS.violations(longest=4000)
        found = [text for text in violations if not any(mark in text for mark in echoed)]
        assert not found or not target.strict

    fuzz()
    worked = len(+target.operations)
    print(f"{target.sent} requests: {dict(sorted(target.statuses.items()))}, {worked} operations worked")
    assert target.sent >= WANTED * 0.9
    assert httpx.get(f"{target.running.origin}/_emulator/health", timeout=5).status_code == 200
    if WANTED >= 2500:
        assert worked >= 35, target.operations
