"""No secret of a tool or a client reaches a log, a span or the text of an error."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from pydantic import BaseModel, SecretStr, ValidationError

from agent_tasks.client import AgentsClient, AsyncAgentsClient, RetryPolicy
from agent_tasks.errors import AgentTasksError
from agent_tasks.tools import LogicAppTool, McpTool, ToolSet
from tests.telemetry.conftest import Recorded
from tests.tools.test_hosted import TOOLS

ENDPOINT = "http://127.0.0.1:1/api/projects/local"
TOKEN = "t0ken-of-the-client"
HEADER = "h3ader-of-the-server"
SIGNATURE = "s1gnature-of-the-workflow"
MANAGEMENT = "m4nagement-token"
SECRETS = (TOKEN, HEADER, SIGNATURE, MANAGEMENT)
RUN = {
    "id": "run_1",
    "object": "thread.run",
    "thread_id": "thread_1",
    "assistant_id": "asst_1",
    "status": "in_progress",
    "created_at": 1,
}
AGENT = {"id": "asst_1", "object": "assistant", "created_at": 1, "model": "m", "tools": []}


class Mail(BaseModel):
    to: str


async def azure(request: httpx.Request) -> httpx.Response:
    if request.url.host == "management.azure.com":
        return httpx.Response(200, json={"value": f"https://logic.example/x?sig={SIGNATURE}"})
    body = json.loads(await request.aread())
    if body["to"] == "nobody":
        return httpx.Response(400, json={"error": {"code": "Bad", "message": f"sig={SIGNATURE} was fine"}})
    if body["to"] == "lost":
        raise httpx.ReadError(f"https://logic.example/x?sig={SIGNATURE} broke")
    return httpx.Response(200, json={"sent": True})


MCP = McpTool("docs", "https://mcp.example", headers={"Authorization": f"Bearer {HEADER}"})
MAILER = LogicAppTool(
    "mail",
    "Sends.",
    Mail,
    subscription_id="s",
    resource_group="g",
    workflow="w",
    trigger="t",
    credential=SecretStr(MANAGEMENT),
    transport=httpx.MockTransport(azure),
)
OTHERS = [tool for name, (tool, *_) in TOOLS.items() if " " not in name and name != "mcp"]
ALL = ToolSet([*OTHERS, MCP, MAILER])

ANSWERS = {
    "accepted": lambda request: httpx.Response(
        200, json=AGENT if request.url.path.endswith("/assistants") else RUN
    ),
    "refused": lambda request: httpx.Response(
        400, json={"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}
    ),
    "gateway": lambda request: httpx.Response(502, text="bad gateway"),
    "nonsense": lambda request: httpx.Response(200, text="<html>"),
    "wrong model": lambda request: httpx.Response(200, json={"id": 5}),
}


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize("logging_enable", [False, True])
@pytest.mark.parametrize("answer", [*ANSWERS, "unreachable"])
@pytest.mark.usefixtures("with_content")
async def test_no_secret_of_any_tool_is_told(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, answer: str, logging_enable: bool
) -> None:
    transport = httpx.MockTransport(ANSWERS.get(answer, unreachable))
    told: list[str] = [repr(ALL), repr(MCP), str(MCP), repr(MAILER)]
    options: dict[str, Any] = {"retry": RetryPolicy(attempts=1), "logging_enable": logging_enable}
    bodies = {"tools": ALL.definitions, "tool_resources": ALL.resources}
    with caplog.at_level(logging.DEBUG):
        client = AsyncAgentsClient(ENDPOINT, SecretStr(TOKEN), transport=transport, **options)
        calls = [
            client.agents.create(model="m", name="clerk", **bodies),
            client.runs.create("thread_1", assistant_id="asst_1", **bodies),
            client.runs.create_thread_and_run(assistant_id="asst_1", **bodies),
            client.runs.submit_tool_outputs("thread_1", "run_1", tool_approvals=[MCP.approval("call_1")]),
        ]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(result, BaseException):
                told += [str(result), repr(vars(result)), repr(result.__cause__)]
        with AgentsClient(ENDPOINT, SecretStr(TOKEN), transport=transport, **options) as blocking:
            try:
                blocking.runs.create("thread_1", assistant_id="asst_1", **bodies)
            except AgentTasksError as error:
                told.append(str(error))
        told += [repr(client), repr(vars(client))]
        await client.aclose()
    everything = "\n".join([*told, caplog.text, recorded.everything()])
    assert "POST" in caplog.text or answer == "unreachable"
    for secret in SECRETS:
        assert secret not in everything


@pytest.mark.parametrize("to", ["somebody", "nobody", "lost"])
@pytest.mark.usefixtures("with_content")
async def test_no_secret_of_a_called_tool_is_told(
    recorded: Recorded, caplog: pytest.LogCaptureFixture, to: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        output = await ALL.call("mail", json.dumps({"to": to}), call_id="call_1", turn_id="run_1")
    assert ("error" in json.loads(output)) is (to != "somebody")
    for secret in SECRETS:
        assert secret not in "\n".join([output, caplog.text, recorded.everything()])


async def test_a_body_that_does_not_fit_is_refused_without_its_values() -> None:
    client = AsyncAgentsClient(ENDPOINT, SecretStr(TOKEN))
    broken = {"mcp": [{"headers": {"Authorization": HEADER}}]}
    with pytest.raises(ValidationError) as raised:
        await client.runs.create("thread_1", assistant_id="asst_1", tool_resources=broken)
    assert "server_label" in str(raised.value)
    assert HEADER not in str(raised.value)
    await client.aclose()


async def test_bodies_in_the_log_show_that_there_are_headers(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(ANSWERS["accepted"])
    with caplog.at_level(logging.DEBUG):
        async with AsyncAgentsClient(
            ENDPOINT, SecretStr(TOKEN), transport=transport, logging_enable=True
        ) as client:
            await client.runs.create("thread_1", assistant_id="asst_1", tool_resources=MCP.resources)
    assert '"headers": {"Authorization": "REDACTED"}' in caplog.text
