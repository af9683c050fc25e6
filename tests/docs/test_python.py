"""The pages about Python are run block by block, and what they define is called."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_tasks import AgentsProject
from agent_tasks.operations.decisions import decide, list_questions
from tests.docs.markdown import page

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("prefect_server")]

RULES: dict[str, Any] = {
    "rules": [
        {"when": {"instructions": "kind of letter"}, "reply": {"json": {"kind": "reminder", "urgent": True}}},
        {"when": {"instructions": "billing, legal"}, "reply": {"json": {"hand_to": "legal", "answer": None}}},
        {"when": {"instructions": "author, billing"}, "reply": {"json": {"hand_to": None, "answer": "Yes."}}},
        {
            "when": {"message": "^(Draft|Clause|Is it fair)"},
            "reply": {"json": {"approved": True, "problems": []}},
        },
        {"when": {"schema": "bool"}, "reply": {"json": {"answer": True}}},
        {"when": {"schema": "float"}, "reply": {"json": {"answer": 12.5}}},
        {"when": {"schema": "Offer"}, "reply": {"json": {"boards": 20, "wood": "oak", "price": 250.0}}},
        {"when": {"schema": "Check"}, "reply": {"json": {"approved": True, "problem": "none"}}},
        {"when": {"message": "May I sell oak"}, "reply": {"text": "Oak is free."}},
        {"when": {"message": "Oak"}, "reply": {"text": "Draft of an offer."}},
    ],
    "default": {"reply": {"text": "Oak."}},
}


@pytest.fixture
def names(
    request: pytest.FixtureRequest, service: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the blocks of a page define, all in one module."""
    running = service(rules=RULES)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    defined: dict[str, Any] = {"__name__": "page"}
    for number, block in enumerate(page(request.param).blocks("python")):
        exec(compile(block, f"{request.param} {number}", "exec", dont_inherit=True), defined)  # noqa: S102
    return defined


async def approved(flow: Any, task: str) -> Any:
    """Run a flow that asks a person, who approves."""

    async def person() -> None:
        async with AgentsProject().workspace() as ws:
            while not (waiting := await list_questions(ws)):
                await asyncio.sleep(0.1)
            await decide(ws, waiting[0].key, approved=True, by="Ida")

    deciding = asyncio.create_task(person())
    outcome = await flow.with_options(retries=1, retry_delay_seconds=3)(task)
    await deciding
    return outcome


@pytest.mark.parametrize("names", ["docs/python.md"], indirect=True)
async def test_the_page_of_the_api(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert (await names["read"]("Pay!")).urgent
    [cited] = await names["cited"]()
    assert cited.startswith("law.txt at 【")
    assert await names["talk"]() == "Oak."
    assert capsys.readouterr().out.count("Oak.") == 1
    assert await approved(names["offer"], "Offer oak.") == "Draft of an offer."
    assert await names["more"](["Clause 1", "Clause 2"]) == (2, True, ["author", "legal"])


@pytest.mark.parametrize("names", ["docs/tutorial.md"], indirect=True)
async def test_the_tutorial(names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert await names["hello"]() == "Oak."
    assert "tokens" in capsys.readouterr().out
    assert (await names["read"]("Pay!")).kind == "reminder"
    price, law = await names["ask_both"]()
    assert price == "Oak."
    assert law.startswith("Oak is free")
    assert await approved(names["offer"], "Offer it.") == "20 boards of oak for 250.0 EUR"
    first = await names["again"]()
    assert await names["again"]() == first == ["Oak.", "Oak."]
