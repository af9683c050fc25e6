"""Settings that are missing or wrong."""

from __future__ import annotations

from agent_tasks.errors.base import AgentTasksError


class ConfigurationError(AgentTasksError):
    """A setting is missing or wrong."""

    setting: str | None = None
    """Its name, as the person would write it."""


class InsecureEndpointError(ConfigurationError):
    """A bearer token would travel over plain http to an address that is not loopback."""


class NotInstalledError(ConfigurationError):
    """A part that this needs is not installed; the message has the command that installs it."""


class NotAwaitedError(ConfigurationError):
    """A durable call was taken for its result without `await`: nothing was done."""


class OtherServiceError(ConfigurationError):
    """Something is of another service than the one that is set, which alone can tell of it or delete it."""


class PriceUnknownError(ConfigurationError):
    """A budget in money can't be kept: what a model's tokens cost in its currency is not known."""


class CredentialError(ConfigurationError):
    """The credential gave no token: nobody is signed in, or the identity may not have one."""
