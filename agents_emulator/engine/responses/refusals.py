"""Refusals of the successor's wire, in the shapes that were recorded.

Three parts of it answer: the front (agents; what a request may not carry), in
`{"error": {code, message, type, details, additionalInfo}}`; the service of responses, in the classic
`{"error": {message, type, param, code}}`; and what keeps responses, for one that is gone.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

from agents_emulator.errors import ApiError, ServiceError, bad_request

LOCKED = "Another process is currently operating on this conversation. Please retry in a few seconds."


class FrontError(ApiError):
    """A refusal by the front of the service; `details` are `{code, message, param, type}` each."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        type: str = "error",
        details: Sequence[dict[str, Any]] = (),
        **others: Any,
    ) -> None:
        error = {"code": code, "message": message, **others, "type": type, "details": list(details)}
        error["additionalInfo"] = {"request_id": secrets.token_hex(16)}
        super().__init__(status, {"error": error}, code)


def _traced(text: str) -> str:
    return f"{text} [Request ID: {secrets.token_hex(16)}]"


def agent_not_found() -> FrontError:
    """The recorded 404 of an agent, or of a version of one."""
    return FrontError(404, "not_found", _traced("Agent not found"))


def agent_disabled() -> FrontError:
    """The recorded 403 of an agent that was disabled."""
    text = (
        "This agent is currently stopped and doesn't accept any requests. If you're the agent builder or "
        "administrator, check the state of the agent's hosting infrastructure."
    )
    return FrontError(403, "AgentDisabled", _traced(text))


def not_allowed_with_agent(names: Sequence[str]) -> FrontError:
    """The recorded 400 for fields that the agent has settled already."""
    details = [
        {
            "code": "ValidationError",
            "message": "Not allowed when agent is specified.",
            "param": name,
            "type": "error",
        }
        for name in names
    ]
    return FrontError(
        *(400, "invalid_payload", "Invalid payload"),
        param=None,
        type="invalid_request_error",
        details=details,
    )


def invalid_payload(message: str, param: str) -> FrontError:
    """A 400 of the front about one parameter."""
    detail = {"code": "ValidationError", "message": message, "param": param, "type": "error"}
    return FrontError(
        *(400, "invalid_payload", "Invalid payload"),
        param=param,
        type="invalid_request_error",
        details=[detail],
    )


def response_gone(response_id: str) -> ApiError:
    """The recorded 400 of a response that was deleted, or never was."""
    error = {
        "code": "bad_request",
        "message": f"{response_id} not found",
        "details": [],
        "additional_info": {"request_id": secrets.token_hex(16)},
    }
    return ApiError(400, {"error": error}, "bad_request")


def conversation_not_found(conversation_id: str) -> ServiceError:
    """The 404 of a conversation that was deleted, or never was."""
    return ServiceError(404, f"Conversation with id '{conversation_id}' not found.")


def malformed_conversation_id(conversation_id: str, param: str) -> ServiceError:
    """The reported 400 of an id of the client's own making."""
    return bad_request(
        f"Invalid conversation id {conversation_id[:100]}, Malformed identifier.",
        param=param,
        code="invalid_value",
    )


def conversation_locked() -> ServiceError:
    """The reported 400 of a conversation that a response is being made in."""
    return bad_request(LOCKED, param="conversation", code="conversation_locked")


def no_output_for(call_id: str) -> ServiceError:
    """The reported 400 of a function call that was left open."""
    return bad_request(f"No tool output found for function call {call_id}.", param="input")


def no_call_for(call_id: str) -> ServiceError:
    """The reported 400 of an output that answers no call."""
    return bad_request(f"No tool call found for function call output with call_id {call_id}.", param="input")
