"""Client of the Agents service: typed requests and answers, sign-in, retries, streams."""

from __future__ import annotations

from agent_tasks.client._async.client import AsyncAgentsClient
from agent_tasks.client._async.handlers import AsyncAgentEventHandler
from agent_tasks.client._async.responses_client import AsyncResponsesClient
from agent_tasks.client._async.run_streams import AsyncRunStream
from agent_tasks.client._options import DEFAULT_API_VERSION, TOKEN_SCOPE, Credential, RetryPolicy, Timeouts
from agent_tasks.client._outcomes import ended_error, failure, run_error
from agent_tasks.client._requests import path_of
from agent_tasks.client._sync.client import AgentsClient
from agent_tasks.client._sync.handlers import AgentEventHandler
from agent_tasks.client._sync.responses_client import ResponsesClient
from agent_tasks.client._sync.run_streams import RunStream
from agent_tasks.client.functions import CallableTools
from agent_tasks.client.gate import Gate, current_gate, guarded_by
from agent_tasks.client.instrumentation import Instrumentation, OperationObserver, set_instrumentation
from agent_tasks.client.resending import Resent, counting_resent
from agent_tasks.wire import StreamEvent

__all__ = [
    "DEFAULT_API_VERSION",
    "TOKEN_SCOPE",
    "AgentEventHandler",
    "AgentsClient",
    "AsyncAgentEventHandler",
    "AsyncAgentsClient",
    "AsyncResponsesClient",
    "AsyncRunStream",
    "CallableTools",
    "Credential",
    "Gate",
    "Instrumentation",
    "OperationObserver",
    "Resent",
    "ResponsesClient",
    "RetryPolicy",
    "RunStream",
    "StreamEvent",
    "Timeouts",
    "counting_resent",
    "current_gate",
    "ended_error",
    "failure",
    "guarded_by",
    "path_of",
    "run_error",
    "set_instrumentation",
]
