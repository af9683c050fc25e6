"""What operations take and give: plain pydantic models, fit for Prefect, the journal and JSON."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from agent_tasks.backends.base import (
    AgentSpec,
    Citation,
    ConnectedAgent,
    ImageInput,
    RemoteFile,
    RemoteStore,
)
from agent_tasks.backends.usage import TokenCount, Usage, UsageSum
from agent_tasks.pending import refuse_pending

__all__ = [
    "AgentSpec",
    "Citation",
    "ConnectedAgent",
    "Decision",
    "ImageInput",
    "RemoteAgent",
    "RemoteFile",
    "RemoteStore",
    "ToolCallOutcome",
    "TurnResult",
    "TurnSpec",
    "Usage",
    "UsageSum",
]


DEFAULT_TTL = timedelta(hours=24)
"""How long a resource may live before the sweep removes it, unless its owner is released before."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RemoteAgent(_Model):
    """An agent on the service."""

    id: str
    key: str
    """What it is: a hash of its specification."""
    name: str
    reused: bool = False
    spec: AgentSpec | None = Field(default=None, repr=False, exclude=True)
    """What it is, where this process made it; a service that keeps no agents is told with each turn."""


def _awaited(value: Any, info: ValidationInfo) -> Any:
    refuse_pending("a TurnSpec", **{info.field_name or "an argument": value})
    return value


class TurnSpec(_Model):
    """One prompt to one agent, and what bounds it.

    Raises NotAwaitedError where it is given a call that was not awaited, such as `ensure_agent(...)`.
    """

    step: str
    """The step's name in its pipeline, such as `extract`."""
    agent: Annotated[RemoteAgent, BeforeValidator(_awaited)]
    prompt: Annotated[str, BeforeValidator(_awaited)]
    images: tuple[ImageInput, ...] = ()
    """What the prompt shows, in this order. Keys are made of the images' keys."""
    earlier_images: tuple[ImageInput, ...] = Field(default=(), exclude=True, repr=False)
    """What the conversation may have shown before, to show it again where no service keeps it. No part of the
    key."""
    conversation: str | None = None
    """The conversation of an earlier turn, to continue it; None begins a new one."""
    after: str | None = None
    """The key of that earlier turn. Keys are made of it and not of the conversation's id."""
    tool_choice: dict[str, Any] | str | None = None
    response_format: dict[str, Any] | str | None = None
    instructions: str | None = None
    """In place of the agent's own, for this turn."""
    max_completion_tokens: int | None = None
    deadline: float = 600.0
    """Seconds until the turn is given up and cancelled, whatever it is doing."""
    owner: str
    """What the turn is for, such as a document of a batch; part of the turn's key, and the owner of its
    conversation in the ledger, unless there is a `keeper`."""
    keeper: str | None = None
    """Whose the conversation is in the ledger, where that is not the owner: the run that asked, for an answer
    that other runs may take. No part of the key."""
    ttl: timedelta = DEFAULT_TTL
    """How long a conversation that it begins may live, unless its owner is released before. No part of
    the key."""

    reserved: TokenCount | None = None
    """What it may cost, where somebody keeps a budget; in the journal as long as its outcome is not known. No
    part of the key."""

    @property
    def kept_by(self) -> str:
        """Whose the conversation is in the ledger."""
        return self.keeper or self.owner


class ToolCallOutcome(_Model):
    """A function call that a turn made."""

    call_id: str
    name: str
    output: str
    """What the agent was told."""
    error_type: str | None = None
    """The kind of error, if the output is one."""
    arguments: str | None = None
    """What the agent called it with, as people may see it (`shown_arguments`); None in results of versions
    that did not keep it."""


class TurnResult(_Model):
    """What came of a turn."""

    key: str
    turn_id: str
    conversation: str
    text: str
    citations: list[Citation] = Field(default_factory=list)
    usage: Usage = Field(default_factory=Usage)
    tool_calls: list[ToolCallOutcome] = Field(default_factory=list)
    attempts: int = 1
    """How many turns the service was asked for until this one (1 unless some failed)."""
    throttled: int = 0
    """How many of the attempts before it were throttled."""
    resent: int = 0
    """How many requests of its the client has sent again by itself, such as after 429, 5xx or Retry-After."""
    resent_throttled: int = 0
    """How many of them because too much was asked of the service (429)."""
    seconds: float = 0.0
    """How long it took the worker that had the answer, all its attempts together."""
    reused: bool = False
    """True: an earlier call paid for it, nothing was sent."""


class Decision(_Model):
    """What a person decided, or the time limit's policy in their place."""

    key: str
    """The question's id, as `agent-tasks approvals` knows it."""
    approved: bool
    by: str | None = None
    """Who decided; None: nobody within the time limit."""
    note: str = ""
    """What they said about it."""
    decided_at: float
    """Seconds since the epoch."""
    seen: str
    """The hash of what they were shown."""
