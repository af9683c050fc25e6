"""What turns cost, in tokens."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, Field

__all__ = ["NO_USAGE", "TokenCount", "Usage", "UsageSum"]


class TokenCount(BaseModel):
    """Tokens of one model."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt's tokens that the service had in its cache."""
    completion_tokens: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Usage(BaseModel):
    """What a turn cost, in tokens of the model."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Those of the prompt's tokens that the service had in its cache."""
    completion_tokens: int = 0
    total_tokens: int = 0
    models: dict[str, TokenCount] = Field(default_factory=dict)
    """The same by model deployment, where it is known who answered."""

    def __add__(self, other: Usage) -> Usage:
        if self is NO_USAGE:
            return other
        models = dict(self.models)
        for name, used in other.models.items():
            models[name] = models[name] + used if name in models else used
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
            models=models,
        )

    def of_model(self, name: str) -> Usage:
        """The same, of which it is known which model deployment answered."""
        if self.models or not self.total_tokens:
            return self
        used = TokenCount(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            completion_tokens=self.completion_tokens,
        )
        return self.model_copy(update={"models": {name: used}})


NO_USAGE: Final = Usage()
"""What nothing has cost: the same one always, since making models takes longer than adding."""


class UsageSum:
    """The sum of many usages; models are made of it when it is asked for, which costs more than adding."""

    __slots__ = ("_cached", "_completion", "_models", "_prompt", "_total")

    def __init__(self) -> None:
        self._prompt = self._cached = self._completion = self._total = 0
        self._models: dict[str, list[int]] = {}

    def add(self, usage: Usage) -> None:
        """Add a usage."""
        self._prompt += usage.prompt_tokens
        self._cached += usage.cached_tokens
        self._completion += usage.completion_tokens
        self._total += usage.total_tokens
        for name, used in usage.models.items():
            counts = self._models.get(name)
            if counts is None:
                counts = self._models[name] = [0, 0, 0]
            counts[0] += used.prompt_tokens
            counts[1] += used.cached_tokens
            counts[2] += used.completion_tokens

    @property
    def usage(self) -> Usage:
        """The sum."""
        return Usage(
            prompt_tokens=self._prompt,
            cached_tokens=self._cached,
            completion_tokens=self._completion,
            total_tokens=self._total,
            models={
                name: TokenCount(prompt_tokens=prompt, cached_tokens=cached, completion_tokens=completion)
                for name, (prompt, cached, completion) in self._models.items()
            },
        )
