"""Sends calls: sign-in, retries, typed errors, logging."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import AbstractContextManager
from importlib.metadata import version
from logging import DEBUG
from typing import Any, cast

import httpx
from tenacity import AsyncRetrying

from agent_tasks.bounded import ACCEPT_ENCODING, Bounded, bounded_json
from agent_tasks.client._async import _runtime
from agent_tasks.client._async.connections import AsyncConnections, AsyncHttp
from agent_tasks.client._async.credentials import AsyncTokenSource
from agent_tasks.client._async.tries import AsyncTries
from agent_tasks.client._operations import operation_name
from agent_tasks.client._options import RetryPolicy, Timeouts
from agent_tasks.client._requests import (
    RetryWait,
    ServiceRequest,
    retry_condition,
    retry_stop,
    transport_errors,
)
from agent_tasks.client.certificates import trusted_certificates
from agent_tasks.client.endpoint import Endpoint
from agent_tasks.client.failures import error_from_answer, request_id
from agent_tasks.client.instrumentation import OperationObserver, add_trace_context, watching
from agent_tasks.crashpoints import crash_point
from agent_tasks.errors import AgentTasksError, InvalidAnswerError, NotFoundError
from agent_tasks.logs import get_logger
from agent_tasks.redaction import loggable

logger = get_logger("agent_tasks.client")

_USER_AGENT = f"prefect-azure-agents/{version('prefect-azure-agents')}"
LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer in JSON: a page of a hundred of the longest messages has 26 MB."""
_REST_BYTES, _REST_SECONDS = 64 * 1024, 0.25
"""How much is read after a stream's last event, and for how long: what ends in this way can be used again."""
LARGEST_ERROR = 64 * 1024
"""Bytes of an error's text that are read."""
# Well below the 5 seconds after which common servers close an idle connection: a request that meets a closing
# connection fails with an unknown outcome, and a busy process may take a while between choosing and sending.
_KEEP_ALIVE = 2.0


async def _wait(seconds: float) -> None:
    """Waits before a call is sent again."""
    crash_point("send.waiting")
    await _runtime.async_sleep(seconds)


async def read_the_rest(response: _runtime.Answer, pieces: AsyncGenerator[bytes, None]) -> None:
    """Read to the end of a stream if that is near: a connection that is left before is closed."""
    left = _REST_BYTES
    try:
        async with _runtime.async_cut_off(response, _REST_SECONDS):
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    return
    except (AgentTasksError, httpx.HTTPError):
        return  # the connection is closed then


