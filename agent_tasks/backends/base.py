"""The seam between durable operations and a service of agents.

Operations speak of agents, files, stores, conversations and turns. A backend turns those words into the
requests of one service: `AgentsBackend` into assistants, threads and runs, `ResponsesBackend` into versions
of agents, conversations and responses. Nothing above this module knows of these.

A turn has *attempts* (after throttling, failure, expiry), and an attempt has *rounds*: an answer, or calls to
be answered. An attempt is known by one id for all its rounds; which round is the current one is the backend's
to find out, and it never takes it from an id that it was given.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent_tasks.backends.usage import NO_USAGE, Usage
from agent_tasks.errors import ConfigurationError

ResourceKind = Literal["agent", "file", "store", "conversation"]
"""What a service creates on request and keeps until it is deleted."""

JsonObject = dict[str, Any]

Memory = tuple[JsonObject, ...]
"""What a conversation holds, item by item, in the words of the backend that gave it."""


class Citation(BaseModel):
    """A place of an answer that points to where it comes from."""

    mark: str
    """The text that stands in the answer, such as `【4:0†source】`; empty where the service puts none."""
    file_id: str | None = None
    file_name: str | None = None
    """The file's own name, where it is known."""
    url: str | None = None
    start: int | None = None
    """Index of the mark's first character in the answer."""
    end: int | None = None
    quote: str | None = None


@dataclass(frozen=True)
class Mark:
    """What an effect carries so that it can be found again: the operation's key and the attempt."""

    key: str
    attempt: int = 1

    @property
    def text(self) -> str:
        """The mark as one word, for names that can carry nothing else."""
        return f"{self.key[:12]}-{self.attempt}"  # short: agents see file names, and pay for them


@dataclass(frozen=True)
class MarkedResource:
    """A resource on the service that carries a mark."""

    kind: ResourceKind
    remote_id: str
    name: str
    key_start: str
    """The mark's key; of files only its beginning."""
    created_at: float


class RemoteFile(BaseModel):
    """A file on the service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    key: str
    """What it is: a hash of its content and name."""
    name: str
    """The file's own name (the service knows it under a name that carries the mark)."""
    bytes: int
    reused: bool = False
    """True: an earlier call uploaded it, nothing was sent."""


class RemoteStore(BaseModel):
    """A vector store on the service, with all its files ingested or refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    key: str
    """What it is: a hash of its name and its files' keys."""
    name: str
    file_ids: list[str]
    failed: dict[str, str] = Field(default_factory=dict)
    """File id to the service's reason, for files that it could not ingest."""
    reused: bool = False


class ConnectedAgent(BaseModel):
    """Another agent that an agent may call as a tool."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    key: str
    """What it is: a hash of its specification."""
    name: str
    """The name that the model calls it by: letters, digits and `_`."""
    description: str
    """What it is for: the model decides by this text when to call it."""


class AgentSpec(BaseModel):
    """An agent as it shall be; what it is called on the service follows from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    model: str
    """The model deployment."""
    instructions: str
    description: str = ""
    tools: list[dict[str, Any]] = Field(default_factory=list)
    """Tools as `agent_tasks.tools` defines them; each backend has its own words for them."""
    stores: list[RemoteStore] = Field(default_factory=list)
    """Vector stores for its file search (the service takes one). The agent's key is made of their keys."""
    files: list[RemoteFile] = Field(default_factory=list)
    """Files for its code interpreter; likewise."""
    connected: list[ConnectedAgent] = Field(default_factory=list)
    """Agents that it may call; likewise."""
    tool_resources: dict[str, Any] = Field(default_factory=dict, repr=False)
    """What its tools work on besides, likewise. Ids in here become part of the agent's key."""
    temperature: float | None = None
    top_p: float | None = None
    response_format: dict[str, Any] | str | None = None
    approvals: dict[str, dict[str, Any] | str] = Field(default_factory=dict)
    """Label of an MCP server to which of its calls wait for approval. No part of the agent's key."""

    @model_validator(mode="after")
    def _uses_what_it_has(self) -> AgentSpec:
        kinds = {tool.get("type") for tool in self.tools}
        for what, kind in (("stores", "file_search"), ("files", "code_interpreter")):
            if getattr(self, what) and kind not in kinds:
                raise ConfigurationError(
                    f"The agent {self.name} has {what} and no {kind} tool, so it would never look into "
                    f"them. Add the tool to its `tools`, or leave `{what}` out.",
                    setting=what,
                )
        return self


@dataclass(frozen=True)
class ServerAccess:
    """How a turn reaches an MCP server of its agent."""

    label: str
    """The server's label."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent to the server with this turn alone; may hold secrets."""
    require_approval: JsonObject | str | None = None
    """Which calls wait for approval: `always`, `never`, or tools by name."""


