"""OpenAPI tools: arguments that lead elsewhere, documents that explode, and secrets for other hosts."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from agents_emulator.tools.base import ToolError, ToolSetupError
from agents_emulator.tools.openapi import MAX_PARTS, OpenApi
from agents_emulator.tools.queue_accounts import AccountUnusableError, QueueAccounts
from agents_emulator.tools.settings import StorageAccount, ToolSettings, ToolSettingsError, load_tool_settings
from tests.emulator.tools.conftest import write_yaml

attack = pytest.mark.attack
SERVER = "https://api.example"
SECRET = {"hosts": ["api.example", "*.below.example", "one.example:8443", "127.0.0.1"], "value": "s-1"}
SETTINGS = {
    "connections": {"c": {**SECRET, "header": "x-api-key"}, "q": {**SECRET, "query": "key"}},
    "managed_identity": {"https://vault.azure.net": SECRET},
}


def tool(
    path: str = "/items/{id}",
    parameters: list[Any] | None = None,
    *,
    server: str = SERVER,
    auth: dict[str, Any] | None = None,
    **document: Any,
) -> OpenApi:
    if parameters is None:
        parameters = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
    spec = {
        "servers": [{"url": server}],
        "paths": {path: {"get": {"operationId": "get", "parameters": parameters}}},
        **document,
    }
    definition = {"type": "openapi", "openapi": {"name": "t", "spec": spec, "auth": auth}}
    services: Any = SimpleNamespace(settings=ToolSettings.model_validate(SETTINGS))
    made = OpenApi(definition, {}, services)
    asyncio.run(made.prepare([]))
    return made


def sent(made: OpenApi, arguments: dict[str, Any]) -> httpx.Request:
    """The request that a call would send."""
    request = made._request(made._operations["t_get"], arguments)
    return httpx.Client().build_request(**made._with_credentials(request))


@attack
@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("..", b"/items/%2E%2E/x"),
        (".", b"/items/%2E/x"),
        ("../admin", b"/items/..%2Fadmin/x"),
        ("%2e%2e", b"/items/%252e%252e/x"),
        ("..%2fadmin", b"/items/..%252fadmin/x"),
        ("..\\admin", b"/items/..%5Cadmin/x"),
        ("a?admin=1", b"/items/a%3Fadmin%3D1/x"),
        ("a#b", b"/items/a%23b/x"),
        ("{id}", b"/items/%7Bid%7D/x"),
        ("a\r\nhost: evil", b"/items/a%0D%0Ahost%3A%20evil/x"),
        ("//evil.example", b"/items/%2F%2Fevil.example/x"),
        ("@evil.example", b"/items/%40evil.example/x"),
    ],
)
def test_a_path_argument_leads_elsewhere(value: str, path: bytes) -> None:
    request = sent(tool("/items/{id}/x"), {"id": value})
    assert request.url.raw_path == path
    assert request.url.host == "api.example"


@attack
def test_two_arguments_make_two_dots() -> None:
    parameters = [{"name": name, "in": "path", "required": True} for name in ("a", "b")]
    request = sent(tool("/items/{a}{b}/x", parameters), {"a": ".", "b": "."})
    assert request.url.raw_path == b"/items/%2E%2E/x"


@attack
@pytest.mark.parametrize("value", ["1&admin=1", "1#x", "1\r\nx: y", "ä&b=c", "1;admin=1"])
def test_a_query_argument_adds_another(value: str) -> None:
    request = sent(tool("/items", [{"name": "q", "in": "query"}]), {"q": value})
    assert list(request.url.params.multi_items()) == [("q", value)]


@attack
@pytest.mark.parametrize("value", ["a\r\nx-admin: 1", "a\nx: y", "a\x00b", "a\x0bb"])
def test_a_header_argument_adds_another(value: str) -> None:
    request = sent(tool("/items", [{"name": "x-note", "in": "header"}]), {"x-note": value})
    assert not any(character in request.headers["x-note"] for character in "\r\n\x00\x0b")
    assert "x-admin" not in request.headers


@attack
@pytest.mark.parametrize(
    "name", ["Host", "authorization", "Content-Length", "Transfer-Encoding", "Cookie", "connection"]
)
def test_a_header_argument_steers_the_request(name: str) -> None:
    auth = {"type": "connection", "security_scheme": {"connection_id": "c"}}
    request = sent(tool("/items", [{"name": name, "in": "header"}], auth=auth), {name: "evil.example"})
    assert "evil.example" not in request.headers.values()


@attack
@pytest.mark.parametrize(
    "server",
    [
        "https://evil.example",
        "https://api.example.evil.example",
        "https://api.example@evil.example",
        "https://evil.example/?https://api.example",
        "https://evil.example#api.example",
        "https://xapi.example",
        "https://below.example",
        "https://one.example",
        "https://one.example:443",
        "http://api.example",
        "http://10.0.0.1",
    ],
)
@pytest.mark.parametrize(
    "auth",
    [
        {"type": "connection", "security_scheme": {"connection_id": "c"}},
        {"type": "connection", "security_scheme": {"connection_id": "q"}},
        {"type": "managed_identity", "security_scheme": {"audience": "https://vault.azure.net"}},
    ],
    ids=["header", "query", "identity"],
)
def test_a_definition_sends_a_secret_to_another_host(server: str, auth: dict[str, Any]) -> None:
    with pytest.raises(ToolError, match=r"the secret (is not for|would travel)") as refusal:
        sent(tool(server=server, auth=auth), {"id": "1"})
    assert "s-1" not in str(refusal.value)


@pytest.mark.parametrize(
    "server",
    [
        SERVER,
        "https://API.example:8443",
        "https://a.below.example",
        "https://one.example:8443",
        "http://127.0.0.1:1",
    ],
)
def test_a_secret_goes_to_the_hosts_that_it_is_for(server: str) -> None:
    auth = {"type": "connection", "security_scheme": {"connection_id": "c"}}
    assert sent(tool(server=server, auth=auth), {"id": "1"}).headers["x-api-key"] == "s-1"


@attack
@pytest.mark.parametrize("kind", ["connections", "managed_identity"])
def test_a_secret_for_whatever_host(kind: str, tmp_path: Any) -> None:
    secret = {"value": "s-1", **({"header": "h"} if kind == "connections" else {})}
    for hosts in ({}, {"hosts": []}, {"hosts": ["*"]}, {"hosts": ["https://a.example"]}):
        path = write_yaml(tmp_path / "tools.yaml", {kind: {"c": {**secret, **hosts}}})
        with pytest.raises(ToolSettingsError, match="hosts") as refusal:
            load_tool_settings(path)
        assert "s-1" not in str(refusal.value)


def exploding(breadth: int) -> dict[str, Any]:
    """Schemas each of which refers to the next one many times."""
    schemas: dict[str, Any] = {"s19": {"type": "string"}}
    for level in range(19):
        reference = {"$ref": f"#/components/schemas/s{level + 1}"}
        schemas[f"s{level}"] = {"properties": {f"p{number}": reference for number in range(breadth)}}
    return {"components": {"schemas": schemas}}


@attack
@pytest.mark.parametrize("breadth", [2, 10, 1000])
@pytest.mark.parametrize("place", ["parameter", "body"])
def test_references_that_multiply(breadth: int, place: str) -> None:
    reference = {"$ref": "#/components/schemas/s0"}
    document = exploding(breadth)
    parameters: list[Any] = []
    if place == "parameter":
        parameters = [{"name": "q", "in": "query", "schema": reference}]
    else:
        body = {"content": {"application/json": {"schema": reference}}}
        document["paths"] = {"/items": {"post": {"operationId": "get", "requestBody": body}}}
    began = time.process_time()
    if breadth == 2:
        tool("/items", parameters, **document)  # cut at the depth that is followed
    else:
        with pytest.raises(ToolSetupError, match=f"more than {MAX_PARTS} parts"):
            tool("/items", parameters, **document)
    assert time.process_time() - began < 5


@attack
def test_many_operations_with_one_large_schema() -> None:
    reference = {"$ref": "#/components/schemas/s10"}
    parameters = [{"name": "q", "in": "query", "schema": reference}]
    paths = {f"/{n}": {"get": {"operationId": f"o{n}", "parameters": parameters}} for n in range(2000)}
    began = time.process_time()
    with pytest.raises(ToolSetupError, match="parts"):
        tool(**{**exploding(4), "paths": paths})
    assert time.process_time() - began < 5


@attack
def test_the_loop_goes_on_while_a_document_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made, reading, may_end, seen = tool("/items", []), threading.Event(), threading.Event(), []

    def read() -> None:
        reading.set()
        seen.append(may_end.wait(10))  # for the loop, which could not set it if it stood

    async def prepare() -> None:
        work = asyncio.create_task(made.prepare([]))
        while not reading.is_set():
            await asyncio.sleep(0.001)
        may_end.set()
        await work

    monkeypatch.setattr(made, "_read", read)
    asyncio.run(prepare())
    assert seen == [True]


@attack
@pytest.mark.parametrize("identity", ["default", "managedidentity"])
def test_an_agent_chooses_where_the_identity_signs_in(identity: str, tmp_path: Any) -> None:
    path = write_yaml(tmp_path / "tools.yaml", {"storage": {"default": {"identity": identity}}})
    with pytest.raises(ToolSettingsError, match="would sign in with an identity"):
        load_tool_settings(path)


@attack
@pytest.mark.parametrize(
    "address",
    [
        "https://evil.queue.core.windows.net",
        "https://mine.queue.core.windows.net.evil.example",
        "https://mine.queue.core.windows.net@evil.example",
        "https://mine.queue.core.windows.net:444",
        "http://mine.queue.core.windows.net",
    ],
)
def test_an_identity_signs_in_to_its_own_account_alone(address: str) -> None:
    own = "https://mine.queue.core.windows.net"
    accounts = QueueAccounts(ToolSettings(storage={own: StorageAccount(identity="managedidentity")}))
    with pytest.raises(AccountUnusableError, match="has no access"):
        accounts.storage(address)
