"""The root of all errors, and how each declares what it carries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, dataclass_transform

from agent_tasks.redaction import redacted

__all__ = ["AgentTasksError"]


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(field,))
class _DeclaredError(Exception):
    """Makes a keyword of each attribute that a class declares; its default is the class's."""

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        dataclass(eq=False, repr=False, kw_only=True)(cls)


def _rebuild(cls: type[AgentTasksError], args: tuple[Any, ...], state: dict[str, Any]) -> AgentTasksError:
    """Make an error again from its pickled parts, without composing its text a second time."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(state)
    return error


class AgentTasksError(_DeclaredError):
    """Base of every error of this library.

    A subclass declares its fields as attributes; each is a keyword when it is raised:

        class LateError(AgentTasksError):
            retryable: bool = True
            seconds: float
    """

    message: str = field(kw_only=False)
    """What failed and what to do; secrets in it are left out."""
    retryable: bool = False
    """Whether the same call may succeed later without any change; a class says its own default."""
    retry_after: float | None = None
    """Seconds to wait before that, where the other side said so."""

    def __post_init__(self) -> None:
        self.message = redacted(self.message)
        self.args = (redacted(self.text()),)

    def text(self) -> str:
        """What `str` gives: the message, and what a kind of error adds to it."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))
