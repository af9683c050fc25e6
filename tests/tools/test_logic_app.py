"""A Logic App as a function: its secret address, its calls and its failures."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from pydantic import BaseModel, SecretStr

from agent_tasks.errors import (
    AgentTasksError,
    ConfigurationError,
    CredentialError,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    ToolArgumentsError,
    ToolOutputError,
    ToolTimeoutError,
    TransportError,
)
from agent_tasks.tools import LogicAppTool, ToolContext, ToolSet

SIGNATURE = "s1gnature-of-the-workflow"
CALLBACK = f"https://prod-1.logic.azure.com:443/workflows/w/triggers/t/paths/invoke?sp=run&sig={SIGNATURE}"
CONTEXT = ToolContext("call_1", "run_1", "key-1")


class Mail(BaseModel):
    to: str
    on: date
    urgent: bool = False


class Azure:
    """The management API and the workflow; keeps what was asked."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.signatures = [SIGNATURE]
        self.listing: httpx.Response | None = None
        self.answer: httpx.Response | Exception = httpx.Response(200, json={"sent": True})

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        target = request.extensions["target"].decode()
        self.requests.append((request.url.host, target, dict(request.headers), await request.aread()))
        if request.url.host == "management.azure.com":
            good = CALLBACK.replace(SIGNATURE, self.signatures[-1])
            return self.listing or httpx.Response(200, json={"value": good})
        if self.signatures[-1] not in target:
            return httpx.Response(401, json={"error": {"code": "DirectApiAuthorizationRequired"}})
        if isinstance(self.answer, Exception):
            raise self.answer
        return httpx.Response(self.answer.status_code, content=self.answer.content)


class Signed:
    """A blocking credential of azure-identity."""

    scopes: tuple[str, ...] = ()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes = scopes
        return AccessToken("m4nagement-token", 4_000_000_000)


def tool(azure: Azure, **changes: Any) -> LogicAppTool:
    settings: dict[str, Any] = {
        "name": "send_mail",
        "description": "Sends a mail.",
        "arguments": Mail,
        "subscription_id": "sub",
        "resource_group": "group",
        "workflow": "mail flow",
        "trigger": "manual",
        "credential": Signed(),
        "transport": httpx.MockTransport(azure),
    }
    return LogicAppTool(**{**settings, **changes})


ARGUMENTS = json.dumps({"to": "a@b.example", "on": "2026-11-23"})


async def test_address_is_asked_for_once_and_arguments_are_posted() -> None:
    azure = Azure()
    credential = Signed()
    mailer = tool(azure, credential=credential)
    assert json.loads(await mailer.call(ARGUMENTS, CONTEXT)) == {"sent": True}
    await mailer.call(ARGUMENTS, CONTEXT)
    assert credential.scopes == ("https://management.azure.com/.default",)
    asked, first, second = azure.requests
    assert asked[:2] == (
        "management.azure.com",
        "/subscriptions/sub/resourceGroups/group/providers/Microsoft.Logic/workflows/mail%20flow/triggers/manual"
        "/listCallbackUrl?api-version=2019-05-01",
    )
    assert asked[2]["authorization"] == "Bearer m4nagement-token"
    assert first[:2] == ("prod-1.logic.azure.com", CALLBACK.split(":443")[1])
    assert json.loads(first[3]) == {"to": "a@b.example", "on": "2026-11-23"}
    assert first[2]["x-ms-client-tracking-id"] == "key-1"
    assert "authorization" not in first[2], "the token is for the management API alone"
    assert second[:2] == first[:2]


async def test_it_is_a_function_like_any_other() -> None:
    azure = Azure()
    tools = ToolSet([tool(azure)])
    assert tools.definitions[0]["function"]["name"] == "send_mail"
    assert tools.definitions[0]["function"]["parameters"]["required"] == ["to", "on"]
    assert tools.resources == {}
    assert await tools.call("send_mail", ARGUMENTS, call_id="call_1") == '{"sent":true}'
    told = json.loads(await tools.call("send_mail", "{}", call_id="call_2"))
    assert told["error"]["type"] == "ToolArgumentsError"


async def test_new_keys_of_the_workflow_are_met_by_asking_again() -> None:
    azure = Azure()
    mailer = tool(azure)
    await mailer.call(ARGUMENTS, CONTEXT)
    azure.signatures.append("n3w")
    assert await mailer.call(ARGUMENTS, CONTEXT) == '{"sent":true}'
    assert [host for host, *_ in azure.requests].count("management.azure.com") == 2


async def test_empty_answer_says_that_the_work_was_taken() -> None:
    azure = Azure()
    azure.answer = httpx.Response(202)
    assert await tool(azure).call(ARGUMENTS, CONTEXT) == '{"status": "accepted"}'


