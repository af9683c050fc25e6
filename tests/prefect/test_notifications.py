"""People are told of runs, by a block of theirs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from prefect import flow
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import PrefectClient, get_client
from prefect.states import Completed

from agent_tasks.batch.outcome_rules import NOT_ALL_DONE
from agent_tasks.errors import ConfigurationError
from agent_tasks.prefect.automations import apply_automations, find_block, notify_of_runs
from tests.support.waiting import eventually


@pytest.fixture
async def client(prefect_server: None) -> AsyncIterator[PrefectClient]:
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
async def test_a_block_that_is_not_there_is_told(client: PrefectClient) -> None:
    with pytest.raises(ConfigurationError, match="no block 'slack-webhook/nobody'"):
        await find_block(client, "slack-webhook/nobody")
