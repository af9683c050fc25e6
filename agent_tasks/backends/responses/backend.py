"""The backend of the Responses wire: agents with versions, or none; conversations, or none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal, Self

import httpx
from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from agent_tasks.backends.base import (
    ActiveTurn,
    AgentSpec,
    ApprovalDecision,
    Capabilities,
    FoundTurn,
    JsonObject,
    Mark,
    MarkedResource,
    ResourceKind,
    StoreStatus,
    TurnRef,
    TurnRequest,
    TurnUpdate,
)
from agent_tasks.backends.listing import whole_list
from agent_tasks.backends.marks import (
    files_newest_first,
    find_file,
    find_newest,
    marked_name,
    marked_resource,
    metadata_of,
)
from agent_tasks.backends.owned import refuse_classic
from agent_tasks.backends.responses.answers import RUNNING
from agent_tasks.backends.responses.conversations import MarkedConversations
from agent_tasks.backends.responses.live import LiveAnswers, with_answers
from agent_tasks.backends.responses.probe import abilities_of
from agent_tasks.backends.responses.rounds import Rounds, looks
from agent_tasks.backends.responses.service import Abilities, ResponsesService, is_gone, translated
from agent_tasks.backends.responses.stateless import StatelessTurns
from agent_tasks.backends.responses.stored import StoredTurns, outputs_as_items
from agent_tasks.backends.responses.words import InlineWords, VersionWords, agent_name, definition
from agent_tasks.client import AsyncResponsesClient, path_of
from agent_tasks.errors import BadRequestError, NotFoundError, ServiceError
from agent_tasks.pauses import Pauses

__all__ = ["FOUNDRY", "ResponsesBackend", "capabilities_of"]

FOUNDRY = Abilities(agents=True, conversations=True, lists=True)
"""What a project of Foundry has (docs/wire.md, "The successor")."""

_API_VERSION = "v1"  # of `/agents`; below `/openai/v1` there is none
_INLINE = "inline:"  # how ids of agents begin that are in the request alone

Credential = AsyncTokenCredential | TokenCredential | SecretStr | None


class ResponsesBackend:
    """`Backend` over the Responses wire.

    With agents (Foundry) an agent is a version, which requests refer to. Without (*inline*) it is in each
    request: nothing is made, so nothing can be left behind. A turn is a conversation with the prompt, then a
    response for each round; where the server keeps no conversations the journal does.

    Args:
        client: speaks below the address of `/responses`.
        can: what the endpoint has.
        agents: speaks below the project's address, where `/agents` is; None without agents.
        identity: the service's address; the client's if not given.
        pauses: the waits before a round is believed to be the last.
    """

    def __init__(
        self,
        client: AsyncResponsesClient,
        can: Abilities,
        *,
        agents: AsyncResponsesClient | None = None,
        identity: str | None = None,
        pauses: Callable[[], Pauses] = looks,
    ) -> None:
        self._client = client
        self._can = can
        self._capabilities = capabilities_of(can)
        self._agents = agents
        self._identity = identity or client.endpoint
        self._service = ResponsesService(client, can)
        self._conversations = MarkedConversations(self._service)
        words = VersionWords() if can.agents else InlineWords()
        rounds = Rounds(self._service, pauses)
        self._stored = StoredTurns(self._service, words, rounds, self._conversations)
        self._turns: StoredTurns | StatelessTurns = (
            self._stored if can.conversations else StatelessTurns(client, words)
        )

    @classmethod
    @asynccontextmanager
    async def of_project(
        cls,
        endpoint: str,
        credential: Credential,
        *,
        told: LiveAnswers | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> AsyncIterator[Self]:
        """Open clients for a project of Foundry (`PROJECT_ENDPOINT`) and close them at the end.

        Args:
            endpoint: the project's address.
            credential: any azure-identity credential, a token or key, or None on this machine.
            told: what the project has told of itself (`agent-tasks doctor --live`).
            transport: replaces the network, for tests.
        """
        base = endpoint.strip().rstrip("/")
        async with (
            AsyncResponsesClient(f"{base}/openai/v1", credential, transport=transport) as client,
            AsyncResponsesClient(base, credential, api_version=_API_VERSION, transport=transport) as agents,
        ):
            can = with_answers(FOUNDRY, told or LiveAnswers())
            yield cls(client, can, agents=agents, identity=agents.endpoint)

    @classmethod
    @asynccontextmanager
    async def of_server(
        cls, base_url: str, key: SecretStr | None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncIterator[Self]:
        """Open a client for any server of responses (`OPENAI_BASE_URL`), and ask what it has."""
        async with AsyncResponsesClient(base_url, key, transport=transport) as client:
            yield cls(client, await abilities_of(client))

    @property
    def identity(self) -> str:
        """The address of the project, or of the server."""
        return self._identity

    @property
    def capabilities(self) -> Capabilities:
        """What follows from what the endpoint has."""
        return self._capabilities

    @property
    def empty_conversations(self) -> MarkedConversations | None:
        """Makes conversations where the service keeps them and lists them."""
        return self._conversations if self._can.conversations and self._can.lists else None

    # --- what is created -------------------------------------------------------------------------------

    async def create_agent(self, spec: AgentSpec, mark: Mark) -> str:
        """Create the first version of an agent whose name carries the mark; inline: none."""
        definition(spec)  # what has no counterpart is refused here too
        if self._agents is None:
            return f"{_INLINE}{mark.text}"
        body = {
            "definition": definition(spec),
            "metadata": metadata_of(mark),
            **({"description": spec.description} if spec.description else {}),
        }
        made = await self._agents.post(path_of("agents", agent_name(spec, mark), "versions"), body)
        return f"{made['name']}:{made['version']}"

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

    def start_turn(self, request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        """Make the conversation if there is none, then ask for the first response and follow it."""
        return self._turns.start(request, mark)

    def follow_turn(self, ref: TurnRef) -> AsyncIterator[TurnUpdate]:
        """Find the newest round and follow it."""
        return self._turns.follow(ref)

    def answer_tools(self, ref: TurnRef, outputs: Sequence[tuple[str, str]]) -> AsyncIterator[TurnUpdate]:
        """Ask for the next response with all outputs as its input, once."""
        return self._turns.answer(ref, outputs_as_items(outputs), {call_id for call_id, _ in outputs})

    def answer_approvals(
        self, ref: TurnRef, decisions: Sequence[ApprovalDecision]
    ) -> AsyncIterator[TurnUpdate]:
        """Ask for the next response with all decisions as its input, once."""
        items: list[JsonObject] = [
            {
                "type": "mcp_approval_response",
                "approval_request_id": decision.call_id,
                "approve": decision.approve,
            }
            for decision in decisions
        ]
        return self._turns.answer(ref, items, {decision.call_id for decision in decisions})

    async def active_turn(self, conversation: str) -> ActiveTurn | None:
        """The response that runs, or whose calls are open; a server that keeps nothing has none."""
        return await self._stored.active(conversation) if self._can.conversations else None

    async def cancel_turn(self, ref: TurnRef) -> bool:
        """Cancel the newest round; where nothing is kept, a response ends with its connection."""
        return await self._stored.cancel(ref) if self._can.conversations else True

    # --- look-ups --------------------------------------------------------------------------------------

    async def find(self, kind: Literal["agent", "file", "store"], mark: Mark, *, since: float) -> str | None:
        """Look through the service's lists, newest first, back to `since`; files are listed whole."""
        if kind == "agent" and self._agents is None:
            return f"{_INLINE}{mark.text}"  # nothing is made of it, so it is always there
        if kind == "file":
            return await find_file(self._client.files.list(), mark, since)
        return await find_newest(self._listed(kind), mark, since)

    async def find_turn(
        self, mark: Mark, *, conversation: str | None, is_own: bool = False, since: float
    ) -> FoundTurn | None:
        """Find a response by its mark; where nothing is kept there is nothing to be found."""
        if not self._can.conversations:
            return None
        return await self._stored.find(mark, conversation=conversation, is_own=is_own, since=since)

    async def marked(self, kind: ResourceKind, *, limit: int) -> AsyncIterator[MarkedResource]:
        """Look through one of the service's lists, the newest first."""
        seen = 0
        with contextlib.suppress(NotFoundError):  # a server without such a list has nothing of ours
            async for item in self._listed(kind):
                seen += 1
                if seen > limit:
                    return
                found = marked_resource(kind, item)
                if found is not None:
                    yield found

    async def _listed(self, kind: ResourceKind) -> AsyncIterator[Any]:
        match kind:
            case "file":
                listed: AsyncIterator[Any] = files_newest_first(self._client.files.list())
            case "store":
                listed = whole_list(lambda: self._client.vector_stores.list(order="desc", limit=100))
            case "agent":
                listed = self._listed_agents()
            case "conversation":
                listed = self._listed_conversations()
        async for item in listed:
            yield item

    async def _listed_agents(self) -> AsyncIterator[Any]:
        if self._agents is None:
            return
        async for agent in self._agents.pages("/agents", {"order": "desc", "limit": 100}):
            latest = (agent.get("versions") or {}).get("latest") or {}
            yield SimpleNamespace(
                id=f"{agent['name']}:{latest.get('version', '1')}",
                name=agent["name"],
                metadata=latest.get("metadata"),
                created_at=latest.get("created_at") or 0,
            )

    async def _listed_conversations(self) -> AsyncIterator[Any]:
        async for one in self._service.conversations():
            yield SimpleNamespace(
                id=one["id"], name="", metadata=one.get("metadata"), created_at=one.get("created_at") or 0
            )

    async def exists(self, kind: ResourceKind, remote_id: str) -> bool:
        """One GET; what is in requests alone, or in the journal, is always there."""
        path = self._path(kind, remote_id)
        if path is None:
            return True
        client = self._agents if kind == "agent" and self._agents is not None else self._client
        try:
            await client.get(path)
        except ServiceError as error:
            if is_gone(error):
                return False
            raise
        return True

    async def delete(self, kind: ResourceKind, remote_id: str) -> None:
        """One DELETE; of a conversation its responses first, which nothing says would go with it."""
        path = self._path(kind, remote_id)
        if path is None:
            return
        if kind == "agent" and self._agents is not None:
            await _gone(self._agents, path_of("agents", remote_id.rpartition(":")[0]))
            return
        if kind == "conversation":
            await self._delete_responses(remote_id)
        await _gone(self._client, path)

    async def _delete_responses(self, conversation: str) -> None:
        if self._can.cascades:
            return
        try:
            responses = await self._service.responses(conversation)
        except NotFoundError:
            return
        for response in responses:
            response_id = str(response["id"])
            if response.get("status") in RUNNING:
                with (
                    contextlib.suppress(BadRequestError, NotFoundError),
                    translated(),
                ):  # it has ended meanwhile
                    await self._client.post(path_of("responses", response_id, "cancel"), {}, creates=False)
            await _gone(self._client, path_of("responses", response_id))

    def _path(self, kind: ResourceKind, remote_id: str) -> str | None:
        refuse_classic(kind, remote_id)
        match kind:
            case "agent":
                if self._agents is None or remote_id.startswith(_INLINE):
                    return None
                name, _, version = remote_id.rpartition(":")
                return path_of("agents", name or remote_id, "versions", version or "1")
            case "conversation":
                return path_of("conversations", remote_id) if self._can.conversations else None
            case "file":
                return path_of("files", remote_id)
            case "store":
                return path_of("vector_stores", remote_id)


def capabilities_of(can: Abilities) -> Capabilities:
    """What an endpoint guarantees, by what it has."""
    if can.agents:
        service, lost = "Foundry agents (responses)", "responses of the conversation by their mark"
    elif can.lists:
        service, lost = "responses, inline, with lists", "responses of the conversation by their mark"
    elif can.conversations:
        service, lost = "responses, inline", "the items of the conversation, once the response has ended"
    else:
        service, lost = "responses, inline, without a store", "not at all: it is asked for again"
    return Capabilities(
        service=service,
        in_keys="agents" if can.agents else "inline",
        lost_turn=lost,
        turns_once=can.proves_absence,
        keeps_conversations=can.conversations,
        keeps_agents=can.agents,
        approvals_by_turn=not can.agents,
        can_cancel=can.conversations and can.background,
    )


async def _gone(client: AsyncResponsesClient, path: str) -> None:
    try:
        await client.delete(path)
    except ServiceError as error:
        if not is_gone(error):
            raise
