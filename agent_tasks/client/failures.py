"""From answers with status >= 400 to typed errors, and how long they ask to wait."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from agent_tasks.bounded import bounded_json
from agent_tasks.client._outcomes import failure
from agent_tasks.errors import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    GatewayTimeoutError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitedError,
    RunFailedError,
    ServerError,
    ServiceError,
)
from agent_tasks.wire import AgentErrorDetail

_BY_STATUS: dict[int, type[ServiceError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: BadRequestError,
    429: RateLimitedError,
}
_REQUEST_ID_HEADERS = ("x-request-id", "x-ms-request-id", "apim-request-id")
_MILLISECONDS_HEADERS = ("retry-after-ms", "x-ms-retry-after-ms")
_LONGEST_TEXT = 500


def request_id(headers: Mapping[str, str]) -> str | None:
    """The id to name in a support request."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from any of the headers in use; None where there is none that makes sense."""
    for name in _MILLISECONDS_HEADERS:
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    until = _timestamp(value)
    if until is None:
        return None
    # Against the service's own clock where it is given: ours may differ from it.
    now = _timestamp(headers.get("date")) or time.time()
    return max(0.0, until - now)


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None


def _timestamp(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except ValueError:
        return None


def error_from_answer(
    status: int,
    headers: Mapping[str, str],
    content: bytes,
    *,
    method: str,
    path: str,
    creates: bool,
    gateway: bool = False,
) -> ServiceError:
    """The error for an answer with status >= 400, in whichever shape its body is.

    `creates` says that repeating the request would have an effect of its own: then an answer that leaves open
    whether the first one had it is marked `outcome_unknown`. `gateway` says that the service is behind one
    that answers 408 when it has waited for long enough, whatever the service does (recorded: after 120 s).
    """
    detail = _detail(content)
    wait = retry_after(headers)
    common: dict[str, Any] = {
        "status": status,
        "code": detail.get("code"),
        "type": detail.get("type"),
        "param": detail.get("param"),
        "request_id": request_id(headers),
        "method": method,
        "path": path,
        "retry_after": wait,
    }
    if status >= 500:
        # "Not available, come back in N seconds" says that the request was turned away at the door.
        turned_away = status == 503 and wait is not None
        return ServerError(detail.get("message", ""), **common, outcome_unknown=creates and not turned_away)
    if status == 408 and creates and gateway:
        return GatewayTimeoutError(detail.get("message", ""), **common, outcome_unknown=True)
    retryable = status in (408, 429) or wait is not None
    return _BY_STATUS.get(status, ServiceError)(detail.get("message", ""), **common, retryable=retryable)


def _detail(content: bytes) -> dict[str, str]:
    """`message`, `code`, `type` and `param` as text, as far as the body has them."""
    try:
        body: Any = bounded_json(content)
    except ValueError:
        text = " ".join(content[: 8 * _LONGEST_TEXT].decode("utf-8", "replace").split())
        return {"message": text[:_LONGEST_TEXT]} if text else {}
    inner = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(inner, dict):
        return {"message": str(inner)[:_LONGEST_TEXT]} if inner else {}
    named = {"message": inner.get("message") or inner.get("detail"), **inner}
    return {key: str(named[key]) for key in ("message", "code", "type", "param") if named.get(key)}


def error_from_run(detail: AgentErrorDetail, *, run_id: str | None, thread_id: str | None) -> RunFailedError:
    """The error for an `error` event in the stream of a run."""
    return failure(
        f"run {run_id}" if run_id else "the run",
        code=detail.code,
        kind=detail.type,
        said=detail.message,
        run_id=run_id,
        thread_id=thread_id,
    )