@dataclass(frozen=True)
class ApprovalDecision:
    """Whether a call of an MCP server is made."""

    call_id: str
    approve: bool
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For the server, if the call is made; may hold secrets."""


class ImageInput(BaseModel):
    """An image that a prompt shows to its agent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    """What it shows, such as a page of a document at a size; never of when it was made."""
    name: str
    """The file's own name."""
    file_id: str = ""
    """The file on the service; empty: it is not uploaded yet, or the service keeps no files."""
    detail: Literal["auto", "low", "high"] = "auto"
    """How closely the model looks at it."""
    content: Callable[[], Awaitable[bytes]] | None = Field(default=None, exclude=True, repr=False)
    """Makes it, a JPEG, where it is needed; never written down."""


@dataclass(frozen=True)
class TurnRequest:
    """One prompt to one agent."""

    agent_id: str
    prompt: str
    conversation: str | None = None
    """None: a new conversation."""
    prompt_posted: bool = False
    """True: an earlier attempt has put the prompt into the conversation, as far as operations know."""
    tool_choice: JsonObject | str | None = None
    response_format: JsonObject | str | None = None
    instructions: str | None = None
    max_completion_tokens: int | None = None
    servers: tuple[ServerAccess, ...] = ()
    """Of MCP servers, what is said with each turn."""
    spec: AgentSpec | None = field(default=None, repr=False)
    """What the agent is, where its maker told; services without agents need it with each turn."""
    memory: Memory = field(default=(), repr=False)
    """What the conversation held before, for a service that keeps none."""
    is_heard: bool = True
    """Whether somebody listens to the answer as it is written (`TurnText`); its end has the whole of it."""
    images: tuple[ImageInput, ...] = ()
    """What the prompt shows, in this order."""
    earlier_images: tuple[ImageInput, ...] = field(default=(), repr=False)
    """What the conversation may have shown before, for a service that keeps none."""


@dataclass(frozen=True)
class TurnRef:
    """Where an attempt at a turn is."""

    conversation: str
    turn_id: str
    """The attempt's, for all its rounds."""
    mark: Mark | None = field(default=None, compare=False)
    """What started it, so that its newest round can be looked up."""
    request: TurnRequest | None = field(default=None, compare=False, repr=False)
    """What it asks; a service that keeps no agent is told again in each round."""
    round: int = field(default=1, compare=False)
    """The round that gave this, as far as the backend knows."""
    spent: Usage = field(default_factory=lambda: NO_USAGE, compare=False)
    """What the rounds until then have cost."""


@dataclass(frozen=True)
class ToolCallRequest:
    """A function that the agent wants called."""

    call_id: str
    name: str
    arguments: str
    """JSON text, as the model wrote it: not necessarily valid."""


@dataclass(frozen=True)
class ApprovalRequest:
    """A call of an MCP server that the service makes only if it is allowed to."""

    call_id: str
    server: str
    """The server's label."""
    name: str
    arguments: str
    """JSON text, as the model wrote it."""


class TurnStatus(enum.StrEnum):
    """How a turn ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class ConversationCreated:
    """The service has a new conversation for the turn, and the turn is not sent yet."""

    conversation: str


@dataclass(frozen=True)
class TurnStarted:
    """The service has the turn; from here on it can be followed by its id."""

    ref: TurnRef


@dataclass(frozen=True)
class TurnRemembered:
    """What a round gave, of a service that keeps nothing: to be committed before anything is done with it."""

    ref: TurnRef
    memory: Memory
    """The whole conversation so far."""


@dataclass(frozen=True)
class TurnText:
    """A piece of the answer, as it is written."""

    text: str


@dataclass(frozen=True)
class TurnNeedsTools:
    """The turn waits for the outputs of these calls. No two calls of an attempt have the same id."""

    ref: TurnRef
    calls: tuple[ToolCallRequest, ...]


@dataclass(frozen=True)
class TurnNeedsApproval:
    """The turn waits for a decision on each of these calls."""

    ref: TurnRef
    calls: tuple[ApprovalRequest, ...]


@dataclass(frozen=True)
class TurnEnded:
    """The turn's outcome."""

    ref: TurnRef
    status: TurnStatus
    text: str = ""
    citations: tuple[Citation, ...] = ()
    usage: Usage = field(default_factory=Usage)
    error_code: str | None = None
    error_message: str | None = None


TurnUpdate = (
    ConversationCreated
    | TurnStarted
    | TurnRemembered
    | TurnText
    | TurnNeedsTools
    | TurnNeedsApproval
    | TurnEnded
)


@dataclass(frozen=True)
class FoundTurn:
    """What reconciling by its mark found of a turn whose answer was lost."""

    conversation: str
    turn_id: str | None
    """None: the conversation is there, the turn was never started."""
    prompt_posted: bool
    """Whether the prompt is in the conversation."""


@dataclass(frozen=True)
class ActiveTurn:
    """A turn that has not ended."""

    ref: TurnRef
    mark: Mark | None
    """What started it; None: nothing of ours."""


@dataclass(frozen=True)
class StoreStatus:
    """How far a store has taken its files in."""

    pending: int
    failed: dict[str, str]
    """File id to the service's reason."""


