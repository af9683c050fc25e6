"""The backend of the Agents service: assistants, threads and runs behind the seam's words."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Literal, Self

from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from agent_tasks.backends.base import (
    ActiveTurn,
    AgentSpec,
    ApprovalDecision,
    Capabilities,
    FoundTurn,
    Mark,
    MarkedResource,
    ResourceKind,
    StoreStatus,
    TurnEnded,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnStatus,
    TurnText,
    TurnUpdate,
)
from agent_tasks.backends.classic.answers import content_of, needed, ref_of, usage_of
from agent_tasks.backends.classic.words import decided, given, message_content, of_servers
from agent_tasks.backends.listing import whole_list
from agent_tasks.backends.marks import (
    carries,
    files_newest_first,
    find_file,
    find_newest,
    mark_in,
    marked_name,
    marked_resource,
    metadata_of,
)
from agent_tasks.backends.owned import refuse_successors
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.client.polling import polls, run_limit
from agent_tasks.errors import (
    BadRequestError,
    ConflictError,
    ConversationBusyError,
    NotFoundError,
    TransportError,
)
from agent_tasks.wire import (
    AgentStreamEvent,
    ConnectedAgentDetails,
    ConnectedAgentToolDefinition,
    MessageDeltaChunk,
    MessageDeltaTextContent,
    RunStatus,
    StreamEvent,
    ThreadMessage,
    ThreadRun,
)

# The parent API's words; the service gives no code for it (docs/wire.md, "Errors").
_BUSY = re.compile(r"already has an active run|while a run \S+ is active")

# What says nothing about a turn's outcome: half of a stream's events, and most of what reading it costs.
_PASSED_OVER = frozenset(
    {
        AgentStreamEvent.THREAD_RUN_QUEUED,
        AgentStreamEvent.THREAD_RUN_IN_PROGRESS,
        AgentStreamEvent.THREAD_RUN_STEP_CREATED,
        AgentStreamEvent.THREAD_RUN_STEP_IN_PROGRESS,
        AgentStreamEvent.THREAD_RUN_STEP_DELTA,
        AgentStreamEvent.THREAD_RUN_STEP_COMPLETED,
        AgentStreamEvent.THREAD_MESSAGE_CREATED,
        AgentStreamEvent.THREAD_MESSAGE_IN_PROGRESS,
    }
)

UNHEARD = _PASSED_OVER | {AgentStreamEvent.THREAD_MESSAGE_DELTA}
"""What a turn passes over where nobody listens: the pieces of its text too, which its end has as a whole."""

_FIRST_POLL = 0.3  # seconds


CLASSIC = Capabilities(
    service="Agents (classic)",
    in_keys="",
    lost_turn="runs of the thread by their mark, threads by theirs",
    turns_once=True,
    keeps_conversations=True,
    keeps_agents=True,
    approvals_by_turn=True,
    can_cancel=True,
)


class AgentsBackend:
    """`Backend` over an `AsyncAgentsClient`.

    A turn is one streamed request that creates thread, message and run. The marks are in the metadata of
    agents, stores, threads, messages and runs, and in the names of uploaded files.
    """

    empty_conversations = None
    """None are made ahead: a turn's thread comes with its run, in one request."""

    def __init__(self, client: AsyncAgentsClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(
        cls, endpoint: str, credential: AsyncTokenCredential | TokenCredential | SecretStr | None
    ) -> AsyncIterator[Self]:
        """Open a client for the project's endpoint and close it at the end."""
        async with AsyncAgentsClient(endpoint, credential) as client:
            yield cls(client)

    @property
    def identity(self) -> str:
        """The project's endpoint."""
        return self._client.endpoint

    @property
    def capabilities(self) -> Capabilities:
        """Everything can be looked up by its mark."""
        return CLASSIC

    # --- what is created -------------------------------------------------------------------------------

    async def create_agent(self, spec: AgentSpec, mark: Mark) -> str:
        """Create an agent; its metadata carries the mark."""
        resources = dict(spec.tool_resources)
        if spec.stores:
            resources["file_search"] = {"vector_store_ids": [store.id for store in spec.stores]}
        if spec.files:
            resources["code_interpreter"] = {"file_ids": [file.id for file in spec.files]}
        connected = [
            ConnectedAgentToolDefinition(
                connected_agent=ConnectedAgentDetails(
                    id=other.id, name=other.name, description=other.description
                )
            ).to_wire()
            for other in spec.connected
        ]
        fields: dict[str, Any] = {
            "name": spec.name,
            "model": spec.model,
            "instructions": spec.instructions,
            "description": spec.description or None,
            "tools": [*spec.tools, *connected] or None,
            "tool_resources": resources or None,
            "temperature": spec.temperature,
            "top_p": spec.top_p,
            "response_format": spec.response_format,
        }
        agent = await self._client.agents.create(**given(fields), metadata=metadata_of(mark))
        return agent.id

    async def upload_file(self, content: bytes, name: str, purpose: str, mark: Mark) -> str:
        """Upload a file as `NAME.MARK.SUFFIX`."""
        file = await self._client.files.upload(content, filename=marked_name(name, mark), purpose=purpose)
        return file.id

    async def create_store(self, name: str, file_ids: Sequence[str], mark: Mark) -> str:
        """Create a vector store; its metadata carries the mark."""
        store = await self._client.vector_stores.create(
            name=name, file_ids=list(file_ids), metadata=metadata_of(mark)
        )
        return store.id

    async def add_files(self, store_id: str, file_ids: Sequence[str]) -> None:
        """Start a file batch; `store_status` tells when it is through."""
        await self._client.vector_store_file_batches.create(store_id, file_ids=list(file_ids))

    async def store_files(self, store_id: str) -> set[str]:
        """The ids of a store's files."""
        return {file.id async for file in self._client.vector_store_files.list(store_id, limit=100)}

    async def store_status(self, store_id: str) -> StoreStatus:
        """Files still pending, and those that failed with the service's reason."""
        store = await self._client.vector_stores.get(store_id)
        failed = {}
        if store.file_counts.failed:
            async for file in self._client.vector_store_files.list(store_id, filter="failed", limit=100):
                failed[file.id] = file.last_error.message if file.last_error else "no reason given"
        return StoreStatus(pending=store.file_counts.in_progress, failed=failed)

    # --- turns -----------------------------------------------------------------------------------------

    async def start_turn(self, request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        """Create what is missing of thread, message and run in one streamed request, and follow it."""
        fields = given(
            {
                "assistant_id": request.agent_id,
                "instructions": request.instructions,
                "tool_choice": request.tool_choice,
                "response_format": request.response_format,
                "max_completion_tokens": request.max_completion_tokens,
                "tool_resources": of_servers(request),
                "metadata": metadata_of(mark),
            }
        )
        messages = []
        if not request.prompt_posted:
            messages.append(
                {"role": "user", "content": message_content(request), "metadata": metadata_of(mark)}
            )
        if request.conversation is None:
            thread = {"messages": messages, "metadata": metadata_of(mark)}
            stream = self._client.runs.stream_thread_and_run(
                thread=thread, without=_passed_over(request), **fields
            )
        else:
            if messages:
                fields["additional_messages"] = messages
            stream = self._client.runs.stream(request.conversation, without=_passed_over(request), **fields)
        try:
            async with aclosing(self._updates(stream)) as updates:
                async for update in updates:
                    yield update
        except (BadRequestError, ConflictError) as error:
            if _BUSY.search(error.message) is None:
                raise
            raise ConversationBusyError(
                error.message, status=error.status, code=error.code, type=error.type, param=error.param,
                request_id=error.request_id, method=error.method, path=error.path,
            ) from error  # fmt: skip

    async def answer_tools(
        self, ref: TurnRef, outputs: Sequence[tuple[str, str]]
    ) -> AsyncIterator[TurnUpdate]:
        """Submit all outputs at once and follow the run on; one that has gone on already is just followed."""
        stream = self._client.runs.submit_tool_outputs_stream(
            ref.conversation,
            ref.turn_id,
            tool_outputs=[{"tool_call_id": call_id, "output": output} for call_id, output in outputs],
            without=_passed_over(ref.request),
        )
        async for update in self._submitted(ref, stream):
            yield update

    async def answer_approvals(
        self, ref: TurnRef, decisions: Sequence[ApprovalDecision]
    ) -> AsyncIterator[TurnUpdate]:
        """Submit all decisions at once and follow the run on; one that has gone on is just followed."""
        stream = self._client.runs.submit_tool_outputs_stream(
            ref.conversation,
            ref.turn_id,
            tool_approvals=[decided(decision) for decision in decisions],
            without=_passed_over(ref.request),
        )
        async for update in self._submitted(ref, stream):
            yield update

    async def _submitted(
        self, ref: TurnRef, stream: AbstractAsyncContextManager[AsyncIterator[StreamEvent]]
    ) -> AsyncIterator[TurnUpdate]:
        try:
            async with aclosing(self._updates(stream)) as updates:
                async for update in updates:
                    yield update
        except (BadRequestError, ConflictError):
            run = await self._client.runs.get(ref.conversation, ref.turn_id)
            if run.status == RunStatus.REQUIRES_ACTION:
                raise
            async for update in self.follow_turn(ref):
                yield update

    async def follow_turn(self, ref: TurnRef) -> AsyncIterator[TurnUpdate]:
        """Poll a run, with growing pauses, until it ends or asks for tool outputs."""
        pauses = polls(_FIRST_POLL)
        while True:
            run = await self._client.runs.get(ref.conversation, ref.turn_id)
            if run.status == RunStatus.REQUIRES_ACTION:
                yield needed(run)
                return
            if run.is_terminal:
                yield await self._ended(run, await self._answer_of(run))
                return
            if not await pauses.wait(run_limit(run.created_at, run.expires_at, None)):
                raise TransportError(
                    f"The run {run.id} is {run.status} past its own expiry. Look at it on the service."
                )

    async def active_turn(self, conversation: str) -> ActiveTurn | None:
        """Look at the thread's newest runs; the service allows one active run a thread."""
        async for run in self._client.runs.list(conversation, order="desc", limit=20):
            if not run.is_terminal:
                return ActiveTurn(ref_of(run), mark_in(run.metadata))
        return None

    async def cancel_turn(self, ref: TurnRef) -> bool:
        """Cancel a run; one that has ended, or is gone, is left as it is. False if it has completed."""
        try:
            run = await self._client.runs.get(ref.conversation, ref.turn_id)
            if not run.is_terminal and run.status != RunStatus.CANCELLING:
                run = await self._client.runs.cancel(ref.conversation, ref.turn_id)
        except NotFoundError:
            return True
        except (BadRequestError, ConflictError):
            run = await self._client.runs.get(ref.conversation, ref.turn_id)
            if not run.is_terminal and run.status != RunStatus.CANCELLING:
                raise
        return run.status != RunStatus.COMPLETED

    async def _updates(
        self, stream: AbstractAsyncContextManager[AsyncIterator[StreamEvent]]
    ) -> AsyncGenerator[TurnUpdate, None]:
        messages: list[ThreadMessage] = []
        async with stream as events:
            async for event in events:
                match event.data:
                    case ThreadRun() as run:
                        if event.event == AgentStreamEvent.THREAD_RUN_REQUIRES_ACTION:
                            yield needed(run)
                        elif run.is_terminal:
                            yield await self._ended(run, messages)
                        elif event.event == AgentStreamEvent.THREAD_RUN_CREATED:
                            yield TurnStarted(ref_of(run))
                    case MessageDeltaChunk() as chunk:
                        for part in chunk.delta.content or []:
                            if isinstance(part, MessageDeltaTextContent) and part.text and part.text.value:
                                yield TurnText(part.text.value)
                    case ThreadMessage() as message:
                        if event.event == AgentStreamEvent.THREAD_MESSAGE_COMPLETED:
                            messages.append(message)
                    case _:
                        pass  # steps, and events of a newer service, say nothing about the outcome

    async def _answer_of(self, run: ThreadRun) -> list[ThreadMessage]:
        listed = self._client.messages.list(run.thread_id, run_id=run.id, order="asc", limit=100)
        return [message async for message in listed if message.role == "assistant"]

    async def _ended(self, run: ThreadRun, messages: Sequence[ThreadMessage]) -> TurnEnded:
        """A run's outcome. Its answer is its last message; a run may write others between its tool calls."""
        text, citations = content_of(messages[-1]) if messages else ("", ())
        error = run.last_error
        reason = run.incomplete_details.reason if run.incomplete_details else None
        return TurnEnded(
            ref=ref_of(run),
            status=TurnStatus(run.status),
            text=text,
            citations=citations,
            usage=usage_of(run),
            error_code=error.code if error else None,
            error_message=error.message if error else (str(reason) if reason else None),
        )

    # --- look-ups --------------------------------------------------------------------------------------

    async def find(self, kind: Literal["agent", "file", "store"], mark: Mark, *, since: float) -> str | None:
        """Look through the service's lists, newest first, back to `since`; files are listed whole."""
        if kind == "file":
            return await find_file(self._client.files.list(), mark, since)
        return await find_newest(self._newest_first(kind), mark, since)

    async def find_turn(
        self, mark: Mark, *, conversation: str | None, is_own: bool = False, since: float
    ) -> FoundTurn | None:
        """Find a run by its mark: in its thread if that is known, else in a thread that carries the mark."""
        if conversation is None:
            async for thread in self._newest_first("conversation"):
                if thread.created_at < since:
                    return None
                if carries(thread.metadata, mark):
                    conversation = thread.id
                    break
            else:
                return None
        async for run in self._client.runs.list(conversation, order="desc", limit=100):
            if carries(run.metadata, mark):
                return FoundTurn(conversation, run.id, prompt_posted=True)
            if run.created_at < since:
                break
        async for message in self._client.messages.list(conversation, order="desc", limit=100):
            if carries(message.metadata, mark):
                return FoundTurn(conversation, None, prompt_posted=True)
            if message.created_at < since:
                break
        return None

    async def marked(self, kind: ResourceKind, *, limit: int) -> AsyncIterator[MarkedResource]:
        """Look through one of the service's lists, the newest first; files are listed whole."""
        seen = 0
        async for item in self._listed(kind):
            seen += 1
            if seen > limit:
                return
            found = marked_resource(kind, item)
            if found is not None:
                yield found

    async def _listed(self, kind: ResourceKind) -> AsyncIterator[Any]:
        listed = files_newest_first(self._client.files.list()) if kind == "file" else self._newest_first(kind)
        async for item in listed:
            yield item

    def _newest_first(self, kind: ResourceKind) -> AsyncIterator[Any]:
        """A list in pages, also where others delete from it meanwhile."""
        resource: Any = self._resource(kind)
        return whole_list(lambda: resource.list(order="desc", limit=100))

    async def exists(self, kind: ResourceKind, remote_id: str) -> bool:
        """One GET."""
        refuse_successors(kind, remote_id)
        resource: Any = self._resource(kind)
        try:
            await resource.get(remote_id)
        except NotFoundError:
            return False
        return True

    async def delete(self, kind: ResourceKind, remote_id: str) -> None:
        """One DELETE; 404 means that it is gone already."""
        refuse_successors(kind, remote_id)
        resource: Any = self._resource(kind)
        try:
            await resource.delete(remote_id)
        except NotFoundError:
            return

    def _resource(self, kind: ResourceKind) -> object:
        return {
            "agent": self._client.agents,
            "file": self._client.files,
            "store": self._client.vector_stores,
            "conversation": self._client.threads,
        }[kind]


def _passed_over(request: TurnRequest | None) -> frozenset[AgentStreamEvent]:
    """The events of a turn that nobody needs."""
    return _PASSED_OVER if request is None or request.is_heard else UNHEARD
