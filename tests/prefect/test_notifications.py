"""People are told of runs, by a block of theirs."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import PrefectClient, get_client
from prefect.states import Completed

from agent_tasks.batch.outcome_rules import NOT_ALL_DONE
from agent_tasks.batch.run import run_batch
from agent_tasks.errors import ConfigurationError
from agent_tasks.operations.queue_upkeep import QueueState, ToolQueues
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.prefect.automations import (
    Outcome,
    apply_automations,
    find_block,
    notify_of_news,
    notify_of_runs,
)
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from agent_tasks.prefect.watch import watch
from tests.batch.support import Bench
from tests.support.waiting import eventually


@pytest.fixture
async def client(prefect_server: str) -> AsyncIterator[PrefectClient]:
    async with get_client() as opened:
        yield opened
        for automation in await opened.read_automations():
            await opened.delete_automation(automation.id)


@pytest.fixture
def told() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook's address, and what it was told."""
    messages: list[dict[str, Any]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", messages
    server.shutdown()
    server.server_close()


@flow(name="papers-to-look-at", flow_run_name="monday")
def papers(name: str) -> Any:
    return Completed(name=name, message="1 done, 2 need review")


@pytest.mark.timeout(300)  # the server of the session may start in this test
async def test_a_run_that_left_documents_to_people_is_told_once(
    client: PrefectClient, told: tuple[str, list[dict[str, Any]]]
) -> None:
    url, messages = told
    block = CustomWebhookNotificationBlock(
        name="people", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    await block.save("people", overwrite=True)  # type: ignore[misc]
    found = await find_block(client, "custom-webhook/people")
    await apply_automations(client, notify_of_runs(found, ("papers-to-look-at",)))

    papers(name="Completed", return_state=True)
    for _ in range(20):  # the server takes a moment to know a new automation
        if messages:
            break
        papers(name=NOT_ALL_DONE, return_state=True)
        await asyncio.sleep(2)
    await eventually(lambda: messages)
    assert messages[0]["subject"] == "Flow runs: left documents to people"
    assert messages[0]["body"].startswith(
        "papers-to-look-at, run monday: NotAllDone: 1 done, 2 need review\n"
    )


@pytest.mark.timeout(300)
async def test_budgets_and_what_waits_long_are_told(
    client: PrefectClient,
    told: tuple[str, list[dict[str, Any]]],
    bench: Callable[..., Bench],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, messages = told
    block = CustomWebhookNotificationBlock(
        name="news", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
    )
    await block.save("news", overwrite=True)  # type: ignore[misc]
    wanted = notify_of_news(await find_block(client, "custom-webhook/news"))
    applied = await apply_automations(client, wanted)
    assert {one.outcome for one in applied} == {Outcome.CREATED}
    assert {one.outcome for one in await apply_automations(client, wanted)} == {Outcome.UNCHANGED}

    batch = bench()
    batch.write("unclear.txt", "Paper P-4, unclear")
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    batch.pipeline_file.write_text(batch.pipeline)
    async with project.workspace() as ws:
        await run_batch(ws, load_pipeline(batch.pipeline_file), batch.documents, batch.out)
    batch.write("more.txt", "Paper P-1 of 2026-03-01, total 10.5")
    spent = batch.rows()["unclear.txt"]["usage"]["total_tokens"]
    batch.pipeline_file.write_text(f"{batch.pipeline}budget: {{tokens: {spent + 1}}}\n")

    async def queues(*_: object) -> list[ToolQueues]:
        empty = QueueState("look-up-output", 0, None)
        return [ToolQueues("look_up", QueueState("look-up-input", 3, 7200.0), empty, empty, empty, empty)]

    for name in ("find_pairs", "queue_states"):
        monkeypatch.setattr(f"agent_tasks.prefect.watch.{name}", queues)
    monkeypatch.setenv("STORAGE", "UseDevelopmentStorage=true")
    subjects = {
        "A budget is used up": r"papers: The budget is used up: .* tokens \(budget.tokens\) are spent",
        "A budget comes to its end": r"papers: 1?\d\d% of its budget are spent, [\d,]+ of [\d,]+ tokens",
        "Documents wait for people": r"papers: 1 wait for a person, the first for ",
        "Calls of tools wait": r"look_up: the first of 3 calls has waited for 2 h",
    }
    for _ in range(10):  # the server takes a moment to know a new automation
        await document_batch(
            str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
        )
        looked = await watch(project, waiting_hours=0, connection="STORAGE", return_state=True)
        assert looked.name == "Old"
        if {message["subject"] for message in messages} >= set(subjects):
            break
        await asyncio.sleep(1)
    await eventually(lambda: {message["subject"] for message in messages} >= set(subjects))
    for message in messages:
        assert re.match(subjects[message["subject"]], message["body"]), message


@pytest.mark.timeout(300)
async def test_a_block_that_is_not_there_is_told(client: PrefectClient) -> None:
    with pytest.raises(ConfigurationError, match="no block 'slack-webhook/nobody'"):
        await find_block(client, "slack-webhook/nobody")
