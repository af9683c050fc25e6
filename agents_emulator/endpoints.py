"""From an HTTP request to a handler and back: credentials, api-version, body, log entry, errors.

Every operation passes through `endpoint`, so what is true of all of them is written here once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from agent_tasks.logs import get_logger
from agent_tasks.wire.base import WireModel
from agents_emulator.errors import (
    ApiError,
    GatewayError,
    ServiceError,
    bad_request,
    internal_error,
    missing_parameter,
    resource_not_found,
)
from agents_emulator.faults import Then, gateway_timeout, plan_cut, refusal
from agents_emulator.requestlog import LogEntry, entry_of
from agents_emulator.store import Record
from agents_emulator.strictness import check_body, check_depth, check_query

if TYPE_CHECKING:
    from agents_emulator.service import Service

logger = get_logger("agents_emulator")

API_VERSIONS = (  # of the classic service
    "v1",
    "2025-05-15-preview",
    "2025-05-01",
    "2025-05-01-preview",
    "2024-12-01-preview",
    "2024-07-01-preview",
)
NAMED_AGENT_VERSIONS = ("v1", "1.0", "2025-05-15-preview", "2025-11-15-preview")
"""Of the successor's agents. What it has below `/openai/v1` needs none (recorded)."""
_JSON_TYPES = ("application/json", "application/merge-patch+json")
"""The second one comes with a PATCH; neither can be sent by a page of another origin unasked."""
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_UPLOAD_BYTES = 512 * 1024 * 1024
# A multipart body is a little longer than the file in it.
_MULTIPART_ALLOWANCE = 64 * 1024
_GIVEN_UP: set[asyncio.Future[Any]] = set()
"""Requests that the gateway may have given up on."""
# Validating more than this would keep the event loop from other requests for too long.
_INLINE_VALIDATION_BYTES = 32 * 1024


