"""Error bodies of the service, of its gateway and of anything in between."""

from typing import Any

import httpx
import pytest

from agent_tasks.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitedError,
    ServerError,
    ServiceError,
)
from tests.client.conftest import Network


async def failure(network: Network, answer: httpx.Response) -> ServiceError:
    network.answers = [answer]
    with pytest.raises(ServiceError) as caught:
        await network.client().threads.get("thread_1")
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (413, PayloadTooLargeError),
        (422, BadRequestError),
        (429, RateLimitedError),
        (500, ServerError),
        (503, ServerError),
        (599, ServerError),
        (418, ServiceError),
    ],
)
async def test_status_decides_the_class(network: Network, status: int, kind: type[ServiceError]) -> None:
    error = await failure(network, httpx.Response(status, json={"error": {"message": "no"}}))
    assert type(error) is kind
    assert error.status == status


async def test_body_of_the_service(network: Network) -> None:
    body = {
        "error": {
            "message": "Files with extensions [.csv] are not supported.",
            "type": "invalid_request_error",
            "param": "file_id",
            "code": "unsupported_file",
        }
    }
    error = await failure(network, httpx.Response(400, json=body, headers={"x-request-id": "req-1"}))
    assert (error.code, error.type, error.param, error.request_id) == (
        "unsupported_file",
        "invalid_request_error",
        "file_id",
        "req-1",
    )
    assert error.message == "Files with extensions [.csv] are not supported."
    assert (error.method, error.path) == ("GET", "/threads/thread_1")
    for part in ("GET /threads/thread_1", "400", "unsupported_file", "[.csv]", "file_id", "req-1"):
        assert part in str(error)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "404", "message": "Resource not found"}}, "404", "Resource not found"),
        ({"error": {"message": None, "type": None, "param": None, "code": None}}, None, ""),
        ({"statusCode": 404, "message": "Resource not found"}, None, "Resource not found"),
        ({"error": "gone"}, None, "gone"),
        ({"detail": "Not Found"}, None, "Not Found"),
        ({"error": {"code": 7, "message": "number"}}, "7", "number"),
        (["odd"], None, "['odd']"),
        (None, None, ""),
    ],
)
async def test_other_bodies(network: Network, body: Any, code: str | None, message: str) -> None:
    error = await failure(network, httpx.Response(404, json=body))
    assert (error.code, error.message) == (code, message)


async def test_body_that_is_no_json_is_shown_shortened(network: Network) -> None:
    html = "<html>\n  <h1>Bad   gateway</h1>" + "x" * 10_000
    error = await failure(network, httpx.Response(404, text=html))
    assert error.message.startswith("<html> <h1>Bad gateway</h1>")
    assert len(error.message) == 500
    assert (await failure(network, httpx.Response(404))).message == ""


@pytest.mark.parametrize("header", ["x-request-id", "x-ms-request-id", "apim-request-id"])
async def test_request_id_is_found(network: Network, header: str) -> None:
    assert (await failure(network, httpx.Response(404, headers={header: "id"}))).request_id == "id"
