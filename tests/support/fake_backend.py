"""A fake backend: a service of agents in memory, for what needs the seam and no wire.

It keeps the promises of `agent_tasks.backends.base` (tests/backends/contract.py holds it to them) and has no
model: a function says what an agent does. A turn goes on by itself once it is started, whether or not
somebody reads its updates, as on a service.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal

from agent_tasks.backends.base import (
    ActiveTurn,
    AgentSpec,
    ApprovalDecision,
    ApprovalRequest,
    Capabilities,
    FoundTurn,
    Mark,
    MarkedResource,
    ResourceKind,
    StoreStatus,
    ToolCallRequest,
    TurnEnded,
    TurnNeedsApproval,
    TurnNeedsTools,
    TurnRef,
    TurnRequest,
    TurnStarted,
    TurnStatus,
    TurnText,
    TurnUpdate,
)
from agent_tasks.backends.usage import Usage
from agent_tasks.errors import BadRequestError, ConversationBusyError, NotFoundError


@dataclass(frozen=True)
class Says:
    """The agent answers."""

    text: str


@dataclass(frozen=True)
class Asks:
    """The agent calls a function, or a tool of an MCP server if the agent has no function of that name."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Fails:
    """The turn fails."""

    code: str
    message: str


@dataclass(frozen=True)
class Waits:
    """Nothing happens until the turn is cancelled."""


Step = Says | Asks | Fails | Waits

Script = Callable[[str, Sequence[str], int], Step]
"""What an agent does, by prompt, outputs of its calls so far, and how often the prompt was tried."""


@dataclass
class _Resource:
    kind: ResourceKind
    remote_id: str
    name: str
    mark: Mark
    created_at: float = field(default_factory=time.time)
    spec: AgentSpec | None = None
    content: bytes = b""
    file_ids: list[str] = field(default_factory=list)