@dataclass(frozen=True)
class Capabilities:
    """What a backend can look up, and so what it guarantees; docs/durability.md has a table of them."""

    service: str
    """What it is, for people: `Agents (classic)`."""
    in_keys: str
    """What tells its agents from those of other services in keys; empty for the one that was first."""
    lost_turn: str
    """How a turn whose answer was lost is found again."""
    turns_once: bool
    """Whether a turn is never paid for twice."""
    keeps_conversations: bool
    """Whether the service keeps conversations; if not, the journal does."""
    keeps_agents: bool
    """Whether agents are made on the service, and have to be deleted."""
    approvals_by_turn: bool
    """Whether a turn says which calls of MCP servers wait for approval; if not, the agent does."""
    can_cancel: bool
    """Whether a turn can be stopped on the service."""

    @property
    def guarantee(self) -> str:
        """In one sentence what happens once."""
        if self.turns_once:
            return "Functions are called once, and turns are paid for once."
        return "Functions are called once; a turn whose answer was lost may be paid for twice."


class ConversationMaker(Protocol):
    """Makes empty conversations, for turns that begin in one instead of making it first.

    They can be found again by the operation that makes them, so that none is lost whose making was not heard
    of. Raises as `Backend` does.
    """

    async def create(self, mark: Mark) -> str:
        """Make a conversation that carries the mark; returns its id."""
        ...

    async def find(self, key: str, *, since: float) -> list[str]:
        """The ids of all whose marks have this key, looked for back to `since` (seconds since the epoch)."""
        ...


class Backend(Protocol):
    """One service of agents. All methods raise `agent_tasks.errors`; none repeats an effect by itself."""

    @property
    def capabilities(self) -> Capabilities:
        """What this service can look up, and what follows from it."""
        ...

    @property
    def identity(self) -> str:
        """The service's address without secrets: the scope of everything that the journal says about it."""
        ...

    @property
    def empty_conversations(self) -> ConversationMaker | None:
        """Makes conversations ahead of turns.

        None: a turn needs no request for its conversation here, or one that was lost could not be found.
        """
        ...

    async def create_agent(self, spec: AgentSpec, mark: Mark) -> str:
        """Create an agent; returns its id."""
        ...

    async def upload_file(self, content: bytes, name: str, purpose: str, mark: Mark) -> str:
        """Upload a file under a name that carries the mark; returns its id."""
        ...

    async def create_store(self, name: str, file_ids: Sequence[str], mark: Mark) -> str:
        """Create a vector store that takes these files in (at most 500); returns its id."""
        ...

    async def add_files(self, store_id: str, file_ids: Sequence[str]) -> None:
        """Let a store take more files in (at most 500 a call)."""
        ...

    async def store_files(self, store_id: str) -> set[str]:
        """The ids of all files that a store knows of, whatever became of them."""
        ...

    async def store_status(self, store_id: str) -> StoreStatus:
        """How far a store has come."""
        ...

    def start_turn(self, request: TurnRequest, mark: Mark) -> AsyncIterator[TurnUpdate]:
        """Start a turn and follow it.

        A conversation that has to be made is told of (`ConversationCreated`) before anything is paid for. An
        attempt that comes after one that failed between its rounds begins with the calls that are open.

        Raises ConversationBusyError if another one is active in the conversation; nothing was posted then.
        """
        ...

    def follow_turn(self, ref: TurnRef) -> AsyncIterator[TurnUpdate]:
        """Follow a turn that was started before, from wherever it is now: its newest round."""
        ...

    def answer_tools(self, ref: TurnRef, outputs: Sequence[tuple[str, str]]) -> AsyncIterator[TurnUpdate]:
        """Hand over the outputs of all waiting calls, as (call id, output), and follow the turn on."""
        ...

    def answer_approvals(
        self, ref: TurnRef, decisions: Sequence[ApprovalDecision]
    ) -> AsyncIterator[TurnUpdate]:
        """Hand over the decisions on all waiting calls, and follow the turn on."""
        ...

    async def active_turn(self, conversation: str) -> ActiveTurn | None:
        """The turn that is active in a conversation, if there is one."""
        ...

    async def cancel_turn(self, ref: TurnRef) -> bool:
        """Ask the service to stop a turn in its newest round; one that has ended is left as it is.

        A turn that waits for outputs has not ended.

        Returns:
            False if it has completed, so that its answer is there and paid for.
        """
        ...

    async def find(self, kind: Literal["agent", "file", "store"], mark: Mark, *, since: float) -> str | None:
        """The id of what carries the mark, looked for back to `since` (seconds since the epoch)."""
        ...

    async def find_turn(
        self, mark: Mark, *, conversation: str | None, is_own: bool = False, since: float
    ) -> FoundTurn | None:
        """A turn by its mark; None if there is provably none.

        Args:
            mark: the turn's.
            conversation: where it was sent to, if that is known.
            is_own: whether no other turn was in that conversation before.
            since: how far to look back (seconds since the epoch).
        """
        ...

    def marked(self, kind: ResourceKind, *, limit: int) -> AsyncIterator[MarkedResource]:
        """Resources that carry a mark, the newest first, among the newest `limit` of their kind."""
        ...

    async def exists(self, kind: ResourceKind, remote_id: str) -> bool:
        """Whether a resource is still there."""
        ...

    async def delete(self, kind: ResourceKind, remote_id: str) -> None:
        """Delete a resource; one that is gone already counts as deleted."""
        ...
