# Made from _async/runs.py by `make generate`: change that one.
"""Runs, plain and streamed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from agent_tasks.client._calls import Call, path_of
from agent_tasks.client._sync.resource import Resource, include_params, request_body
from agent_tasks.client._sync.streams import EventStream
from agent_tasks.wire import (
    CreateRunRequest,
    CreateThreadAndRunRequest,
    SubmitToolOutputsRequest,
    ThreadRun,
    ToolApproval,
    ToolOutput,
    UpdateRunRequest,
    WireModel,
)

ToolOutputs = Sequence[ToolOutput | WireModel | Mapping[str, Any]]
ToolApprovals = Sequence[ToolApproval | Mapping[str, Any]]


class Runs(Resource):
    """Operations on runs. One run at a time can be active on a thread.

    Creating, and submitting outputs, is sent once: when the outcome is not known, the error says so
    (`outcome_unknown`) and the caller looks before sending again.
    """

    def create(
        self,
        thread_id: str,
        request: CreateRunRequest | None = None,
        /,
        *,
        include: Sequence[str] | None = None,
        **fields: Any,
    ) -> ThreadRun:
        """Starts a run from a request or its fields (`assistant_id=`, ...); status `queued`."""
        body = {**request_body(CreateRunRequest, request, fields), "stream": False}
        return self._create(ThreadRun, path_of("threads", thread_id, "runs"), body, include_params(include))

    def create_thread_and_run(
        self, request: CreateThreadAndRunRequest | None = None, /, **fields: Any
    ) -> ThreadRun:
        """Creates a thread with its messages and starts a run on it (`assistant_id=`, `thread=`, ...)."""
        body = {**request_body(CreateThreadAndRunRequest, request, fields), "stream": False}
        return self._create(ThreadRun, "/threads/runs", body)

    def stream(
        self,
        thread_id: str,
        request: CreateRunRequest | None = None,
        /,
        *,
        include: Sequence[str] | None = None,
        **fields: Any,
    ) -> EventStream:
        """Like `create`, followed by its events: `with client.runs.stream(...) as events: ...`"""
        body = {**request_body(CreateRunRequest, request, fields), "stream": True}
        path = path_of("threads", thread_id, "runs")
        call = Call("POST", path, creates=True, body=body, params=include_params(include))
        return EventStream(self._transport, call, thread_id=thread_id, run_id=None)

    def stream_thread_and_run(
        self, request: CreateThreadAndRunRequest | None = None, /, **fields: Any
    ) -> EventStream:
        """Like `create_thread_and_run`, followed by its events."""
        body = {**request_body(CreateThreadAndRunRequest, request, fields), "stream": True}
        call = Call("POST", "/threads/runs", creates=True, body=body)
        return EventStream(self._transport, call, thread_id=None, run_id=None)

    def get(self, thread_id: str, run_id: str) -> ThreadRun:
        """Reads a run. Raises NotFoundError."""
        return self._get(ThreadRun, path_of("threads", thread_id, "runs", run_id))

    def list(
        self,
        thread_id: str,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Iterator[ThreadRun]:
        """The runs of a thread, newest first unless `order="asc"`."""
        params = {"limit": limit, "order": order, "after": after, "before": before}
        return self._list(ThreadRun, path_of("threads", thread_id, "runs"), params)

    def update(
        self, thread_id: str, run_id: str, request: UpdateRunRequest | None = None, /, **fields: Any
    ) -> ThreadRun:
        """Changes the `metadata=` of a run."""
        body = request_body(UpdateRunRequest, request, fields)
        return self._update(ThreadRun, path_of("threads", thread_id, "runs", run_id), body)

    def cancel(self, thread_id: str, run_id: str) -> ThreadRun:
        """Asks a run to stop; it is `cancelling` first. Raises BadRequestError if it has ended."""
        return self._update(ThreadRun, path_of("threads", thread_id, "runs", run_id, "cancel"))

    def submit_tool_outputs(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs | None = None,
        *,
        tool_approvals: ToolApprovals | None = None,
    ) -> ThreadRun:
        """Answers all calls that a run waits for, in one request; approvals only in the preview."""
        path, body = _outputs(thread_id, run_id, tool_outputs, tool_approvals, stream=False)
        return self._create(ThreadRun, path, body)

    def submit_tool_outputs_stream(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs | None = None,
        *,
        tool_approvals: ToolApprovals | None = None,
    ) -> EventStream:
        """Like `submit_tool_outputs`, followed by the events of the run from then on."""
        path, body = _outputs(thread_id, run_id, tool_outputs, tool_approvals, stream=True)
        call = Call("POST", path, creates=True, body=body)
        return EventStream(self._transport, call, thread_id=thread_id, run_id=run_id)


def _outputs(
    thread_id: str, run_id: str, outputs: ToolOutputs | None, approvals: ToolApprovals | None, *, stream: bool
) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {"stream": stream}
    if outputs is not None:
        fields["tool_outputs"] = list(outputs)
    if approvals is not None:
        fields["tool_approvals"] = list(approvals)
    path = path_of("threads", thread_id, "runs", run_id, "submit_tool_outputs")
    return path, request_body(SubmitToolOutputsRequest, None, fields)
