"""How a run ended, as a typed error or none: the one place that knows what the service's codes mean."""

from __future__ import annotations

from typing import Any

from agent_tasks.errors import (
    RunCancelledError,
    RunContentFilteredError,
    RunExpiredError,
    RunFailedError,
    RunIncompleteError,
    RunServerError,
    RunThrottledError,
)
from agent_tasks.wire import IncompleteDetailsReason, RunStatus, ThreadRun, wait_in_text


def failure(
    what: str,
    *,
    code: str | None,
    said: str | None,
    kind: str | None = None,
    run_id: str | None = None,
    thread_id: str | None = None,
) -> RunFailedError:
    """The error for a failed run by the service's code (or `kind`, the `type` of an error event).

    Throttling reaches the caller this way, with the wait in the text alone (recorded).
    """
    text = f"{what} failed with {code or kind or 'no code'}: {said or 'no reason given'}"
    where: dict[str, Any] = {"run_id": run_id, "thread_id": thread_id, "code": code}
    if code == "rate_limit_exceeded":
        return RunThrottledError(text, **where, retry_after=wait_in_text(said))
    if code == "server_error" or kind == "server_error":
        return RunServerError(text, **where)
    if code == "content_filter":
        return RunContentFilteredError(text, **where, reason=code)
    return RunFailedError(text, **where)


def ended_error(
    what: str,
    status: str,
    *,
    code: str | None = None,
    said: str | None = None,
    reason: str | None = None,
    run_id: str | None = None,
    thread_id: str | None = None,
) -> RunFailedError | None:
    """The error that an end means; None for `completed` and for what is no end.

    Args:
        what: Subject of the message: "The run run_1".
        status: A value of `RunStatus`.
        code: `last_error.code`.
        said: `last_error.message`.
        reason: `incomplete_details.reason`.
        run_id: For the error.
        thread_id: For the error.
    """
    where: dict[str, Any] = {"run_id": run_id, "thread_id": thread_id}
    match status:
        case RunStatus.CANCELLED:
            return RunCancelledError(f"{what} was cancelled.", **where)
        case RunStatus.EXPIRED:
            return RunExpiredError(f"{what} expired on the service: {said or 'no reason given'}", **where)
        case RunStatus.INCOMPLETE if reason == IncompleteDetailsReason.CONTENT_FILTER:
            text = f"{what} was cut off by the content filter. Change the prompt, or the filter of the model."
            return RunContentFilteredError(text, **where, code=code, reason=reason)
        case RunStatus.INCOMPLETE:
            remedy = "Raise max_completion_tokens or shorten the prompt."
            text = f"{what} was cut off ({reason or 'no reason given'}). {remedy}"
            return RunIncompleteError(text, **where, code=code, reason=reason)
        case RunStatus.FAILED:
            return failure(what, code=code, said=said, **where)
        case _:
            return None


def run_error(run: ThreadRun) -> RunFailedError | None:
    """The error that the end of a run means; None if it completed, or has not ended."""
    error = run.last_error
    return ended_error(
        f"The run {run.id}",
        run.status,
        code=error.code if error else None,
        said=error.message if error else None,
        reason=run.incomplete_details.reason if run.incomplete_details else None,
        run_id=run.id,
        thread_id=run.thread_id,
    )