@dataclass
class _Turn:
    ref: TurnRef
    spec: AgentSpec
    prompt: str
    nth: int
    mark: Mark
    max_tokens: int | None
    outputs: list[str] = field(default_factory=list)
    needs: TurnNeedsTools | TurnNeedsApproval | None = None
    ended: TurnEnded | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FakeBackend:
    """`Backend` in memory.

    Args:
        script: what agents do.
        servers: MCP servers by label: a function of the call's name and arguments, made once it is approved.
    """

    identity = "fake://agents"
    capabilities = Capabilities(
        service="fake",
        in_keys="",
        lost_turn="by its mark",
        turns_once=True,
        keeps_conversations=True,
        keeps_agents=True,
        approvals_by_turn=True,
        can_cancel=True,
    )
    empty_conversations = None

    def __init__(
        self, script: Script, servers: Mapping[str, Callable[[str, str], str]] | None = None
    ) -> None:
        self._script = script
        self._servers = servers or {}
        self._resources: dict[tuple[ResourceKind, str], _Resource] = {}
        self._prompts: dict[str, list[tuple[str, Mark]]] = {}
        self._turns: dict[TurnRef, _Turn] = {}
        self._ids = itertools.count(1)
        self._tried: Counter[str] = Counter()

    # --- what is created -------------------------------------------------------------------------------

    def _made(self, kind: ResourceKind, name: str, mark: Mark, **more: Any) -> _Resource:
        made = _Resource(kind, f"{kind}_{next(self._ids)}", name, mark, **more)
        self._resources[kind, made.remote_id] = made
        return made

    def _known(self, kind: ResourceKind, remote_id: str) -> _Resource:
        found = self._resources.get((kind, remote_id))
        if found is None:
            raise NotFoundError(f"There is no {kind} {remote_id}.", status=404)
        return found

    async def create_agent(self, spec: AgentSpec, mark: Mark) -> str:
        for store in spec.stores:
            self._known("store", store.id)
        return self._made("agent", spec.name, mark, spec=spec).remote_id

    async def upload_file(self, content: bytes, name: str, purpose: str, mark: Mark) -> str:
        path = PurePath(name)
        return self._made("file", f"{path.stem}.{mark.text}{path.suffix}", mark, content=content).remote_id

    async def create_store(self, name: str, file_ids: Sequence[str], mark: Mark) -> str:
        for file_id in file_ids:
            self._known("file", file_id)
        return self._made("store", name, mark, file_ids=list(file_ids)).remote_id

    async def add_files(self, store_id: str, file_ids: Sequence[str]) -> None:
        store = self._known("store", store_id)
        for file_id in file_ids:
            self._known("file", file_id)
        store.file_ids += [file_id for file_id in file_ids if file_id not in store.file_ids]

    async def store_files(self, store_id: str) -> set[str]:
        return set(self._known("store", store_id).file_ids)

    async def store_status(self, store_id: str) -> StoreStatus:
        files = self._known("store", store_id).file_ids
        empty = {id_: "The file is empty." for id_ in files if not self._known("file", id_).content}
        return StoreStatus(pending=0, failed=empty)

    # --- turns -----------------------------------------------------------------------------------------

    async def start_turn(self, request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        spec = self._known("agent", request.agent_id).spec
        assert spec is not None
        conversation = request.conversation
        if conversation is None:
            conversation = self._made("conversation", "", mark).remote_id
            self._prompts[conversation] = []
        self._known("conversation", conversation)
        if (active := await self.active_turn(conversation)) is not None:
            raise ConversationBusyError(f"{active.ref.turn_id} is active in {conversation}.", status=400)
        if not request.prompt_posted:
            self._prompts[conversation].append((request.prompt, mark))
        prompt = self._prompts[conversation][-1][0]
        self._tried[prompt] += 1
        ref = TurnRef(conversation, f"turn_{next(self._ids)}")
        turn = _Turn(ref, spec, prompt, self._tried[prompt], mark, request.max_completion_tokens)
        self._turns[ref] = turn
        self._go_on(turn)
        yield TurnStarted(ref)
        for update in await self._updates(turn):
            if request.is_heard or not isinstance(update, TurnText):
                yield update

    def _go_on(self, turn: _Turn) -> None:
        """What the service does by itself: until the turn ends, or needs something, or waits."""
        match self._script(turn.prompt, tuple(turn.outputs), turn.nth):
            case Says(text) if turn.max_tokens is not None and len(text) > 4 * turn.max_tokens:
                cut = text[: 4 * turn.max_tokens]
                self._end(turn, TurnStatus.INCOMPLETE, cut, message="max_completion_tokens")
            case Says(text):
                self._end(turn, TurnStatus.COMPLETED, text)
            case Fails(code, message):
                self._end(turn, TurnStatus.FAILED, code=code, message=message)
            case Asks(name, arguments):
                call_id = f"call_{next(self._ids)}"
                if any(tool.get("function", {}).get("name") == name for tool in turn.spec.tools):
                    turn.needs = TurnNeedsTools(turn.ref, (ToolCallRequest(call_id, name, arguments),))
                else:
                    server = next(tool["server_label"] for tool in turn.spec.tools if tool["type"] == "mcp")
                    asked = ApprovalRequest(call_id, server, name, arguments)
                    turn.needs = TurnNeedsApproval(turn.ref, (asked,))

    def _end(
        self,
        turn: _Turn,
        status: TurnStatus,
        text: str = "",
        *,
        code: str | None = None,
        message: str | None = None,
    ) -> None:
        read, written = len(turn.prompt.split()), len(text.split())
        usage = Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)
        turn.needs = None
        turn.ended = TurnEnded(turn.ref, status, text, usage=usage, error_code=code, error_message=message)
        turn.changed.set()

    async def _updates(self, turn: _Turn) -> Sequence[TurnUpdate]:
        if turn.needs is None and turn.ended is None:
            await turn.changed.wait()
        if turn.needs is not None:
            return [turn.needs]
        if turn.ended is not None:
            return [*map(TurnText, turn.ended.text.split(" ")), turn.ended]
        return []

    def _turn(self, ref: TurnRef) -> _Turn:
        self._known("conversation", ref.conversation)
        if ref not in self._turns:
            raise NotFoundError(f"There is no turn {ref.turn_id} in {ref.conversation}.", status=404)
        return self._turns[ref]

    async def follow_turn(self, ref: TurnRef) -> AsyncIterator[TurnUpdate]:
        for update in await self._updates(self._turn(ref)):
            yield update

    async def answer_tools(
        self, ref: TurnRef, outputs: Sequence[tuple[str, str]]
    ) -> AsyncIterator[TurnUpdate]:
        turn = self._turn(ref)
        if isinstance(turn.needs, TurnNeedsTools):
            self._answered(turn, dict(outputs), [output for _, output in outputs])
        for update in await self._updates(turn):
            yield update

    async def answer_approvals(
        self, ref: TurnRef, decisions: Sequence[ApprovalDecision]
    ) -> AsyncIterator[TurnUpdate]:
        turn = self._turn(ref)
        if isinstance(turn.needs, TurnNeedsApproval):
            approved = {decision.call_id: decision.approve for decision in decisions}
            outputs = [
                self._servers[call.server](call.name, call.arguments)
                if approved.get(call.call_id)
                else "The user did not approve the call."
                for call in turn.needs.calls
            ]
            self._answered(turn, approved, outputs)
        for update in await self._updates(turn):
            yield update

    def _answered(self, turn: _Turn, given: Mapping[str, object], outputs: list[str]) -> None:
        assert turn.needs is not None
        if {call.call_id for call in turn.needs.calls} != set(given):
            raise BadRequestError("Expected tool outputs for all waiting calls.", status=400)
        turn.outputs += outputs
        turn.needs = None
        self._go_on(turn)

    async def active_turn(self, conversation: str) -> ActiveTurn | None:
        self._known("conversation", conversation)
        for turn in self._turns.values():
            if turn.ref.conversation == conversation and turn.ended is None:
                return ActiveTurn(turn.ref, turn.mark)
        return None

    async def cancel_turn(self, ref: TurnRef) -> bool:
        try:
            turn = self._turn(ref)
        except NotFoundError:
            return True
        if turn.ended is None:
            self._end(turn, TurnStatus.CANCELLED)
        return turn.ended is None or turn.ended.status is not TurnStatus.COMPLETED

    # --- look-ups --------------------------------------------------------------------------------------

    async def find(self, kind: Literal["agent", "file", "store"], mark: Mark, *, since: float) -> str | None:
        for made in self._resources.values():
            if made.kind == kind and made.mark == mark and made.created_at >= since:
                return made.remote_id
        return None

    async def find_turn(
        self, mark: Mark, *, conversation: str | None, is_own: bool = False, since: float
    ) -> FoundTurn | None:
        if conversation is not None:
            self._known("conversation", conversation)
        for turn in self._turns.values():
            if turn.mark == mark and ("conversation", turn.ref.conversation) in self._resources:
                return FoundTurn(turn.ref.conversation, turn.ref.turn_id, prompt_posted=True)
        return None

    async def marked(self, kind: ResourceKind, *, limit: int) -> AsyncIterator[MarkedResource]:
        of_kind = [made for made in reversed(self._resources.values()) if made.kind == kind]
        for made in of_kind[:limit]:
            key = made.mark.key[:12] if kind == "file" else made.mark.key
            yield MarkedResource(kind, made.remote_id, made.name, key, made.created_at)

    async def exists(self, kind: ResourceKind, remote_id: str) -> bool:
        return (kind, remote_id) in self._resources

    async def delete(self, kind: ResourceKind, remote_id: str) -> None:
        self._resources.pop((kind, remote_id), None)
