"""Bodies of answers with status >= 400."""

from __future__ import annotations

from agent_tasks.wire.base import WireModel


class AgentErrorDetail(WireModel):
    """What was wrong; each field may be null. The gateway sends `code` and `message` alone."""

    message: str | None = None
    type: str | None = None
    param: str | None = None
    code: str | None = None


class AgentV1Error(WireModel):
    """The body of an error, of the service and of its gateway."""

    error: AgentErrorDetail
