"""What comes of asking an agent."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from agent_tasks.operations import Citation, ToolCallOutcome, Usage

__all__ = ["Answer", "Exchange", "TurnRecord"]

T = TypeVar("T")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TurnRecord(_Model):
    """One of the turns that an answer took: the question, its repairs, those of other models."""

    step: str
    """The step's name, such as `review` or `review-repair-1`."""
    turn_id: str
    """Its id on the service."""
    agent: str
    """The agent's name."""
    model: str
    """The model deployment that was asked."""
    usage: Usage
    """What it cost, all attempts included."""
    attempts: int = 1
    """How often the service was asked (1 unless some attempts failed)."""
    reused: bool = False
    """True: it was in the journal already; nothing was sent, nothing was paid."""
    seconds: float = 0.0
    """How long it took, when it was sent; 0 where an older version did not note it."""


class Exchange(_Model):
    """A prompt and the answer to it, as the conversation has them."""

    prompt: str
    text: str


class Answer(_Model, Generic[T]):
    """What an agent has answered."""

    value: T
    """The answer in the type that was asked for. None only where `errors` says what is wrong with it."""
    text: str
    """The answer as the agent wrote it."""
    agent: str
    """The agent's name."""
    step: str
    """The step's name."""
    key: str
    """The operation key of the last turn."""
    conversation: str
    """The conversation's id on the service."""
    errors: list[str] = Field(default_factory=list)
    """Why the text does not fit the type; empty unless the caller asked for such answers."""
    usage: Usage = Field(default_factory=Usage)
    """What all turns cost together."""
    citations: list[Citation] = Field(default_factory=list)
    """Where the answer says that it has something from."""
    tool_calls: list[ToolCallOutcome] = Field(default_factory=list)
    """The functions that were called, in all turns."""
    turns: list[TurnRecord] = Field(default_factory=list)
    """The turns, in their order."""
    history: list[Exchange] = Field(default_factory=list)
    """All that was said in the conversation up to here."""

    @property
    def reused(self) -> bool:
        """Whether nothing was sent for it: all its turns were in the journal already."""
        return all(turn.reused for turn in self.turns)
