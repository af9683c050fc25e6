"""Tokens: fetched when needed, kept, renewed, and never sent where they must not go."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from pydantic import SecretStr

from agent_tasks.client import TOKEN_SCOPE, AsyncAgentsClient
from agent_tasks.errors import (
    AuthenticationError,
    ConfigurationError,
    CredentialError,
    InsecureEndpointError,
    TransportError,
)
from tests.client.conftest import AGENT, Network

REMOTE = "https://contoso.services.ai.azure.com/api/projects/p"
OK = httpx.Response(200, json=AGENT)


class Blocking:
    """Counts its tokens; each lives so many seconds."""

    def __init__(self, lifetime: float = 3600) -> None:
        self.lifetime = lifetime
        self.count = 0

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        assert scopes == (TOKEN_SCOPE,)
        self.count += 1
        time.sleep(0.01)
        return AccessToken(f"token-{self.count}", int(time.time() + self.lifetime))


class Async(Blocking):
    async def get_token(self, *scopes: str, **_: Any) -> AccessToken:  # type: ignore[override]
        await asyncio.sleep(0.01)
        return super().get_token(*scopes)


def tokens(network: Network) -> list[str | None]:
    return [request.headers.get("authorization") for request in network.requests]


@pytest.mark.parametrize("kind", [Blocking, Async])
async def test_token_is_fetched_once_for_all_requests(network: Network, kind: type[Blocking]) -> None:
    network.answers = [OK]
    credential = kind()
    async with network.client(credential, endpoint=REMOTE) as client:
        if network.blocking and kind is Async:
            with pytest.raises(ConfigurationError, match="AsyncAgentsClient takes either"):
                await client.agents.get("asst_1")
            return
        await asyncio.gather(*(client.agents.get("asst_1") for _ in range(10)))
    assert credential.count == 1
    assert tokens(network) == ["Bearer token-1"] * 10


async def test_token_is_renewed_five_minutes_before_it_expires(network: Network) -> None:
    network.answers = [OK]
    credential = Blocking(lifetime=299)
    client = network.client(credential, endpoint=REMOTE)
    await client.agents.get("asst_1")
    credential.lifetime = 400
    await client.agents.get("asst_1")
    await client.agents.get("asst_1")
    assert tokens(network) == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]


async def test_refused_token_is_renewed_once(network: Network) -> None:
    network.answers = [httpx.Response(401), OK]
    await network.client(Blocking(), endpoint=REMOTE).agents.create(model="m")
    assert tokens(network) == ["Bearer token-1", "Bearer token-2"]


async def test_token_refused_twice_is_an_error(network: Network) -> None:
    network.answers = [httpx.Response(401, json={"error": {"code": "PermissionDenied", "message": "no"}})]
    with pytest.raises(AuthenticationError, match="PermissionDenied"):
        await network.client(Blocking(), endpoint=REMOTE).agents.get("asst_1")
    assert len(network.requests) == 2


async def test_static_token_is_sent_and_not_renewed(network: Network) -> None:
    network.answers = [httpx.Response(401)]
    with pytest.raises(AuthenticationError):
        await network.client(SecretStr("s3cret"), endpoint=REMOTE).agents.get("asst_1")
    assert tokens(network) == ["Bearer s3cret"]


async def test_nothing_is_sent_without_a_credential(network: Network) -> None:
    network.answers = [OK]
    await network.client(None).agents.get("asst_1")
    assert tokens(network) == [None]


async def test_nobody_signed_in_is_said_plainly(network: Network) -> None:
    class Nobody:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            raise ClientAuthenticationError("Please run 'az login'.")

    with pytest.raises(CredentialError, match="az login") as caught:
        await network.client(Nobody(), endpoint=REMOTE).agents.get("asst_1")
    assert not caught.value.retryable
    assert network.requests == []


async def test_identity_service_out_of_reach_is_tried_again(network: Network) -> None:
    class Flaky(Blocking):
        def get_token(self, *scopes: str, **_: Any) -> AccessToken:
            token = super().get_token(*scopes)
            if self.count == 1:
                raise ServiceRequestError("no route")
            return token

    network.answers = [OK]
    await network.client(Flaky(), endpoint=REMOTE).agents.create(model="m")
    assert len(network.requests) == 1

    class Down:
        def get_token(self, *_: str, **__: Any) -> AccessToken:
            raise ServiceRequestError("no route")

    with pytest.raises(TransportError, match="Down could not fetch a token") as caught:
        await network.client(Down(), endpoint=REMOTE).agents.create(model="m")
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize(
    "endpoint", ["http://contoso.example/api/projects/p", "http://10.0.0.1:8080/api/projects/p"]
)
@pytest.mark.parametrize("credential", [Blocking(), SecretStr("s3cret")])
def test_token_over_plain_http_to_another_machine_is_refused(endpoint: str, credential: Any) -> None:
    with pytest.raises(InsecureEndpointError, match="plain http"):
        AsyncAgentsClient(endpoint, credential)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.8.9.1"])
async def test_token_over_plain_http_to_this_machine_is_allowed(network: Network, host: str) -> None:
    network.answers = [OK]
    await network.client(SecretStr("t"), endpoint=f"http://{host}:9/api/projects/p").agents.get("asst_1")
    assert tokens(network) == ["Bearer t"]


@pytest.mark.parametrize("endpoint", [REMOTE, "http://localhost.example.com/api/projects/p"])
def test_no_credential_for_another_machine_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="credential is needed"):
        AsyncAgentsClient(endpoint, None)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "contoso",
        "contoso.services.ai.azure.com/api/projects/p",
        "ftp://contoso.example/api/projects/p",
        "https://contoso.services.ai.azure.com",
        "https:///api/projects/p",
        "https://user:password@contoso.example/api/projects/p",
        "https://contoso.example/api/projects/p?api-version=v1",
        "https://contoso.example:port/api/projects/p",
        "westus.api.azureml.ms;1234;group;project",
    ],
)
def test_endpoint_that_is_no_project_is_refused_with_its_name(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="PROJECT_ENDPOINT") as caught:
        AsyncAgentsClient(endpoint, SecretStr("t"))
    assert caught.value.setting == "PROJECT_ENDPOINT"
    assert "services.ai.azure.com" in str(caught.value)


def test_credential_of_another_kind_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match="SecretStr") as caught:
        AsyncAgentsClient(REMOTE, "s3cret")  # type: ignore[arg-type]
    assert "s3cret" not in str(caught.value)


async def test_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = AsyncAgentsClient("http://127.0.0.1:1/api/projects/p", None)
    http = client._transport._connections._make()
    assert http._transport_for_url(httpx.URL("http://127.0.0.1:1/x")) is http._transport
    assert http._transport_for_url(httpx.URL("http://other.example/x")) is not http._transport
    await http.aclose()
    await client.aclose()
