"""Each tool of the app: what it answers to valid and invalid calls."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import respx
from azure.storage.blob.aio import ContainerClient

from tests.functions.cases import CASES, Case

PAPERS = Path(__file__).parents[2] / "examples" / "documents"


@pytest.fixture
def ask(catalog: ModuleType, queue_tool: ModuleType) -> Callable[..., Any]:
    """Call a tool with unchecked arguments; the decoded `Value`."""
    tools = {tool.name: tool for tool in catalog.TOOLS}

    async def value_of(name: str, /, **arguments: Any) -> Any:
        try:
            return json.loads(await tools[name].run(tools[name].validate(arguments)))
        except queue_tool.InvalidArgumentsError as error:
            return {"error": {"type": "invalid_arguments", "message": str(error)}}

    return value_of


@pytest.mark.parametrize("case", [case for case in CASES if case.tool != "read_document"], ids=str)
async def test_answers(ask: Callable[..., Any], case: Case) -> None:
    case.check(await ask(case.tool, **case.arguments))


@pytest.mark.parametrize("case", [case for case in CASES if case.tool == "read_document"], ids=str)
async def test_answers_about_documents(ask: Callable[..., Any], store: ContainerClient, case: Case) -> None:
    case.check(await ask(case.tool, **case.arguments))


def test_every_tool_has_a_valid_and_an_invalid_call(catalog: ModuleType) -> None:
    names = {tool.name for tool in catalog.TOOLS}
    assert {case.tool for case in CASES if case.error is None} == names
    assert {case.tool for case in CASES if case.error == "invalid_arguments"} == names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("invoice-hexley-30077.pdf", "Invoice number: HX-30077"),
        ("contract-pinnacourt-lift.docx", "Pinnacourt"),
        ("invoice-lumbrique-fv-318.html", "FV-318"),
        ("contract-workshop-lease.md", "Marrowgate"),
    ],
)
async def test_documents_of_each_kind_are_read(
    ask: Callable[..., Any], store: ContainerClient, name: str, expected: str
) -> None:
    await store.upload_blob(name, (PAPERS / name).read_bytes())
    value = await ask("read_document", name=name)
    assert expected in value["text"]
    short = await ask("read_document", name=name, max_chars=10)
    assert (len(short["text"]), short["truncated"], short["chars"]) == (10, True, value["chars"])


async def test_documents_that_are_refused(
    ask: Callable[..., Any], store: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    import document_reader  # type: ignore[import-not-found]

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 5_000_000)
    await store.upload_blob("bomb.docx", packed.getvalue())
    await store.upload_blob("scan.pdf", (PAPERS / "scan-0412.pdf").read_bytes())
    await store.upload_blob("large.txt", b"x" * 2_000)
    monkeypatch.setattr(document_reader, "MAX_UNPACKED_BYTES", 1_000_000)
    monkeypatch.setattr(document_reader, "MAX_BYTES", 100_000)

    async def reason(name: str) -> str:
        return str((await ask("read_document", name=name))["error"]["message"])

    assert "too large when it is unpacked" in await reason("bomb.docx")
    assert "damaged" in await reason("scan.pdf")
    assert "not read" in await reason("program.exe")
    monkeypatch.setattr(document_reader, "MAX_BYTES", 1_000)
    assert "more than 1000 bytes" in await reason("large.txt")
    for name in ("/etc/secrets.txt", "a//b.txt", "a/../b.txt", "a\\b.txt", "a\0b.txt"):
        assert await reason(name) == "that is not the name of a document"


@respx.mock
async def test_weather_comes_from_the_service_if_there_is_one(
    ask: Callable[..., Any], queue_tool: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    forecast, geocoding = "https://weather.example.com/v1/forecast", "https://places.example.com/v1/search"
    monkeypatch.setenv("WEATHER_ENDPOINT", forecast.replace("//", "//user:hunter2@"))
    monkeypatch.setenv("GEOCODING_ENDPOINT", geocoding)
    oslo = {"results": [{"name": "Oslo", "latitude": 59.9, "longitude": 10.75}]}
    places = respx.get(geocoding).respond(json=oslo)
    weather = respx.get(forecast).respond(json={"current": {"temperature_2m": -3.5}})
    assert await ask("get_weather", location="Oslo") == {
        "location": "Oslo",
        "temperature_celsius": -3.5,
        "source": forecast,
    }
    assert weather.calls.last.request.url.params["latitude"] == "59.9"
    weather.mock(side_effect=httpx.ConnectError("down"))
    with pytest.raises(queue_tool.TransientError):
        await ask("get_weather", location="Oslo")
    places.respond(json={})
    assert (await ask("get_weather", location="Nowhere"))["error"][
        "message"
    ] == "there is no place of that name"
