# Made from _async/run_calls.py by `make generate`: change that one.
"""What a run is followed with when it is not streamed: reading it, answering its calls, giving it up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent_tasks.client._requests import ServiceRequest, path_of
from agent_tasks.client._sync import _runtime
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.client._sync.streams import EventStream
from agent_tasks.client._sync.transport import Transport
from agent_tasks.client.functions import (
    MAX_CALLS_AT_ONCE,
    ApprovingTools,
    AutoFunctionCalls,
    approval_calls,
    error_output,
    function_calls,
)
from agent_tasks.errors import (
    AgentTasksError,
    BadRequestError,
    ConflictError,
    RunExpiredError,
    ServerError,
    ToolError,
    TransportError,
)
from agent_tasks.logs import get_logger
from agent_tasks.wire import (
    AgentStreamEvent,
    MessageRole,
    RequiredFunctionToolCall,
    RequiredMcpToolCall,
    RunStatus,
    RunStep,
    RunStepStatus,
    StreamEvent,
    SubmitToolOutputsRequest,
    ThreadMessage,
    ThreadRun,
)

logger = get_logger("agent_tasks.client")

_SUBMISSIONS = 3
"""Times that the outputs of one round are sent while the service does not have them."""

LOST_ANSWERS = (TransportError, ServerError, BadRequestError, ConflictError)
"""Errors of a submission after which the run tells whether the service has the outputs."""


def outputs_call(
    thread_id: str,
    run_id: str,
    *,
    outputs: Any = None,
    approvals: Any = None,
    stream: bool,
) -> ServiceRequest:
    """The request that answers the calls of a run."""
    fields: dict[str, Any] = {"stream": stream}
    if outputs is not None:
        fields["tool_outputs"] = list(outputs)
    if approvals is not None:
        fields["tool_approvals"] = list(approvals)
    path = path_of("threads", thread_id, "runs", run_id, "submit_tool_outputs")
    return ServiceRequest(
        "POST", path, creates=True, body=request_body(SubmitToolOutputsRequest, None, fields)
    )


class RunCalls(Resource):
    """The reads of one run and the answers to its calls. No function runs twice for one call."""

    def __init__(self, transport: Transport, auto: AutoFunctionCalls) -> None:
        super().__init__(transport)
        self._toolset = auto.toolset
        self._max_rounds = auto.max_rounds
        self._rounds = 0
        self._submissions = 0
        self._outputs: dict[str, str] = {}
        self._approvals: dict[str, Mapping[str, Any]] = {}

    def read(self, thread_id: str, run_id: str) -> ThreadRun:
        """The run as it is now."""
        return self._get(ThreadRun, path_of("threads", thread_id, "runs", run_id))

    def first_run(self, thread_id: str) -> str | None:
        """The id of the run that came into being with a thread; None if there is none."""
        for run in self._list(ThreadRun, path_of("threads", thread_id, "runs"), {"order": "asc"}):
            return run.id
        return None

    def answerable(self, run: ThreadRun) -> bool:
        """Whether the run waits for functions or approvals, and there is a toolset for them."""
        if self._toolset is None:
            return False
        return bool(function_calls(run) or approval_calls(run, self._toolset))

    def submit(self, run: ThreadRun) -> ThreadRun:
        """Runs the functions that a run waits for and submits their outputs, or submits its approvals."""
        call = self._answers(run, stream=False)
        try:
            return self._call(ThreadRun, call)
        except LOST_ANSWERS as error:
            return self.after_lost_answer(run, error)

    def submit_stream(self, run: ThreadRun) -> EventStream:
        """Like `submit`, for the events of the run from then on; the stream is not yet entered."""
        call = self._answers(run, stream=True)
        return EventStream(self._transport, call, thread_id=run.thread_id, run_id=run.id)

    def after_lost_answer(self, run: ThreadRun, error: AgentTasksError) -> ThreadRun:
        """The run, read again after a submission failed.

        Raises the error when the service does not have the outputs and they are not to be sent again.
        """
        now = self.read(run.thread_id, run.id)
        refused = not getattr(error, "outcome_unknown", False)
        if self._waits_for_the_same(now) and (refused or self._submissions >= _SUBMISSIONS):
            raise error
        return now

    def give_up(self, run: ThreadRun) -> None:
        """Cancels a run as far as that is possible."""
        try:
            self._update(ThreadRun, path_of("threads", run.thread_id, "runs", run.id, "cancel"))
        except AgentTasksError as error:
            logger.warning("run %s could not be cancelled: %s", run.id, error)

    def expire(self, run: ThreadRun, limit: float, *, cancel: bool) -> RunExpiredError:
        """The error for a run that is still active at the deadline; cancels it if it is ours to."""
        if cancel:
            self.give_up(run)
        return RunExpiredError(
            f"The run {run.id} was still {run.status} after {limit:g} s"
            + (" and was cancelled." if cancel else ".")
            + " Raise the deadline, or look at the service.",
            run_id=run.id,
            thread_id=run.thread_id,
        )

    def missed(self, run: ThreadRun, seen: set[str]) -> Iterator[StreamEvent]:
        """Events for the steps and messages of a run that have ended and are not among those seen."""
        path = path_of("threads", run.thread_id, "runs", run.id, "steps")
        for step in self._list(RunStep, path, {"order": "asc", "limit": 100}):
            if step.status != RunStepStatus.IN_PROGRESS and step.id not in seen:
                seen.add(step.id)
                yield StreamEvent(f"thread.run.step.{step.status}", step, synthetic=True)
        path = path_of("threads", run.thread_id, "messages")
        params = {"run_id": run.id, "order": "asc", "limit": 100}
        for message in self._list(ThreadMessage, path, params):
            if message.role == MessageRole.ASSISTANT and message.id not in seen:
                seen.add(message.id)
                yield StreamEvent(AgentStreamEvent.THREAD_MESSAGE_COMPLETED, message, synthetic=True)

    def _waits_for_the_same(self, run: ThreadRun) -> bool:
        known = {*self._outputs, *self._approvals}
        calls = [*function_calls(run), *approval_calls(run, self._toolset)]
        return run.status == RunStatus.REQUIRES_ACTION and all(call.id in known for call in calls)

    def _answers(self, run: ThreadRun, *, stream: bool) -> ServiceRequest:
        approvals = approval_calls(run, self._toolset)
        calls = function_calls(run)
        self._count_round(
            run,
            [(call.id, call.function.name) for call in calls if call.id not in self._outputs]
            + [(call.id, call.name) for call in approvals if call.id not in self._approvals],
        )
        self._submissions += 1
        if approvals:
            for approval in approvals:
                if approval.id not in self._approvals:
                    self._approvals[approval.id] = self._decide(run, approval)
            decisions = [self._approvals[call.id] for call in approvals]
            return outputs_call(run.thread_id, run.id, approvals=decisions, stream=stream)

        def answer(call: RequiredFunctionToolCall) -> None:
            self._outputs[call.id] = self._run_function(run, call)

        new = [call for call in calls if call.id not in self._outputs]
        _runtime.for_each(answer, new, at_once=MAX_CALLS_AT_ONCE)
        outputs: list[Mapping[str, str]] = [
            {"tool_call_id": call.id, "output": self._outputs[call.id]} for call in calls
        ]
        return outputs_call(run.thread_id, run.id, outputs=outputs, stream=stream)

    def _count_round(self, run: ThreadRun, new: list[tuple[str, str]]) -> None:
        """Notes that a run asks for something new (ids and names); gives it up when it does so too often."""
        if not new:
            return
        self._rounds += 1
        self._submissions = 0
        if self._rounds > self._max_rounds:
            self.give_up(run)
            call_id, name = new[0]
            raise ToolError(
                f"The run {run.id} asked for functions more than {self._max_rounds} times (the last was "
                f"{name}) and was cancelled. Raise max_rounds, or tell the agent when it is done.",
                tool=name,
                call_id=call_id,
            )

    def _decide(self, run: ThreadRun, call: RequiredMcpToolCall) -> Mapping[str, Any]:
        toolset = self._toolset
        if not isinstance(toolset, ApprovingTools):
            raise RuntimeError("calls are only decided with a toolset that does so")
        try:
            decision: Mapping[str, Any] = _runtime.run_function(toolset.approval, call)
        except Exception as error:  # nobody has approved it
            logger.warning(
                "call %s of %s (%s of %s) is refused: its approval raised %s",
                *(call.name, call.server_label, call.id, run.id, type(error).__name__),
            )
            return {"tool_call_id": call.id, "approve": False}
        return decision

    def _run_function(self, run: ThreadRun, call: RequiredFunctionToolCall) -> str:
        toolset = self._toolset
        if toolset is None:
            raise RuntimeError("functions are only called with a toolset")
        name, arguments = call.function.name, call.function.arguments
        try:
            output = _runtime.run_function(toolset.call, name, arguments, call_id=call.id, turn_id=run.id)
        except Exception as error:  # a `ToolSet` tells of it itself; toolsets of other makers may raise
            logger.warning("function %s (%s of %s) raised %s", name, call.id, run.id, type(error).__name__)
            return error_output(error)
        return str(output)
