"""What can go wrong before any code runs."""

from __future__ import annotations

INSTALL = (
    "Install bubblewrap (on Debian, Ubuntu and Fedora the package `bubblewrap`) and let its users make user "
    "namespaces; docs/local-service.md, chapter Code, says more. To run code without isolation, with all "
    "that this service may do, start the service with --unisolated-code"
)


class SandboxError(Exception):
    """The process for the code could not be started; nothing was executed."""


class IsolationError(SandboxError):
    """This system cannot isolate code, so none is executed."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Code is executed in isolation only, which fails here: {reason}. {INSTALL}.")
