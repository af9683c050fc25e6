"""`image_url` with addresses that lead inward, in the forms in which a private address can be written."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from agents_emulator.addresses import is_public
from agents_emulator.engine.images import ImageError, Images
from agents_emulator.tools.settings import ToolSettings

attack = pytest.mark.attack
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20


@attack
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("64:ff9b::7f00:1", id="NAT64 of 127.0.0.1"),
        pytest.param("64:ff9b::a9fe:a9fe", id="NAT64 of the metadata service"),
        pytest.param("64:ff9b:1::a00:1", id="NAT64 of the network's own prefix"),
        pytest.param("2002:7f00:1::1", id="6to4 of 127.0.0.1"),
        pytest.param("2002:a00:1::1", id="6to4 of 10.0.0.1"),
        pytest.param("192.88.99.1", id="relay of 6to4"),
        pytest.param("2001:0:7f00:1::f5ff:fffe", id="Teredo"),
        pytest.param("::ffff:127.0.0.1", id="IPv4-mapped loopback"),
        pytest.param("::ffff:a9fe:a9fe", id="IPv4-mapped metadata service"),
        pytest.param("::ffff:0:127.0.0.1", id="IPv4-translated loopback"),
        pytest.param("::127.0.0.1", id="IPv4-compatible loopback"),
        pytest.param("2606:4700::5efe:10.0.0.1", id="ISATAP of 10.0.0.1"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("fe80::1%lo", id="link-local with a scope"),
        pytest.param("fd00:ec2::254", id="unique local metadata service"),
        pytest.param("100.64.0.1", id="shared by a provider"),
        pytest.param("168.63.129.16", id="platform of Azure"),
        pytest.param("192.0.0.8", id="dummy address"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("ff0e::1", id="global multicast"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("0.0.0.0", id="unspecified"),  # noqa: S104
        pytest.param("::", id="unspecified IPv6"),
    ],
)
def test_a_private_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_public(address)
    with pytest.raises(ImageError, match="is not public"):
        fetch("http://pictures.example/a.png", {"pictures.example": [address]}, monkeypatch)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_a_public_address(address: str) -> None:
    assert is_public(address)


@attack
@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "0",
        "[::1]",
        "[::ffff:7f00:1]",
        "localhost",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_this_machine_in_another_spelling(host: str) -> None:
    with pytest.raises(ImageError, match=r"is not public|cannot be fetched"):
        load(f"http://{host}:9/a.png", httpx.MockTransport(lambda request: pytest.fail("it was asked")))


@attack
def test_one_of_several_addresses_is_private(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="is not public"):
        fetch("http://a.example/a.png", {"a.example": ["8.8.8.8", "10.0.0.1"]}, monkeypatch)


@attack
def test_a_name_that_leads_elsewhere_at_the_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is connected to is the address that was checked, whatever the name says a moment later."""
    asked = fetch("http://a.example/a.png", {"a.example": ["8.8.8.8"]}, monkeypatch, then=["127.0.0.1"])
    assert [(request.url.host, request.headers["host"]) for request in asked] == [("8.8.8.8", "a.example")]


@attack
@pytest.mark.parametrize(
    "location",
    [
        "http://10.0.0.1/",
        "//10.0.0.1/",
        "http://[64:ff9b::a00:1]/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
    ],
)
def test_a_public_address_leads_inward(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"location": location})

    with pytest.raises(ImageError, match=r"is not public|neither http nor https"):
        fetch("http://a.example/", {"a.example": ["8.8.8.8"]}, monkeypatch, answer=answer)


@attack
@pytest.mark.parametrize(
    "url",
    [
        "http://no-such-host.invalid/a.png",
        "http://" + "a" * 70 + ".example/",
        "http://a..example/",
        "http://[::1",
        "http://a.example:99999/",
        "http:///a.png",
        "data:image/png;base64,ä",
        "data:image/png;base64,!!!",
    ],
    ids=[
        "does not resolve",
        "long label",
        "empty label",
        "half an address",
        "port",
        "no host",
        "umlaut",
        "marks",
    ],
)
def test_an_image_that_cannot_be_had_is_no_failure_of_the_service(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything but `ImageError` would be a `server_error`, which clients pay for again."""

    async def unknown(*args: object, **named: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", unknown)
    with pytest.raises(ImageError):
        load(url, httpx.MockTransport(lambda request: pytest.fail("it was asked")))


def test_an_image_is_still_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fetch("https://a.example/a.png", {"a.example": ["8.8.8.8"]}, monkeypatch)
    data = base64.b64encode(PNG).decode()
    assert load(f"data:image/png;base64,{data}", httpx.MockTransport(lambda _: httpx.Response(500)))


def fetch(
    url: str,
    names: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: Callable[[httpx.Request], httpx.Response] = lambda request: httpx.Response(200, content=PNG),
    then: list[str] | None = None,
) -> list[httpx.Request]:
    """Load an image with these answers of the name service; returns the requests that were sent."""
    asked: list[httpx.Request] = []
    known = dict(names)

    async def look_up(loop: Any, host: str, port: int, **options: Any) -> list[Any]:
        found = known.get(host, [host])
        if then is not None:
            known[host] = then
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", look_up)
    load(url, httpx.MockTransport(serve))
    return asked


def load(url: str, transport: httpx.MockTransport) -> Any:
    images = Images(None, None, ToolSettings(), transport)  # type: ignore[arg-type]
    return asyncio.run(images.load([{"type": "image_url", "image_url": {"url": url}}]))
