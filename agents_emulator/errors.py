"""Error answers of the service, in its two recorded shapes.

* The service itself: `{"error": {"message", "type", "param", "code"}}`, any of them null.
* The gateway in front of it (credentials, api-version, unknown paths): `{"error": {"code", "message"}}`.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """An answer with status >= 400; raised anywhere in a handler, turned into JSON by the dispatcher.

    Attributes:
        status: HTTP status.
        body: the JSON body.
        code: short code for the request log.
        headers: headers of the answer beside the usual ones.
    """

    def __init__(self, status: int, body: dict[str, Any], code: str) -> None:
        super().__init__(f"{status} {code}: {body}")
        self.status = status
        self.body = body
        self.code = code
        self.headers: dict[str, str] = {}


class ServiceError(ApiError):
    """A refusal by the service itself."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        body = {"error": {"message": message, "type": type, "param": param, "code": code}}
        super().__init__(status, body, code or type)


class GatewayError(ApiError):
    """A refusal by the gateway in front of the service."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, {"error": {"code": code, "message": message}}, code)


def bad_request(message: str, *, param: str | None = None, code: str | None = None) -> ServiceError:
    """A 400 of type `invalid_request_error`."""
    return ServiceError(400, message, param=param, code=code)


def not_found(noun: str, identifier: str) -> ServiceError:
    """The parent API's 404: "No thread found with id 'X'."."""
    return ServiceError(404, f"No {noun} found with id '{identifier}'.")


def missing_parameter(name: str) -> ServiceError:
    """A required body parameter is absent."""
    return bad_request(
        f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
    )


def resource_not_found() -> GatewayError:
    """The gateway's recorded answer to a path it does not know."""
    return GatewayError(404, "404", "Resource not found")


def internal_error() -> ServiceError:
    """What a client sees of an unexpected failure; the details are in the service's log only."""
    return ServiceError(500, "Sorry, something went wrong.", type="server_error", code="server_error")
