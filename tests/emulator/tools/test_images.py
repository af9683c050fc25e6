"""Images in messages, and screenshots of computer use: what a model that sees is given."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agents_emulator.engine.images import MAX_IMAGE_BYTES, media_type
from agents_emulator.models import ChatRequest, Finished, TextDelta, ToolCall
from agents_emulator.models.openai import OpenAIModel
from tests.emulator.helpers import Json, agent, get, post, upload, wait_run
from tests.emulator.tools.conftest import Turns
from tests.emulator.tools.test_openapi import serve
from tests.support.service import RunningService

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 20
JPEG = b"\xff\xd8\xff\xe0" + b"0" * 20
DATA_URL = "data:image/png;base64," + base64.b64encode(PNG).decode()
RULES = {
    "rules": [
        {"when": {"images": 2, "image_type": "jpeg"}, "reply": {"text": "Two: {{ images | join(', ') }}"}},
        {"when": {"images": True}, "reply": {"text": "One {{ images[0] }}."}},
    ],
    "default": {"reply": {"text": "No image."}},
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    app = Starlette(
        routes=[
            Route("/a.png", lambda request: Response(PNG, media_type="text/plain")),
            Route("/moved", lambda request: RedirectResponse("/a.png")),
            Route("/inward", lambda request: RedirectResponse("http://10.0.0.1/a.png")),
            Route("/loop", lambda request: RedirectResponse("/loop")),
            Route("/gone", lambda request: Response("no", 404)),
            Route("/page", lambda request: Response("<html>")),
            Route("/large", lambda request: Response(PNG + b"0" * MAX_IMAGE_BYTES)),
        ]
    )
    with serve(app) as address:
        yield address


@pytest.fixture(scope="module")
def running(start: Any) -> RunningService:
    started: RunningService = start(RULES, allow_loopback_images=True)
    return started


@pytest.fixture(scope="module")
def careful(start: Any) -> RunningService:
    started: RunningService = start(RULES)
    return started


def by_url(url: str, **details: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **details}}


def ask(client: Any, *blocks: Json) -> tuple[Json, Json]:
    """The run over a message of these blocks, and the newest message."""
    message = {"role": "user", "content": [{"type": "text", "text": "look"}, *blocks]}
    body = {"assistant_id": agent(client), "thread": {"messages": [message]}}
    run = wait_run(client, post(client, "/threads/runs", body))
    return run, get(client, f"/threads/{run['thread_id']}/messages")["data"][0]


def test_a_model_that_sees_gets_files_data_urls_and_addresses(running: RunningService, origin: str) -> None:
    with running.http() as client:
        file_id = upload(client, "x.bin", JPEG)
        block = {"type": "image_file", "image_file": {"file_id": file_id, "detail": "high"}}
        _, answer = ask(client, by_url(DATA_URL), block)
        assert answer["content"][0]["text"]["value"] == "Two: image/png, image/jpeg"
        for path in ("/a.png", "/moved"):
            _, answer = ask(client, by_url(origin + path))
            assert answer["content"][0]["text"]["value"] == "One image/png."
        assert ask(client)[1]["content"][0]["text"]["value"] == "No image."


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/gone", "answered 404"),
        ("/page", "no PNG, JPEG, GIF or WebP"),
        ("/large", "larger than 20 MB"),
        ("/loop", "more than 3 other addresses"),
        ("/inward", "http://10.0.0.1/a.png is not public"),
    ],
)
def test_an_image_that_cannot_be_had_fails_the_run(
    running: RunningService, origin: str, path: str, message: str
) -> None:
    with running.http() as client:
        run, _ = ask(client, by_url(origin + path))
    assert run["last_error"]["code"] == "invalid_image"
    assert message in run["last_error"]["message"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:1/a.png", "is not public"),
        ("http://localhost:1/a.png", "is not public"),
        ("http://[::1]:1/a.png", "is not public"),
        ("http://169.254.169.254/latest/meta-data", "is not public"),
        ("http://192.168.0.1/a.png", "is not public"),
        ("http://2130706433/a.png", "is not public"),
        ("ftp://example.com/a.png", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("data:image/png;base64,###", "not base64"),
        ("data:image/png,abc", "must be 'data:image"),
    ],
)
def test_addresses_within_the_network_are_refused(careful: RunningService, url: str, message: str) -> None:
    with careful.http() as client:
        run, _ = ask(client, by_url(url))
    assert run["last_error"]["code"] == "invalid_image"
    assert message in run["last_error"]["message"]


def test_media_types_go_by_the_first_bytes() -> None:
    webp = b"RIFF\x00\x00\x00\x00WEBPVP8 "
    found = [media_type(content) for content in (PNG, JPEG, b"GIF89a..", webp, b"<svg/>", b"")]
    assert found == ["image/png", "image/jpeg", "image/gif", "image/webp", None, None]


class Seeing:
    """A model that takes a screenshot first and remembers what it was shown."""

    name = "seeing"
    context_tokens = 500
    sees_images = True

    def __init__(self) -> None:
        self.requests: list[ChatRequest] = []

    async def generate(self, request: ChatRequest) -> Any:
        self.requests.append(request)
        if request.tool_results:
            yield TextDelta("Done.")
            yield Finished((), "stop", 1, 1)
        else:
            call = ToolCall(
                "c", "computer_use_preview", '{"type": "click", "x": 1, "y": 2, "button": "left"}'
            )
            yield Finished((call,), "tool_calls", 1, 1)

    async def aclose(self) -> None:
        return


def test_a_computer_action_waits_for_the_clients_screenshot(service: Any) -> None:
    model = Seeing()
    display = {"display_width": 800, "display_height": 600, "environment": "browser"}
    tool = {"type": "computer_use_preview", "computer_use_preview": display}
    with service(model=model).http() as client:
        turns = Turns(client, agent(client, tools=[tool]))
        turns.call("computer_use_preview", {})
        waiting = turns.run["required_action"]
        assert waiting["type"] == "submit_tool_outputs"
        call = waiting["submit_tool_outputs"]["tool_calls"][0]
        assert call["computer_use_preview"] == {
            "action": {"type": "click", "x": 1, "y": 2, "button": "left"},
            "pending_safety_checks": [],
        }
        path = f"{turns.path}/submit_tool_outputs"
        text = {"tool_outputs": [{"tool_call_id": call["id"], "output": "clicked"}]}
        assert "screenshot" in post(client, path, text, status=400)["error"]["message"]
        screenshot = {"type": "computer_screenshot", "image_url": DATA_URL}
        output = {"type": "computer_call_output", "tool_call_id": call["id"], "output": screenshot}
        post(client, path, {"tool_outputs": [output]})
        turns.run = wait_run(client, turns.run)
        assert turns.answer_text() == "Done."
        details = turns.tool_call()["computer_use_preview"]
    assert details["output"] == screenshot
    assert model.requests[1].tool_results[0].images[0].data == PNG
    wire = OpenAIModel("http://127.0.0.1:1/v1")._body(model.requests[1])["messages"]
    assert [message["role"] for message in wire[-2:]] == ["tool", "user"]
    assert wire[-1]["content"][0]["image_url"]["url"] == DATA_URL


def test_an_openai_endpoint_gets_images_within_the_message(service: Any) -> None:
    model = Seeing()
    with service(model=model).http() as client:
        ask(client, by_url(DATA_URL, detail="low"))
    user = next(m for m in OpenAIModel("http://127.0.0.1:1/v1")._body(model.requests[0])["messages"])
    assert user == {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}},
        ],
    }
