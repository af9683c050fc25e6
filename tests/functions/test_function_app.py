"""The Function App as the host sees it: its functions, their queues, and what they answer."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.functions import Out
from azure.functions.queue import QueueMessage

from agent_tasks.queues import decode

from .conftest import APP

INDEX = """
import json, function_app
functions = function_app.app.get_functions()
print(json.dumps({f.get_function_name(): json.loads(f.get_function_json()) for f in functions}))
"""


class Answer(Out[str]):
    """The output binding, as the worker passes it."""

    def __init__(self) -> None:
        self.value: str | None = None

    def set(self, val: str) -> None:
        self.value = val

    def get(self) -> str | None:  # type: ignore[override]
        return self.value


@pytest.fixture(scope="session")
def index() -> dict[str, Any]:
    """The functions of a freshly imported app: it can be indexed once only, hence in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", INDEX], cwd=APP, capture_output=True, text=True, timeout=60, check=True
    )
    functions: dict[str, Any] = json.loads(run.stdout)
    return functions


@pytest.fixture(scope="session")
def handlers(function_app: ModuleType) -> dict[str, Any]:
    """The registered functions by name, as the worker would call them."""
    return {
        function.get_function_name(): function.get_user_function()
        for function in function_app.app.get_functions()
    }


@pytest.fixture
def call(handlers: dict[str, Any], app_storage: str) -> Callable[..., Any]:
    """Call a handler: the decoded `Value`, and the answer's `CorrelationId`."""
    numbers = itertools.count(1)

    async def answer_of(name: str, *, encoded: bool = False, **fields: Any) -> tuple[Any, str]:
        body = json.dumps({"correlationID": f"c{next(numbers)}", **fields}).encode()
        answer = Answer()
        given = QueueMessage(body=base64.b64encode(body) if encoded else body, dequeue_count=1)
        await handlers[name](given, answer)
        return decoded(answer)

    return answer_of


def decoded(answer: Answer) -> tuple[Any, str]:
    assert answer.value is not None
    message = json.loads(base64.b64decode(answer.value, validate=True))
    return json.loads(message["Value"]), message["CorrelationId"]


def test_the_app_registers_its_functions_on_their_queues(index: dict[str, Any], catalog: ModuleType) -> None:
    queues = {
        name: [
            (binding["name"], binding["type"], binding["queueName"])
            for binding in function["bindings"]
            if binding.get("connection") == "STORAGE"
        ]
        for name, function in index.items()
    }
    assert queues.pop("purge_answers") == []
    expected = {}
    for tool in catalog.TOOLS:
        stem = tool.name.replace("_", "-")
        answer = ("answer", "queue", f"{stem}-output")
        expected[tool.name] = [answer, ("message", "queueTrigger", f"{stem}-input")]
        expected[f"{tool.name}_poison"] = [
            ("parked", "queue", f"{stem}-input-parked"),
            answer,
            ("message", "queueTrigger", f"{stem}-input-poison"),
        ]
    assert queues == expected


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "base64"])
@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize(
    ("iban", "expected"),
    [
        (
            "DE89 3704 0044 0532 0130 00",
            {"valid": True, "iban": "DE89 3704 0044 0532 0130 00", "country": "DE"},
        ),
        ("gb29nwbk60161331926819", {"valid": True, "iban": "GB29 NWBK 6016 1331 9268 19", "country": "GB"}),
    ],
)
async def test_valid_ibans(
    call: Callable[..., Any], iban: str, expected: dict[str, Any], nested: bool, encoded: bool
) -> None:
    arguments = {"iban": iban}
    message = {"function_args": arguments} if nested else arguments
    assert await call("validate_iban", encoded=encoded, **message) == (expected, "c1")


async def test_a_broken_message_is_answered(handlers: dict[str, Any], app_storage: str) -> None:
    answer = Answer()
    await handlers["validate_iban"](QueueMessage(body=b'{"iban": "X", "CorrelationId": "c3"'), answer)
    value, correlation_id = decoded(answer)
    assert correlation_id == "c3"
    assert value["error"]["type"] == "undecodable_message"


async def test_a_message_nobody_waits_for_is_parked(
    handlers: dict[str, Any], app_storage: str, queue_messages: ModuleType
) -> None:
    answer, parked = Answer(), Answer()
    with pytest.raises(queue_messages.NoCorrelationIdError):
        await handlers["validate_iban"](QueueMessage(body=b'{"iban": "X"}'), answer)
    await handlers["validate_iban_poison"](QueueMessage(body=b'{"iban": "X"}'), answer, parked)
    assert answer.value is None
    assert decode(parked.value) == '{"iban": "X"}'


