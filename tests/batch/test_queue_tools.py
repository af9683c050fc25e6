"""The example with two queue tools, as a batch: driven by the pipeline and by the service, same outcome."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.batch.run import run_batch
from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.queues import Storage, StorageConnection
from agents_emulator.service import ServiceConfig
from agents_emulator.tools.settings import StorageAccount, ToolSettings
from tests.batch.support import Bench
from tests.conftest import ServiceFactory
from tests.support.queue_trigger import make_queues, serving

REPOSITORY = Path(__file__).parents[2]
EXAMPLE = REPOSITORY / "examples" / "queues"
_PAPER = (
    r"^(?P<sender>.+)\n(.|\n)*Invoice number: (?P<number>\S+)(.|\n)*Total due: \S+ (?P<total>[\d.]+)"
    r"\nPlease pay to IBAN (?P<iban>[A-Z0-9 ]+)"
)
RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"schema": "invoice", "message": _PAPER, "tool_results": False},
            "reply": {
                "tool_calls": [
                    {"name": "lookup_supplier", "arguments": {"name": "{{ groups.sender }}"}},
                    {"name": "validate_iban", "arguments": {"iban": "{{ groups.iban }}"}},
                ]
            },
        },
        {
            "when": {"schema": "invoice", "message": _PAPER},
            "reply": {
                "json": {
                    "sender": "{{ groups.sender }}",
                    "number": "{{ groups.number }}",
                    "total": "{{ groups.total | float }}",
                    "iban": "{{ groups.iban }}",
                }
            },
        },
        {
            "when": {"schema": "review", "message": "IBAN (?P<iban>[A-Z0-9 ]+)", "tool_results": False},
            "reply": {"tool_calls": [{"name": "validate_iban", "arguments": {"iban": "{{ groups.iban }}"}}]},
        },
        {"when": {"schema": "review"}, "reply": {"json": {"approved": True, "problems": []}}},
    ]
}


@pytest.fixture
async def storage(
    azurite: StorageAddresses, monkeypatch: pytest.MonkeyPatch, queue_prefix: str
) -> AsyncIterator[Storage]:
    """Azurite with the queues of the example's tools, for the app and for the pipeline."""
    app = str(REPOSITORY / "azure_functions")
    if app not in sys.path:
        sys.path.insert(0, app)
    import storage as app_storage  # type: ignore[import-not-found]

    monkeypatch.setenv("STORAGE", azurite.connection_string.get_secret_value())
    monkeypatch.setenv("ANSWERS_TABLE", f"{queue_prefix}answers")
    async with Storage(StorageConnection.from_string(azurite.connection_string)) as opened:
        yield opened
    await app_storage.storage().close()


@pytest.mark.parametrize("drive", ["pipeline", "service"])
async def test_a_batch_calls_two_queue_tools_for_every_document(
    service: ServiceFactory,
    storage: Storage,
    azurite: StorageAddresses,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    drive: str,
) -> None:
    import responder  # type: ignore[import-not-found]
    from catalog import TOOLS  # type: ignore[import-not-found]

    tools = [tool for tool in TOOLS if tool.name in ("lookup_supplier", "validate_iban")]
    for tool in tools:
        await make_queues(storage, tool)
    account = StorageAccount(value=azurite.connection_string)
    config = ServiceConfig(tools=ToolSettings(storage={azurite.queue: account}))
    bench = Bench(service(rules=RULES, config=config), tmp_path)
    text = (EXAMPLE / "pipeline.yaml").read_text(encoding="utf-8")
    bench.pipeline_file.write_text(text.replace("drive: pipeline", f"drive: {drive}"))
    (tmp_path / "tools.json").write_bytes((EXAMPLE / "tools.json").read_bytes())

    answers: dict[str, str] = {}

    async def respond(tool: Any, delivery: Any) -> str:
        """A message may be delivered twice; its call has one answer all the same."""
        answer = str(await answering(tool, delivery))
        assert answers.setdefault(json.loads(answer)["CorrelationId"], answer) == answer
        return answer

    answering = responder.respond
    monkeypatch.setattr(responder, "respond", respond)
    async with serving(storage.connection, tools), bench.workspace() as ws:
        plan = load_pipeline(bench.pipeline_file, default_model="test-model")
        summary = await run_batch(ws, plan, EXAMPLE / "documents", bench.out)

    assert summary.headline() == "3 done, 0 need review, 0 failed"
    assert bench.rows()["invoice-hexley-30102.txt"]["fields"] == {
        "sender": "Hexley Electric Supply plc",
        "number": "HX-30102",
        "total": 62.4,
        "iban": "GB29NWBK60161331926819",
    }
    kind = "function" if drive == "pipeline" else "azure_function"
    values = [json.loads(json.loads(answer)["Value"]) for answer in answers.values()]
    assert len(values) == 9
    assert sum(value.get("id") == "HEXLEY" for value in values) == 1
    assert sum(value.get("found") == "no" for value in values) == 1  # Oddwick is in no register
    assert [sum(value.get("valid") is valid for value in values) for valid in (True, False)] == [4, 2]
    assert {definition["type"] for definition in plan.extractor.tools.definitions} == {kind}
    if drive == "pipeline":
        calls = [call for row in bench.rows().values() for call in row["tool_calls"]]
        assert sorted(call["name"] for call in calls) == ["lookup_supplier"] * 3 + ["validate_iban"] * 6
        assert all(call["error_type"] is None for call in calls)
