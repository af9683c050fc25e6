"""Who may ask the service at all: who has its token, or programs of this machine; no page of another origin.

A browser lets any page send requests to an address of this machine: simple ones (`text/plain`, forms,
multipart) without asking, under the page's own name or, by a name that resolves to 127.0.0.1 (DNS rebinding),
under the service's. The page says who it is in `Origin` and `Sec-Fetch-Site`, and under which name it looked
the service up in `Host`: it can forge none of them. Programs send no `Origin`, so nothing is asked of them.
"""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_tasks.logs import get_logger
from agents_emulator.endpoints import error_response
from agents_emulator.errors import GatewayError

logger = get_logger("agents_emulator")

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OWN_SITE = ("same-origin", "none")
"""`Sec-Fetch-Site` of the service's own pages, and of what a person types into the browser."""


class AccessMiddleware:
    """Refuses before anything is read, written or logged: a refused request leaves nothing behind."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token
        self._refused = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            try:
                check_access(Request(scope), self._token)
            except GatewayError as refusal:
                self._note(refusal)
                await error_response(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _note(self, refusal: GatewayError) -> None:
        """Say it in the log at the first, second, fourth, ...: whoever is refused may ask for ever."""
        self._refused += 1
        if self._refused & (self._refused - 1) == 0:
            logger.warning("%d requests were refused, the last one with %d", self._refused, refusal.status)


def check_access(request: Request, token: str | None) -> None:
    """Refuse requests of foreign pages, of foreign names and without the service's token.

    Raises:
        GatewayError: 403 for a page of another origin or, without a token, a name that is not this machine's;
            401 without the service's token; 400 for a Host that is none.
    """
    try:
        _ = request.url.hostname
    except ValueError:
        raise GatewayError(400, "BadRequest", "The Host header is no name or address of a host.") from None
    _check_origin(request)
    if token is None:
        if request.url.hostname not in _LOOPBACK:
            raise GatewayError(
                403,
                "PermissionDenied",
                "Without a token this service answers requests to 127.0.0.1 or localhost only. "
                "Start it with a token to use another host name.",
            )
        return
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(credential.strip().encode(), token.encode()):
        raise GatewayError(
            401,
            "PermissionDenied",
            "The request has no valid bearer token. Send the service's token in the Authorization header.",
        )


def _check_origin(request: Request) -> None:
    own = f"{request.url.scheme}://{request.url.netloc}".lower()
    origins = request.headers.getlist("origin")
    site = request.headers.get("sec-fetch-site", "none")
    if all(origin.lower() == own for origin in origins) and site in _OWN_SITE:
        return
    raise GatewayError(
        403,
        "PermissionDenied",
        "This service takes no requests from pages of other origins (headers Origin and Sec-Fetch-Site). "
        "Call it from a program.",
    )