class AsyncTransport:
    """The way to one project. `logging_enable` adds bodies (never tokens) to the DEBUG log.

    `gateway` is as for `error_from_answer`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        tokens: AsyncTokenSource,
        *,
        api_version: str,
        timeouts: Timeouts,
        retry: RetryPolicy,
        logging_enable: bool,
        transport: httpx.AsyncBaseTransport | None,
        gateway: bool = False,
    ) -> None:
        self.timeouts = timeouts
        self._endpoint = endpoint
        self._base = str(httpx.URL(endpoint.url)).rstrip("/")
        self._version: dict[str, Any] = {"api-version": api_version} if api_version else {}
        self._query = str(httpx.QueryParams(self._version))
        self._gateway = gateway
        self._tokens = tokens
        self.api_version = api_version
        self._stop = retry_stop(retry)
        self._pause = RetryWait(retry)
        self._log_bodies = logging_enable

        def connected() -> AsyncHttp:
            return AsyncHttp(
                follow_redirects=False,  # a token must not follow to wherever an answer points
                verify=trusted_certificates(),
                limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
                # Proxies of the environment are for other machines.
                mounts={f"all://{endpoint.netloc_host}": None} if endpoint.loopback else None,
                transport=transport,
            )

        direct = None
        if transport is None:
            direct = _runtime.direct_transport(endpoint, trusted_certificates, keep_alive=_KEEP_ALIVE)
        self._connections = AsyncConnections(connected, apart=transport is None, direct=direct)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._connections.aclose()

    async def json(self, call: ServiceRequest, *, name: str | None = None) -> dict[str, Any]:
        """Sends a call and gives the JSON object of its answer; `name` is as for `observe`."""
        with self.observe(call, name) as observer:
            async for attempt in self._attempts(call):
                with attempt:
                    body = await self._json(call)
                    observer.answered(body)
                    return body
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def delete(self, path: str) -> dict[str, Any] | None:
        """Deletes; None when the thing was gone at a repeated try, since an earlier try may have done it."""
        call = ServiceRequest("DELETE", path)
        attempts = self._attempts(call)
        with self.observe(call):
            async for attempt in attempts:
                with attempt:
                    try:
                        return await self._json(call)
                    except NotFoundError:
                        if attempts.is_first:
                            raise
                        return None
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def open(self, call: ServiceRequest, *, accept: str, limits: httpx.Timeout) -> _runtime.Answer:
        """Sends a call; gives its answer unread, for the caller to close. Once it begins, no retries.

        The caller observes it, for as long as it reads.
        """
        async for attempt in self._attempts(call):
            with attempt:
                return await self._send(call, accept=accept, limits=limits)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def observe(
        self, call: ServiceRequest, name: str | None = None
    ) -> AbstractContextManager[OperationObserver]:
        """Lets those who watch know of an operation.

        Several that belong together have a `name` of their own; the first of them is given.
        """
        name = name or operation_name(call.method, call.path)
        return watching().operation(name, call.path, call.body, self._endpoint.url)

    def _attempts(self, call: ServiceRequest) -> AsyncTries:
        return AsyncTries(
            lambda: AsyncRetrying(
                sleep=_wait,
                retry=retry_condition(call),
                stop=self._stop,
                wait=self._pause,
                reraise=True,
            )
        )

    async def _json(self, call: ServiceRequest) -> dict[str, Any]:
        response = await self._send(call, accept="application/json", limits=self.timeouts.for_answer())
        content = await self._content(call, response, LARGEST_ANSWER)
        self._log_body("answer", call, content)
        try:
            body = bounded_json(content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise InvalidAnswerError(
                f"{call.method} {call.path} answered {response.status_code} with something other than a JSON "
                f"object: {content[:120]!r}. Check the service's address (PROJECT_ENDPOINT, or "
                "OPENAI_BASE_URL).",
                method=call.method,
                path=call.path,
                outcome_unknown=call.changes,
                retryable=False,
            )
        return body

    async def pieces(
        self, call: ServiceRequest, response: _runtime.Answer, limit: int, *, seconds: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Reads an answer, unpacked piece by piece, up to `limit` bytes and for so long; closes it.

        Raises InvalidAnswerError for more, and TransportError for a broken connection.
        """
        try:
            with transport_errors(call):
                if response.is_stream_consumed:  # one that a test made is read already
                    yield response.content
                    return
                body = Bounded.of(response, limit, seconds=seconds)
                # Not `aiter_raw`, which only cuts the pieces that are given here into pieces again.
                async for raw in cast("AsyncIterable[bytes]", response.stream):
                    for piece in body.feed(raw):
                        yield piece
                body.finish()
        finally:
            await response.aclose()

    async def _content(
        self, call: ServiceRequest, response: _runtime.Answer, limit: int, *, cut: bool = False
    ) -> bytes:
        """Reads an answer in whole, or with `cut` as much of it as the limit lets in."""
        content = bytearray()
        try:
            async for piece in self.pieces(call, response, limit, seconds=self.timeouts.answer):
                content += piece
        except InvalidAnswerError:
            if not cut:
                raise
        return bytes(content)

    async def _send(self, call: ServiceRequest, *, accept: str, limits: httpx.Timeout) -> _runtime.Answer:
        token = await self._tokens.token()
        response = await self._send_once(call, token, accept, limits)
        if response.status_code == 401 and await self._tokens.renew(token):
            await response.aclose()
            response = await self._send_once(call, await self._tokens.token(), accept, limits)
        if response.is_success:
            return response
        content = await self._content(call, response, LARGEST_ERROR, cut=True)
        self._log_body("answer", call, content)
        if response.status_code < 400:
            raise InvalidAnswerError(
                f"{call.method} {call.path} was redirected ({response.status_code}), which is not followed "
                "with a token. Check PROJECT_ENDPOINT.",
                method=call.method,
                path=call.path,
                retryable=False,
            )
        raise error_from_answer(
            response.status_code,
            response.headers,
            content,
            method=call.method,
            path=call.path,
            creates=call.creates,
            gateway=self._gateway,
        )

    async def _send_once(
        self, call: ServiceRequest, token: str | None, accept: str, limits: httpx.Timeout
    ) -> _runtime.Answer:
        headers = {"Accept": accept, "Accept-Encoding": ACCEPT_ENCODING, "User-Agent": _USER_AGENT}
        add_trace_context(headers)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        address = self._address(call)
        response: _runtime.Answer
        started = time.monotonic()
        asked: dict[str, Any] = {"timeout": limits.as_dict()}
        if call.changes:
            # Here, since waiting for an answer of the gate must not hold up a connection, and once more when
            # there is a connection: it may have taken long.
            crash_point("send.ready")
            await _runtime.gate_passed()
            asked["trace"] = _runtime.gate_trace
        with transport_errors(call):
            if call.upload is not None:
                with call.upload.open() as content:
                    response = await self._connections.send(
                        httpx.Request(
                            call.method,
                            address,
                            headers=headers,
                            data={"purpose": call.upload.purpose},
                            files={"file": (call.upload.filename, content, "application/octet-stream")},
                            extensions=asked,
                        )
                    )
            else:
                body = call.content()
                if body is not None:
                    headers["Content-Type"] = "application/json"
                    self._log_body("request", call, body)
                request = _runtime.CarriedRequest(call.method, address, headers, body, asked)
                async with _runtime.async_within(self.timeouts.answer):
                    response = await self._connections.carry(request)
        if logger.isEnabledFor(DEBUG):
            logger.debug(
                "%s %s answered %d in %d ms (request id %s)",
                call.method,
                call.path,
                response.status_code,
                (time.monotonic() - started) * 1000,
                request_id(response.headers),
            )
        return response

    def _address(self, call: ServiceRequest) -> str:
        """Where a call goes, with its query. Its path is quoted already (`path_of`)."""
        query = str(httpx.QueryParams({**self._version, **call.params})) if call.params else self._query
        return f"{self._base}{call.path}?{query}" if query else f"{self._base}{call.path}"

    def _log_body(self, what: str, call: ServiceRequest, content: bytes) -> None:
        if self._log_bodies:
            logger.debug("%s %s %s: %s", call.method, call.path, what, loggable(content))
