"""Every example in Python of the pages runs."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from prefect import Flow, flow

from agent_tasks import AgentsProject, Workspace
from agent_tasks.errors import WaitingForPersonError
from agent_tasks.journal import Journal
from agent_tasks.operations import decide
from tests.docs.markdown import PAGES, Page, page
from tests.docs.own_pipeline import ANSWER, my_pipeline
from tests.support.fake_backend import FakeBackend

COVERED = {
    "README.md": 1,
    "docs/approvals.md": 1,
    "docs/client.md": 2,
    "docs/configuration.md": 1,
    "docs/deploying.md": 1,
    "docs/durability.md": 2,
    "docs/review.md": 1,  # tests/review/test_decisions.py
    # By tests of their own:
    "azure_functions/README.md": 1,  # tests/functions/test_docs.py
    "docs/python.md": 5,  # tests/docs/test_python.py
    "docs/tutorial.md": 5,
    "docs/pipeline.md": 1,  # tests/pipeline/test_docs.py
    "docs/steps.md": 3,  # tests/steps/test_docs.py
    "docs/tools.md": 17,  # tests/tools/test_docs.py
    "docs/grounding.md": 1,
    "docs/tracing.md": 6,
}
"""How many examples a page has; those of a page that is not named here are run by nobody."""

RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": "price", "tool_results": False},
            "reply": {"tool_calls": [{"name": "price_of", "arguments": {"item": "bolt"}}]},
        },
        {"when": {"message": "price"}, "reply": {"text": "{{ tool_results | join(' ') }}"}},
        {"when": {"instructions": "kind of letter"}, "reply": {"json": {"kind": "reminder", "urgent": True}}},
        {"when": {"message": "What is it"}, "reply": {"text": ANSWER}},
    ],
    "default": {"reply": {"text": "Hello there."}},
}


def run(name: str, *numbers: int, **given: Any) -> tuple[dict[str, Any], str]:
    """Run examples of a page; returns what they define, and what they printed."""
    blocks = page(name).blocks("python")
    names = {"__name__": "example", **given}
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for number in numbers:
            exec(compile(blocks[number], name, "exec", dont_inherit=True), names)  # noqa: S102
    return names, printed.getvalue()


def test_values_are_found_in_a_text() -> None:
    _, printed = run("docs/grounding.md", 0)
    assert printed.splitlines() == ["1.409,56", "03/04/2026 may be 2026-03-04 or 2026-04-03"]


def test_every_example_has_its_test() -> None:
    counts = {of.name: len(of.blocks("python")) for of in map(Page, PAGES)}
    assert {name: count for name, count in counts.items() if count} == COVERED


@pytest.fixture
def endpoint(service: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A service in the environment, with a state folder of its own."""
    running = service(rules=RULES)
    monkeypatch.setenv("PROJECT_ENDPOINT", running.endpoint)
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    return running.endpoint


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server", "endpoint")
async def test_the_flow_of_the_readme() -> None:
    names, _ = run("README.md", 0)
    assert (await names["read"]("Your rent is late.")).urgent


@pytest.mark.usefixtures("endpoint")
def test_the_client() -> None:
    _, printed = run("docs/client.md", 0)
    assert printed.startswith("bolt costs 3 EUR")
    _, printed = run("docs/client.md", 1)
    assert "Hello there.[completed]" in printed
    assert printed.endswith("done DoneEvent\n") or "thread.run.completed" in printed


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
def test_the_block_that_is_saved() -> None:
    run("docs/configuration.md", 0)
    assert AgentsProject.load("production").credential == "managed_identity"


def test_the_flow_over_ours() -> None:
    names, _ = run("docs/deploying.md", 0)
    assert isinstance(names["month_end"], Flow)


async def test_a_person_is_asked(tmp_path: Path) -> None:
    names, _ = run("docs/approvals.md", 0)
    async with Journal(f"sqlite+aiosqlite:///{tmp_path}/journal.db") as journal:
        ws = Workspace(FakeBackend(lambda *_: pytest.fail("no agent is asked")), journal)
        with pytest.raises(WaitingForPersonError) as waiting:
            await names["release"](ws, "Dear Sir")
        await decide(ws, str(waiting.value.key), approved=False, by="Ann", note="Not yet.")
        assert await names["release"](ws, "Dear Sir") == "not sent: Not yet."


def test_the_hooks() -> None:
    names, _ = run("docs/durability.md", 0, flow=flow, AgentsProject=AgentsProject)
    assert names["ask"].on_cancellation_hooks == [names["release"]]


@pytest.mark.timeout(120)
def test_the_test_of_a_pipeline_of_your_own(service: Any, tmp_path: Path) -> None:
    names, _ = run("docs/durability.md", 1, my_pipeline=my_pipeline)
    names["test_my_pipeline_survives"](service(rules=RULES).endpoint, tmp_path)
