"""Runs, plain and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Literal

from agent_tasks.client._async import _runtime
from agent_tasks.client._async.handlers import AsyncAgentEventHandler
from agent_tasks.client._async.resource import AsyncResource, include_params, request_body
from agent_tasks.client._async.run_calls import AsyncRunCalls, outputs_call
from agent_tasks.client._async.run_streams import AsyncRunStream
from agent_tasks.client._async.streams import AsyncEventStream
from agent_tasks.client._async.transport import AsyncTransport
from agent_tasks.client._outcomes import run_error
from agent_tasks.client._requests import ServiceRequest, path_of
from agent_tasks.client.functions import AutoFunctionCalls, CallableTools, with_toolset
from agent_tasks.client.polling import FIRST_PAUSE, polls, run_limit
from agent_tasks.wire import (
    CreateRunRequest,
    CreateThreadAndRunRequest,
    RunStatus,
    ThreadRun,
    ToolApproval,
    ToolOutput,
    UpdateRunRequest,
    WireModel,
)

ToolOutputs = Sequence[ToolOutput | WireModel | Mapping[str, Any]]
ToolApprovals = Sequence[ToolApproval | Mapping[str, Any]]


class AsyncRuns(AsyncResource):
    """Operations on runs. One run at a time can be active on a thread.

    Creating, and submitting outputs, is sent once: when the outcome is not known, the error says so
    (`outcome_unknown`) and the caller looks before sending again.
    """

    def __init__(self, transport: AsyncTransport, auto: AutoFunctionCalls) -> None:
        super().__init__(transport)
        self._auto = auto

    async def create(
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
        return await self._create(
            ThreadRun, path_of("threads", thread_id, "runs"), body, include_params(include)
        )

    async def create_thread_and_run(
        self, request: CreateThreadAndRunRequest | None = None, /, **fields: Any
    ) -> ThreadRun:
        """Creates a thread with its messages and starts a run on it (`assistant_id=`, `thread=`, ...)."""
        body = {**request_body(CreateThreadAndRunRequest, request, fields), "stream": False}
        return await self._create(ThreadRun, "/threads/runs", body)

    async def create_and_process(
        self,
        thread_id: str,
        request: CreateRunRequest | None = None,
        /,
        *,
        include: Sequence[str] | None = None,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        poll_interval: float = FIRST_PAUSE,
        deadline: float | None = None,
        check: bool = True,
        **fields: Any,
    ) -> ThreadRun:
        """Starts a run, calls the functions that it asks for, and waits for its end.

        Args:
            thread_id: The thread.
            request: The run, or its fields by name.
            include: Values of `RunAdditionalFieldList`.
            toolset: Its definitions and resources are the run's, unless the fields name others, its
                functions are called, and its MCP tools with an `approve` decide on their calls; by default
                those of `enable_auto_function_calls`.
            max_rounds: Times that the run may ask for functions or approvals.
            poll_interval: The first pause between two reads, in seconds; pauses grow.
            deadline: Seconds after which the run is cancelled; by default, the run's own life.
            check: Whether a run that did not complete is raised.
            **fields: The fields of the run, instead of `request`.

        Returns:
            The run: completed (or as it ended, without `check`), or waiting for what no toolset answers: look
            at its `required_action`, answer it, and `wait`.

        Raises:
            RunThrottledError, RunServerError, RunExpiredError, RunCancelledError, RunIncompleteError,
            RunContentFilteredError, RunFailedError: How the run ended, or that the deadline passed.
            ToolError: The run asked for functions in too many rounds; it is cancelled.
        """
        fields = fields if request is not None else with_toolset(fields, toolset)
        body = {**request_body(CreateRunRequest, request, fields), "stream": False}
        path = path_of("threads", thread_id, "runs")
        call = ServiceRequest("POST", path, creates=True, body=body, params=include_params(include))
        with self._transport.observe(call, "runs.create_and_process") as observer:
            run = await self._call(ThreadRun, call)
            run = await self._process(run, toolset, max_rounds, poll_interval, deadline, cancel=True)
            observer.answered(run.to_wire())
            return _checked(run, check)

    async def create_thread_and_process(
        self,
        request: CreateThreadAndRunRequest | None = None,
        /,
        *,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        poll_interval: float = FIRST_PAUSE,
        deadline: float | None = None,
        check: bool = True,
        **fields: Any,
    ) -> ThreadRun:
        """Creates a thread with its messages, and does on it what `create_and_process` does."""
        fields = fields if request is not None else with_toolset(fields, toolset)
        body = {**request_body(CreateThreadAndRunRequest, request, fields), "stream": False}
        call = ServiceRequest("POST", "/threads/runs", creates=True, body=body)
        with self._transport.observe(call, "runs.create_thread_and_process") as observer:
            run = await self._call(ThreadRun, call)
            run = await self._process(run, toolset, max_rounds, poll_interval, deadline, cancel=True)
            observer.answered(run.to_wire())
            return _checked(run, check)

    async def wait(
        self,
        thread_id: str,
        run_id: str,
        *,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        poll_interval: float = FIRST_PAUSE,
        deadline: float | None = None,
        check: bool = True,
    ) -> ThreadRun:
        """Follows a run that exists, as `create_and_process` does; at the deadline it is left running."""
        run = await self.get(thread_id, run_id)
        run = await self._process(run, toolset, max_rounds, poll_interval, deadline, cancel=False)
        return _checked(run, check)

    def stream(
        self,
        thread_id: str,
        request: CreateRunRequest | None = None,
        /,
        *,
        include: Sequence[str] | None = None,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        event_handler: AsyncAgentEventHandler | None = None,
        resume: bool | None = None,
        without: Collection[str] = (),
        **fields: Any,
    ) -> AsyncRunStream:
        """Like `create`, followed by its events: `async with client.runs.stream(...) as events: ...`.

        `toolset` and `max_rounds` are as in `create_and_process`: functions that the run asks for are called,
        and its further events follow in the same iterator. `event_handler` is told of every event that is
        read. `resume` falls back to reading the run when the stream breaks; it is on unless said otherwise
        where there is a handler or a toolset. Events named in `without` are passed over unread, which saves
        time; ValueError for one that tells the run's id, its calls, its error or its end.
        """
        fields = fields if request is not None else with_toolset(fields, toolset)
        body = {**request_body(CreateRunRequest, request, fields), "stream": True}
        path = path_of("threads", thread_id, "runs")
        call = ServiceRequest("POST", path, creates=True, body=body, params=include_params(include))
        return self._stream(call, thread_id, None, toolset, max_rounds, event_handler, resume, without)

    def stream_thread_and_run(
        self,
        request: CreateThreadAndRunRequest | None = None,
        /,
        *,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        event_handler: AsyncAgentEventHandler | None = None,
        resume: bool | None = None,
        without: Collection[str] = (),
        **fields: Any,
    ) -> AsyncRunStream:
        """Like `create_thread_and_run`, followed by its events, as in `stream`."""
        fields = fields if request is not None else with_toolset(fields, toolset)
        body = {**request_body(CreateThreadAndRunRequest, request, fields), "stream": True}
        call = ServiceRequest("POST", "/threads/runs", creates=True, body=body)
        return self._stream(call, None, None, toolset, max_rounds, event_handler, resume, without)

    async def get(self, thread_id: str, run_id: str) -> ThreadRun:
        """Reads a run. Raises NotFoundError."""
        return await self._get(ThreadRun, path_of("threads", thread_id, "runs", run_id))

    def list(
        self,
        thread_id: str,
        *,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> AsyncIterator[ThreadRun]:
        """All runs of a thread, newest first unless `order="asc"`; `limit` (1 to 100) is the page size."""
        params = {"limit": limit, "order": order, "after": after, "before": before}
        return self._list(ThreadRun, path_of("threads", thread_id, "runs"), params)

    async def update(
        self, thread_id: str, run_id: str, request: UpdateRunRequest | None = None, /, **fields: Any
    ) -> ThreadRun:
        """Changes the `metadata=` of a run."""
        body = request_body(UpdateRunRequest, request, fields)
        return await self._update(ThreadRun, path_of("threads", thread_id, "runs", run_id), body)

    async def cancel(self, thread_id: str, run_id: str) -> ThreadRun:
        """Asks a run to stop; it is `cancelling` first. Raises BadRequestError if it has ended."""
        return await self._update(ThreadRun, path_of("threads", thread_id, "runs", run_id, "cancel"))

    async def submit_tool_outputs(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs | None = None,
        *,
        tool_approvals: ToolApprovals | None = None,
    ) -> ThreadRun:
        """Answers all calls that a run waits for, in one request; approvals only in the preview."""
        call = outputs_call(thread_id, run_id, outputs=tool_outputs, approvals=tool_approvals, stream=False)
        return await self._call(ThreadRun, call)

    async def submit_tool_approvals(
        self, thread_id: str, run_id: str, tool_approvals: ToolApprovals
    ) -> ThreadRun:
        """Approves or refuses all MCP calls that a run waits for (`ToolApproval`), in one request.

        Then the run is `in_progress` again (recorded). `wait` follows it on.
        """
        return await self.submit_tool_outputs(thread_id, run_id, tool_approvals=tool_approvals)

    def submit_tool_outputs_stream(
        self,
        thread_id: str,
        run_id: str,
        tool_outputs: ToolOutputs | None = None,
        *,
        tool_approvals: ToolApprovals | None = None,
        toolset: CallableTools | None = None,
        max_rounds: int | None = None,
        event_handler: AsyncAgentEventHandler | None = None,
        resume: bool | None = None,
        without: Collection[str] = (),
    ) -> AsyncRunStream:
        """Like `submit_tool_outputs`, followed by the events of the run from then on, as in `stream`."""
        call = outputs_call(thread_id, run_id, outputs=tool_outputs, approvals=tool_approvals, stream=True)
        return self._stream(call, thread_id, run_id, toolset, max_rounds, event_handler, resume, without)

    def _stream(
        self,
        call: ServiceRequest,
        thread_id: str | None,
        run_id: str | None,
        toolset: CallableTools | None,
        max_rounds: int | None,
        handler: AsyncAgentEventHandler | None,
        resume: bool | None,
        without: Collection[str],
    ) -> AsyncRunStream:
        auto = self._functions(toolset, max_rounds)
        return AsyncRunStream(
            AsyncEventStream(self._transport, call, thread_id=thread_id, run_id=run_id, without=without),
            AsyncRunCalls(self._transport, auto),
            handler=handler,
            resume=resume if resume is not None else handler is not None or auto.toolset is not None,
        )

    def _functions(self, toolset: CallableTools | None, max_rounds: int | None) -> AutoFunctionCalls:
        return AutoFunctionCalls(
            toolset if toolset is not None else self._auto.toolset,
            max_rounds if max_rounds is not None else self._auto.max_rounds,
        )

    async def _process(
        self,
        run: ThreadRun,
        toolset: CallableTools | None,
        max_rounds: int | None,
        poll_interval: float,
        deadline: float | None,
        *,
        cancel: bool,
    ) -> ThreadRun:
        calls = AsyncRunCalls(self._transport, self._functions(toolset, max_rounds))
        pauses = polls(poll_interval)
        while not run.is_terminal:
            if calls.answerable(run):
                run = await calls.submit(run)
                pauses.restart()
                continue
            if run.status == RunStatus.REQUIRES_ACTION:
                return run
            limit = run_limit(run.created_at, run.expires_at, deadline)
            pause = pauses.next(limit)
            if pause is None:
                raise await calls.expire(run, limit, cancel=cancel)
            await _runtime.async_sleep(pause)
            run = await calls.read(run.thread_id, run.id)
        return run


def _checked(run: ThreadRun, check: bool) -> ThreadRun:
    error = run_error(run)
    if check and error is not None:
        raise error
    return run