def leaky(status: int) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": "Failed", "message": f"POST {CALLBACK} failed"}})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (leaky(404), NotFoundError),
        (leaky(403), PermissionDeniedError),
        (leaky(502), ServerError),
        (httpx.Response(200, text="x" * 200), ToolOutputError),
        (httpx.ConnectError(f"no route to {CALLBACK}"), TransportError),
        (httpx.ReadTimeout(f"{CALLBACK} is silent"), TransportError),
    ],
)
async def test_failures_are_typed_and_tell_no_secret(
    answer: httpx.Response | Exception,
    error: type[AgentTasksError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    azure = Azure()
    azure.answer = answer
    mailer = tool(azure, max_output_chars=100)
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as raised:
        await mailer.call(ARGUMENTS, CONTEXT)
    seen = f"{raised.value} {raised.value!r} {vars(raised.value)} {mailer!r} {caplog.text}"
    assert "mail flow" in str(raised.value) or "send_mail" in str(raised.value)
    for secret in (SIGNATURE, "m4nagement-token"):
        assert secret not in seen


async def test_refusals_of_the_management_api() -> None:
    azure = Azure()
    azure.listing = httpx.Response(403, json={"error": {"code": "AuthorizationFailed", "message": "no"}})
    with pytest.raises(PermissionDeniedError, match="AuthorizationFailed") as refused:
        await tool(azure).call(ARGUMENTS, CONTEXT)
    assert "callback address of Logic App mail flow" in str(refused.value)
    azure.listing = httpx.Response(200, json={})
    with pytest.raises(ConfigurationError, match="HTTP trigger"):
        await tool(azure).call(ARGUMENTS, CONTEXT)
    azure.listing = httpx.Response(200, json={"value": "http://elsewhere.example/x?sig=1"})
    with pytest.raises(ConfigurationError, match="https"):
        await tool(azure).call(ARGUMENTS, CONTEXT)
    assert len(azure.requests) == 3, "the workflow was never called"


async def test_bad_arguments_send_nothing() -> None:
    azure = Azure()
    with pytest.raises(ToolArgumentsError, match="on"):
        await tool(azure).call('{"to": "a", "on": "tomorrow"}', CONTEXT)
    assert azure.requests == []


async def test_slow_workflow_is_not_waited_for() -> None:
    async def silent(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        raise AssertionError("not reached")

    with pytest.raises(ToolTimeoutError, match="may have run"):
        await tool(Azure(), timeout=0.05, transport=httpx.MockTransport(silent)).call(ARGUMENTS, CONTEXT)


async def test_credentials_of_all_kinds() -> None:
    class Refused:
        async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            raise ClientAuthenticationError("not signed in")

    with pytest.raises(CredentialError, match="az login"):
        await tool(Azure(), credential=Refused()).call(ARGUMENTS, CONTEXT)
    azure = Azure()
    await tool(azure, credential=SecretStr("given")).call(ARGUMENTS, CONTEXT)
    assert azure.requests[0][2]["authorization"] == "Bearer given"


async def test_a_failed_call_of_an_idempotent_workflow_is_tried_again() -> None:
    azure = Azure()
    azure.answer = httpx.Response(503)
    mailer = tool(azure, idempotent=True, retries=2)
    with pytest.raises(ServerError):
        await mailer.call(ARGUMENTS, CONTEXT)
    posts = [row for row in azure.requests if row[0] != "management.azure.com"]
    assert len(posts) == 3
    assert {row[2]["x-ms-client-tracking-id"] for row in posts} == {"key-1"}


def test_impossible_settings_are_refused() -> None:
    for changes in (
        {"name": "two words"},
        {"workflow": ""},
        {"timeout": 0},
        {"retries": 1},
        {"when_unknown": "shrug"},
        {"management_endpoint": "http://management.example"},
    ):
        with pytest.raises(ConfigurationError):
            tool(Azure(), **changes)


async def test_over_a_real_connection_the_address_stays_out_of_every_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            host = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
            asked = "listCallbackUrl" in self.path
            body = json.dumps({"value": f"{host}/run?sig={SIGNATURE}"} if asked else {"sent": True}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Stay quiet: this is the other side."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mailer = tool(
            Azure(), transport=None, management_endpoint=f"http://127.0.0.1:{server.server_address[1]}"
        )
        with caplog.at_level(logging.DEBUG):
            assert json.loads(await mailer.call(ARGUMENTS, CONTEXT)) == {"sent": True}
        server.shutdown()
    assert paths[1] == f"/run?sig={SIGNATURE}"
    assert "HTTP Request: POST" in caplog.text, "httpx names requests"
    assert SIGNATURE not in caplog.text
