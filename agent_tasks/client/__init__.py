"""Client of the Agents service: typed requests and answers, sign-in, retries, streams."""

from __future__ import annotations

from agent_tasks.client._async.client import AsyncAgentsClient
from agent_tasks.client._async.streams import AsyncEventStream
from agent_tasks.client._options import DEFAULT_API_VERSION, TOKEN_SCOPE, Credential, RetryPolicy, Timeouts
from agent_tasks.client._sync.client import AgentsClient
from agent_tasks.client._sync.streams import EventStream
from agent_tasks.wire import StreamEvent

__all__ = [
    "DEFAULT_API_VERSION",
    "TOKEN_SCOPE",
    "AgentsClient",
    "AsyncAgentsClient",
    "AsyncEventStream",
    "Credential",
    "EventStream",
    "RetryPolicy",
    "StreamEvent",
    "Timeouts",
]