async def test_a_call_from_the_poison_queue_is_answered_and_parked(
    handlers: dict[str, Any], app_storage: str
) -> None:
    answer, parked = Answer(), Answer()
    body = base64.b64encode(b'{"iban": "X", "CorrelationId": "c4"}')
    await handlers["validate_iban_poison"](QueueMessage(body=body), answer, parked)
    value, correlation_id = decoded(answer)
    assert (value["error"]["type"], correlation_id) == ("tool_unavailable", "c4")
    assert parked.value == body.decode()


async def test_stored_answers_are_purged_by_the_clock(
    handlers: dict[str, Any],
    answers: ModuleType,
    app_storage: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def ask(correlation_id: str) -> None:
        body = {"iban": "GB29NWBK60161331926819", "CorrelationId": correlation_id}
        await handlers["validate_iban"](QueueMessage(body=json.dumps(body).encode()), Answer())

    monkeypatch.setenv("ANSWER_LIFETIME_SECONDS", "0.2")
    await ask("c5")
    await ask("c6")
    monkeypatch.delenv("ANSWER_LIFETIME_SECONDS")
    await ask("c7")
    await asyncio.sleep(0.3)
    with caplog.at_level(logging.INFO, "queue_tools"):
        await handlers["purge_answers"](None)
    assert "2 stored answers were removed" in caplog.text
    assert await answers.purge() == 0, "what is left is kept for its time"


def test_the_app_imports_nothing_of_the_other_packages() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in APP.glob("*.py"))
    assert not re.search(r"^\s*(from|import)\s+(agent_tasks|agents_emulator|flows)\b", sources, re.MULTILINE)


def test_the_tools_need_no_functions_runtime() -> None:
    check = "import sys, catalog; sys.exit('azure.functions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=APP, timeout=60, check=False).returncode == 0


def test_the_hosts_settings_suit_the_app(catalog: ModuleType) -> None:
    host = json.loads((APP / "host.json").read_text(encoding="utf-8"))
    settings = json.loads((APP / "local.settings.json.example").read_text(encoding="utf-8"))
    # Messages that the host could not decode would never reach the app, so it decodes them itself.
    assert host["extensions"]["queues"]["messageEncoding"] == "none"
    assert settings["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    # A delivery may wait for another one and then run the function itself.
    limit = hours * 3600 + minutes * 60 + seconds
    assert max(tool.timeout for tool in catalog.TOOLS) * 2 + 60 <= limit


def test_what_is_deployed_needs_nothing_that_is_not_listed() -> None:
    listed = {
        re.split(r"[<>=\[]", line)[0].replace("-", ".").lower()
        for line in (APP / "requirements.txt").read_text(encoding="utf-8").splitlines()
    }
    providers = {"stdnum": "python.stdnum", "bs4": "beautifulsoup4", "docx": "python.docx"}
    own = {path.stem for path in APP.glob("*.py")}
    imported = set()
    for path in APP.glob("*.py"):
        for found in re.findall(
            r"^\s*(?:from|import)\s+([\w.]+)", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            imported.add(found)
    for name in imported:
        top = name.partition(".")[0]
        if top in own or top in sys.stdlib_module_names:
            continue
        package = {"opentelemetry": "opentelemetry.api"}.get(top) or providers.get(top, top)
        if top == "azure":
            package = {"azure.core": "azure.identity"}.get(".".join(name.split(".")[:2]), name)
            assert any(package.startswith(one) for one in listed), name
        else:
            assert package in listed, name


def test_the_register_is_the_one_of_the_examples() -> None:
    examples = Path(__file__).parents[2] / "examples" / "suppliers.csv"
    assert (APP / "suppliers.csv").read_bytes() == examples.read_bytes()


@pytest.mark.parametrize("text", ["[]", '[{"a": 1}, {"b": 2}]', '  {"a": 1.0}', "{no JSON}", "[1, 2"])
async def test_what_is_parked_is_never_taken_for_json(handlers: dict[str, Any], text: str) -> None:
    answer, parked = Answer(), Answer()
    await handlers["validate_iban_poison"](QueueMessage(body=text.encode()), answer, parked)
    assert decode(parked.value) == text
    assert parked.value.strip()[0] not in "[{"
