"""What turns cost, in tokens."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["TokenCount", "Usage"]


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
