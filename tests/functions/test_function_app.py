"""The Function App as the host sees it: its functions, their queues, and what they answer."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from azure.functions import Out
from azure.functions.queue import QueueMessage

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


async def call(handler: Any, message: dict[str, Any], *, encoded: bool = False) -> tuple[Any, str]:
    """The handler's decoded `Value` and its `CorrelationId`."""
    body = json.dumps(message).encode()
    answer = Answer()
    await handler(QueueMessage(body=base64.b64encode(body) if encoded else body, dequeue_count=1), answer)
    assert answer.value is not None
    decoded = json.loads(answer.value)
    return json.loads(decoded["Value"]), decoded["CorrelationId"]


def test_the_app_registers_its_functions_on_their_queues(index: dict[str, Any]) -> None:
    queues = {
        name: {
            binding["type"]: (binding["queueName"], binding["connection"]) for binding in function["bindings"]
        }
        for name, function in index.items()
    }
    assert queues == {
        "lookup_supplier": {
            "queueTrigger": ("lookup-supplier-input", "STORAGE"),
            "queue": ("lookup-supplier-output", "STORAGE"),
        },
        "validate_iban": {
            "queueTrigger": ("validate-iban-input", "STORAGE"),
            "queue": ("validate-iban-output", "STORAGE"),
        },
    }


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
    handlers: dict[str, Any], iban: str, expected: dict[str, Any], nested: bool, encoded: bool
) -> None:
    arguments = {"iban": iban}
    message = {"function_args": arguments} if nested else arguments
    answer = await call(handlers["validate_iban"], {**message, "CorrelationId": "c7"}, encoded=encoded)
    assert answer == (expected, "c7")


@pytest.mark.parametrize(
    "iban", ["DE88370400440532013000", "DE8937040044053201300", "XX00", "", "not an iban"]
)
async def test_invalid_ibans(handlers: dict[str, Any], iban: str) -> None:
    value, correlation_id = await call(handlers["validate_iban"], {"iban": iban, "CorrelationId": "c8"})
    assert value["valid"] is False
    assert value["reason"]
    assert correlation_id == "c8"


@pytest.mark.parametrize("arguments", [{}, {"iban": 12}, {"iban": None}, {"iban": "X" * 65}])
async def test_wrong_arguments_are_answered(handlers: dict[str, Any], arguments: dict[str, Any]) -> None:
    value, correlation_id = await call(handlers["validate_iban"], {**arguments, "correlationID": "c9"})
    assert value["error"]["type"] == "invalid_arguments"
    assert "iban" in value["error"]["message"]
    assert correlation_id == "c9"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Hexley Electric Supply plc", "HEXLEY"),
        ("sagewerk immerfall kg", "IMMER"),
        ("Quillfeather Timber", "QUILL"),
        ("Nobody & Sons", None),
    ],
)
async def test_lookup_supplier(handlers: dict[str, Any], name: str, found: str | None) -> None:
    value, _ = await call(handlers["lookup_supplier"], {"name": name, "CorrelationId": "c1"})
    assert value.get("id") == found
    assert value["found"] == ("yes" if found else "no")


async def test_a_broken_message_is_answered(handlers: dict[str, Any]) -> None:
    answer = Answer()
    await handlers["validate_iban"](QueueMessage(body=b'{"iban": "X", "CorrelationId": "c3"'), answer)
    assert answer.value is not None
    decoded = json.loads(answer.value)
    assert decoded["CorrelationId"] == "c3"
    assert json.loads(decoded["Value"])["error"]["type"] == "undecodable_message"


async def test_a_message_nobody_waits_for_goes_to_the_poison_queue(
    handlers: dict[str, Any], queue_messages: ModuleType
) -> None:
    answer = Answer()
    with pytest.raises(queue_messages.NoCorrelationIdError):
        await handlers["validate_iban"](QueueMessage(body=b'{"iban": "X"}'), answer)
    assert answer.value is None


def test_the_app_imports_nothing_of_the_other_packages() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in APP.glob("*.py"))
    assert not re.search(r"^\s*(from|import)\s+(agent_tasks|agents_emulator|flows)\b", sources, re.MULTILINE)


def test_the_tools_need_no_functions_runtime() -> None:
    check = "import sys, suppliers, bank_accounts; sys.exit('azure.functions' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=APP, timeout=60, check=False).returncode == 0


def test_the_hosts_settings_are_json() -> None:
    host = json.loads((APP / "host.json").read_text(encoding="utf-8"))
    settings = json.loads((APP / "local.settings.json.example").read_text(encoding="utf-8"))
    assert host["extensions"]["queues"]["messageEncoding"] == "base64"
    assert settings["Values"]["FUNCTIONS_WORKER_RUNTIME"] == "python"


def test_the_register_is_the_one_of_the_examples() -> None:
    examples = Path(__file__).parents[2] / "examples" / "suppliers.csv"
    assert (APP / "suppliers.csv").read_bytes() == examples.read_bytes()