@dataclass
class Call:
    """One request of an operation, as its handler sees it.

    `run_fault` is what a fault plans for the run that the request creates or resumes; `headers` are added to
    the answer. `listed_after`: seconds until lists show what the request creates, also a fault; `moment` is
    when the request came.
    """

    service: Service
    request: Request
    entry: LogEntry
    body: Any = None
    run_fault: Record | None = None
    headers: dict[str, str] = field(default_factory=dict)
    listed_after: float = 0
    moment: float = field(default_factory=time.time)

    @property
    def path(self) -> dict[str, str]:
        """Identifiers from the path."""
        return self.request.path_params

    @property
    def query(self) -> dict[str, str]:
        """Query parameters (the last one of each name)."""
        return dict(self.request.query_params)

    @property
    def include(self) -> list[str]:
        """The `include[]` parameters (some clients send `include`)."""
        params = self.request.query_params
        return [*params.getlist("include[]"), *params.getlist("include")]

    def parsed(self, model: type[WireModel]) -> Record:
        """Return the JSON body, checked against the request model; an empty body counts as `{}`.

        The body is returned as it came, so that unknown fields and tools survive.
        """
        body = self.json_object()
        try:
            model.model_validate(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            param = ".".join(str(part) for part in first["loc"])
            if first["type"] == "missing":
                raise missing_parameter(param) from None
            raise bad_request(
                f"Invalid '{param}': {first['msg']}.", param=param, code="invalid_type"
            ) from None
        return body

    def json_object(self) -> Record:
        """Return the JSON body, `{}` if there is none. Raises the service's 400 for what is no object."""
        body = {} if self.body is None else self.body
        if not isinstance(body, dict):
            raise bad_request("The request body must be a JSON object.", code="invalid_type")
        return body

    def created(self, body: Record) -> Record:
        """Note the id of what was created or changed in the request log; returns the body."""
        self.entry.response_id = body["id"]
        return body


Handler = Callable[[Call], Awaitable[Response | Record]]


@dataclass(frozen=True)
class Operation:
    """One operation of the API: its name in the log, its method and path below the project, its handler.

    `versions` are the values of `api-version` that it takes; an empty tuple for one that needs none.
    """

    name: str
    method: str
    path: str
    handler: Handler
    multipart: bool = False
    versions: tuple[str, ...] = API_VERSIONS

    def route(self) -> Route:
        """Return the route that serves this operation."""

        async def serve(request: Request) -> Response:
            return await endpoint(self, request)

        return Route(self.path, serve, methods=[self.method], name=self.name)


def json_response(body: Record, status: int = 200) -> Response:
    """Render a body as the service does: UTF-8 JSON, keys in the order of the dict."""
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(content, status, media_type="application/json", headers=common_headers())


def error_response(fault: ApiError) -> Response:
    """Render a refusal."""
    response = json_response(fault.body, fault.status)
    response.headers.update(fault.headers)
    return response


def common_headers() -> dict[str, str]:
    """Return the headers that every recorded answer carries."""
    identifier = secrets.token_hex(16)
    return {"X-Request-ID": identifier, "apim-request-id": identifier, "openai-version": "2020-10-01"}


async def endpoint(operation: Operation, request: Request) -> Response:
    """Serve one request of `operation`."""
    entry = entry_of(request.scope)
    entry.operation = operation.name
    service: Service = request.app.state.service
    call = Call(service, request, entry)
    try:
        _check_version(request, operation.versions)
        if not operation.multipart:
            call.body = entry.body = await _json_body(request)
        then = await _apply_faults(operation, call)
        if service.config.strict:
            await _check_schema(operation, call)
        if not operation.multipart and operation.method != "GET":
            await service.log.begin(entry)
        return await _served(operation, call, then)
    except ApiError as fault:
        entry.error = fault.code
        return error_response(fault)
    except ClientDisconnect:
        entry.error = "client_disconnected"
        return json_response(bad_request("The request body was not sent completely.").body, 400)
    except Exception:
        logger.exception("%s %s failed", request.method, request.url.path)
        entry.error = "server_error"
        return json_response(internal_error().body, 500)


def _check_version(request: Request, versions: tuple[str, ...]) -> None:
    version = request.query_params.get("api-version")
    if versions and version not in versions:
        supported = ", ".join(versions)
        raise GatewayError(
            400,
            "UnsupportedApiVersionValue",
            f"The api-version '{version}' is not supported. Supported api-versions: {supported}."
            if version
            else f"The api-version query parameter is required. Supported api-versions: {supported}.",
        )


async def _served(operation: Operation, call: Call, then: Then | None) -> Response:
    """Serve a request; a fault may give another answer to it than the handler does."""
    if then is not None and then.gateway_timeout is not None:
        answer = await _in_time(operation, call, then.gateway_timeout)
    else:
        answer = await operation.handler(call)
    if then is not None and then.status is not None:
        raise refusal(then, operation.path)
    if operation.method == "GET" and isinstance(answer, dict):
        call.entry.told = answer.get("status")
    response = answer if isinstance(answer, Response) else json_response(answer)
    response.headers.update(call.headers)
    return response


async def _in_time(operation: Operation, call: Call, seconds: float) -> Response | Record:
    """Serve a request, for so long: then the gateway gives up, and the service goes on."""
    work = asyncio.ensure_future(operation.handler(call))
    _GIVEN_UP.add(work)
    work.add_done_callback(_given_up)
    done, _ = await asyncio.wait([work], timeout=seconds)
    if not done:
        raise gateway_timeout()
    return work.result()


def _given_up(work: asyncio.Future[Response | Record]) -> None:
    """Let go of a request that is done; what came of one that nobody waited for is looked at here."""
    _GIVEN_UP.discard(work)
    if not work.cancelled():
        work.exception()


async def _apply_faults(operation: Operation, call: Call) -> Then | None:
    """Do to the request what the service's faults have in store for it, before it is served."""
    path = call.request.url.path.removeprefix(call.request.scope.get("root_path", ""))
    then = call.service.faults.draw(operation.name, operation.method, path)
    if then is None:
        return None
    call.entry.fault = then.describe()
    await asyncio.sleep(then.latency)
    if then.status is not None:
        call.entry.retry_after = then.retry_after
        if not then.after_effect:
            raise refusal(then, operation.path)
    plan_cut(call.request.scope, then)
    if then.run is not None:
        call.run_fault = then.run.model_dump(mode="json")
    call.listed_after = then.listed_after
    return then


async def _check_schema(operation: Operation, call: Call) -> None:
    check_query(operation.name, call.request.query_params.multi_items())
    if operation.multipart:
        return
    size = call.request.headers.get("content-length", "")
    if size.isascii() and size.isdecimal() and int(size) <= _INLINE_VALIDATION_BYTES:
        check_body(operation.name, call.body)
    else:
        await asyncio.to_thread(check_body, operation.name, call.body)


async def _json_body(request: Request) -> Any:
    """Return the parsed body, None if there is none."""
    raw = b"".join([chunk async for chunk in limited_stream(request, MAX_JSON_BYTES)])
    if not raw:
        return None
    _check_content_type(request)
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
        # Half a surrogate pair is valid JSON but no text: it could be neither stored nor answered.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise bad_request(
            f"We could not parse the JSON body of your request ({type(error).__name__}).", code="invalid_json"
        ) from None
    check_depth(body)
    return body


def _check_content_type(request: Request) -> None:
    """Refuse a body that does not say that it is JSON: pages of other origins may send others unasked."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() not in _JSON_TYPES:
        raise ServiceError(
            415,
            f"Unsupported content type: '{given[:100]}'. This API method only accepts 'application/json' "
            "requests. Set the Content-Type header.",
            code="unsupported_content_type",
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


async def limited_stream(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body's chunks; raise 413 as soon as it is longer than `limit` bytes."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > limit:
            raise too_large(limit)
        yield chunk


def limit_upload(request: Request) -> Request:
    """Return the request with its body cut off, by a 413, above the upload limit."""
    limit = MAX_UPLOAD_BYTES + _MULTIPART_ALLOWANCE
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared) > limit:
        raise too_large(MAX_UPLOAD_BYTES)
    received = 0
    receive = request.receive

    async def counted() -> Any:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise too_large(MAX_UPLOAD_BYTES)
        return message

    return Request(request.scope, counted)


def too_large(limit: int) -> GatewayError:
    """The answer to a body of more than `limit` bytes."""
    return GatewayError(
        413, "PayloadTooLarge", f"The request body is larger than {limit // (1024 * 1024)} MB."
    )


async def handle_http_exception(request: Request, error: Exception) -> Response:
    """Answer what no route matched (404, 405) in the gateway's shape."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        fault: ApiError = resource_not_found()
    elif status == 405:
        fault = GatewayError(405, "405", "Method not allowed")
    else:
        fault = internal_error()
    return json_response(fault.body, fault.status)
