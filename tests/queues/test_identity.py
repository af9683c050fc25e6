"""Identity-based connections over TLS: the real ManagedIdentityCredential, Azurite's OAuth mode.

The managed identity endpoint is a stand-in on loopback that hands out unsigned-for-anybody tokens: Azurite
checks their issuer, audience and times, not their signature.
"""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import certifi
import jwt
import pytest

from agent_tasks.errors import (
    ConfigurationError,
    CredentialError,
    QueuePermissionError,
    StorageUnreachableError,
)
from agent_tasks.local.azurite import Azurite, StorageAddresses, TlsPair
from agent_tasks.local.functions_host import AppFolder, FunctionsHost
from agent_tasks.queues import AnswerReader, ClaimCheck, Storage, StorageConnection, send_call
from agents_emulator.tls import local_certificate
from tests.support.azurite import STATE_DIR

APP = """
import json
import azure.functions as func
app = func.FunctionApp()

@app.queue_trigger(arg_name="message", queue_name="tls-input", connection="STORAGE")
@app.queue_output(arg_name="$return", queue_name="tls-output", connection="STORAGE")
def answer(message: func.QueueMessage) -> str:
    call = message.get_json()
    return json.dumps({"Value": f"Hello, {call['name']}.", "CorrelationId": call["CorrelationId"]})
"""


@dataclass
class FakeIdentityEndpoint:
    """A stand-in for the endpoint that a Function App gets its tokens from (App Service, 2019-08-01)."""

    audience: str = "https://storage.azure.com"
    secret: str = field(default_factory=lambda: uuid.uuid4().hex)
    asked: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                if self.headers.get("X-IDENTITY-HEADER") != endpoint.secret:
                    status, answer = 400, {"statusCode": "400", "message": "The header is wrong."}
                else:
                    status, answer = 200, endpoint.token()
                endpoint.asked.append(query)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self) -> dict[str, str]:
        """A new token, as the endpoint hands it out."""
        now = int(time.time())
        claims = {
            "iss": f"https://sts.windows.net/{uuid.uuid4()}/",
            "aud": self.audience,
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + 3600,
        }
        return {
            "access_token": jwt.encode(claims, "not a secret, and long enough for HS256", algorithm="HS256"),
            "expires_on": str(now + 3600),
            "resource": "https://storage.azure.com",
            "token_type": "Bearer",
        }


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageAddresses]:
    """An Azurite of its own, over https; its certificate is trusted by the environment."""
    files = local_certificate(tmp_path_factory.mktemp("tls"), "localhost")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            patch.setenv(name, str(files.certificate))
        with Azurite(state_dir=STATE_DIR, tls=TlsPair(files.certificate, files.key)) as storage:
            yield storage


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeIdentityEndpoint]:
    endpoint = FakeIdentityEndpoint()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{endpoint.server.server_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", endpoint.secret)
    yield endpoint
    endpoint.server.shutdown()


def settings(storage: StorageAddresses) -> dict[str, str]:
    assert storage.queue.startswith("https://")
    return {
        "STORAGE__queueServiceUri": storage.queue,
        "STORAGE__blobServiceUri": storage.blob,
        "STORAGE__credential": "managedidentity",
        "STORAGE__clientId": "11111111-2222-3333-4444-555555555555",
    }


async def test_queues_and_blobs_by_a_managed_identity(
    storage: StorageAddresses, endpoint: FakeIdentityEndpoint, queue_prefix: str
) -> None:
    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        queue = opened.queue(queue_prefix)
        await queue.create()
        await queue.put("x")
        [message] = await queue.receive()
        assert await queue.delete(message)
        claims = ClaimCheck(opened, queue_prefix)
        assert await claims.load(await claims.store("text")) == "text"
    assert {query["resource"] for query in endpoint.asked} == {"https://storage.azure.com"}
    assert {query["client_id"] for query in endpoint.asked} == {settings(storage)["STORAGE__clientId"]}


async def test_a_call_goes_round_with_identities_on_both_sides(
    storage: StorageAddresses, endpoint: FakeIdentityEndpoint, tmp_path: Path
) -> None:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text('{"extensions": {"queues": {"maxPollingInterval": "00:00:01"}}}')
    app = AppFolder.read(tmp_path)
    async with (
        FunctionsHost(app, {**os.environ, **settings(storage)}),
        Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened,
    ):
        reader = AnswerReader(opened.queue("tls-output"), parked=opened.queue("tls-output-parked"))
        async with reader.expect("c1") as expected:
            await send_call(opened.queue("tls-input"), {"name": "world"}, "c1", within=20)
            assert await expected.answer(within=30) == "Hello, world."
        await reader.close()


async def test_token_for_something_else_is_refused(
    storage: StorageAddresses, endpoint: FakeIdentityEndpoint, queue_prefix: str
) -> None:
    endpoint.audience = "https://vault.azure.net"
    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        with pytest.raises(QueuePermissionError):
            await opened.queue(queue_prefix).create()


async def test_endpoint_that_gives_no_token_is_a_credential_error(
    storage: StorageAddresses,
    endpoint: FakeIdentityEndpoint,
    queue_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        with pytest.raises(CredentialError, match="Nobody is signed in"):
            await opened.queue(queue_prefix).create()


async def test_certificate_that_is_not_trusted_is_refused(
    storage: StorageAddresses, endpoint: FakeIdentityEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        with pytest.raises(StorageUnreachableError, match=r"certificate|SSL"):
            await opened.queue("anything").create()


async def test_certificates_are_read_once_and_not_for_every_request(
    storage: StorageAddresses,
    endpoint: FakeIdentityEndpoint,
    queue_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = 0
    original = ssl.create_default_context

    def counting(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        nonlocal made
        made += 1
        return original(*args, **kwargs)

    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        queue = opened.queue(queue_prefix)
        await queue.create()
        monkeypatch.setattr(ssl, "create_default_context", counting)
        for _ in range(5):
            await queue.put("x")
        assert made == 0
        await opened.close()
        await _depths(opened, queue_prefix, 3)
        assert made == 1


async def _depths(opened: Storage, name: str, times: int) -> None:
    for _ in range(times):
        assert await opened.queue(name).depth() == 5


async def test_a_missing_file_of_certificates_is_named(
    storage: StorageAddresses, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
    async with Storage(StorageConnection.from_settings("STORAGE", settings(storage))) as opened:
        with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
            opened.queue("anything")
