"""The Agents service: endpoint, sign-in, model deployment, setup tier, quota, the time it has left."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import AzureError

from agent_tasks.backends.classic import CLASSIC
from agent_tasks.backends.opening import LIVE, open_backend, read_live
from agent_tasks.client import TOKEN_SCOPE, AsyncAgentsClient, RetryPolicy
from agent_tasks.credentials import make_credential
from agent_tasks.doctor.findings import Finding, failed, not_configured, ok, warning
from agent_tasks.doctor.live import ask_live
from agent_tasks.errors import (
    AgentTasksError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    CredentialError,
    NotFoundError,
    PermissionDeniedError,
)
from agent_tasks.loopback import is_loopback
from agent_tasks.settings import ServiceKind, Settings

RETIREMENT = date(2027, 3, 31)
"""The day on which Microsoft retires this service ("agents (classic)"): docs/wire.md, "Lifetime"."""

PROBE_NAME = "agent-tasks-doctor"
"""Name of the agent that is made and deleted; one that was left behind is deleted by the next check."""

_TOKEN_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True)
class Target:
    """The service that is looked at."""

    endpoint: str
    settings: Settings
    live: bool = False
    """Whether it is asked, for a few cents, what documentation leaves open."""

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: no Azure, no sign-in."""
        return is_loopback(urlsplit(self.endpoint).hostname or "")


async def check_service(target: Target) -> AsyncIterator[Finding]:
    """All checks of the service; those that need an earlier one to pass are left out if it does not."""
    if target.settings.service_kind is not ServiceKind.CLASSIC:
        async for finding in _check_successor(target):
            yield finding
        return
    yield ok("service", f"{target.endpoint} is taken for {CLASSIC.service}. {CLASSIC.guarantee}")
    yield check_retirement(target, datetime.now(UTC).date())
    signed_in = await check_credential(target)
    yield signed_in
    if signed_in.status == "failed":
        return
    try:
        settings = target.settings
        credential = make_credential(settings.credential, settings.token, endpoint=target.endpoint)
        client = AsyncAgentsClient(target.endpoint, credential, retry=RetryPolicy(attempts=2, total_time=20))
    except ConfigurationError as error:
        yield failed("endpoint", str(error), "Correct PROJECT_ENDPOINT.")
        return
    async with client:
        reachable = await _check_endpoint(target, client)
        yield reachable
        if reachable.status == "failed":
            return
        async for finding in _check_model_and_tier(target, client):
            yield finding
    yield _quota_hint(target)


def check_retirement(target: Target, today: date) -> Finding:
    """How long the service will be there."""
    left = (RETIREMENT - today).days
    if target.is_local:
        return ok(
            "retirement", f"The local service stays; Azure's retires on {RETIREMENT} ({left} days left)."
        )
    when = f"in {left} days" if left >= 0 else f"{-left} days ago"
    return warning(
        "retirement",
        f"The service retires on {RETIREMENT}, {when}.",
        "Set AGENT_TASKS_SERVICE=responses to move to its successor; docs/successor.md says what moves.",
    )


async def _check_successor(target: Target) -> AsyncIterator[Finding]:
    """What the endpoint is, and what it guarantees: the successor, or any server of responses."""
    settings, kind = target.settings, target.settings.service_kind
    credential: Any
    if kind is ServiceKind.INLINE:
        credential = settings.openai_api_key
    else:
        signed_in = await check_credential(target)
        yield signed_in
        if signed_in.status == "failed":
            return
        credential = make_credential(settings.credential, settings.token, endpoint=target.endpoint)
    try:
        if target.live:
            async for finding in ask_live(target.endpoint, credential, settings):
                yield finding
        told = read_live(target.endpoint, settings.state_dir / LIVE)
        async with open_backend(target.endpoint, credential, kind, told) as backend:
            async for _ in backend.marked("agent", limit=1):
                break
            can = backend.capabilities
    except AgentTasksError as error:
        remedy = "Check the address, the key or the role (Azure AI User), and AGENT_TASKS_SERVICE."
        yield failed("endpoint", str(error), remedy)
        return
    yield ok("endpoint", f"{target.endpoint} answers.")
    found = f"A lost turn is found by {can.lost_turn}."
    if not can.keeps_conversations:
        found = "A turn whose answer was lost is asked for again."
    yield ok("service", f"It is {can.service}. {can.guarantee} {found}")
    if can == CLASSIC:
        yield check_retirement(target, datetime.now(UTC).date())
    else:
        yield ok("retirement", f"Nothing of it retires on {RETIREMENT}; that is the classic service's day.")
    yield _quota_hint(target)


async def check_credential(target: Target) -> Finding:
    """Whether a token can be had."""
    check, settings = "credential", target.settings
    try:
        credential: Any = make_credential(settings.credential, settings.token, endpoint=target.endpoint)
    except ConfigurationError as error:
        return failed(check, str(error), "Set AGENT_TASKS_TOKEN, or another AGENT_TASKS_CREDENTIAL.")
    if credential is None:
        return ok(check, "A service on this machine needs none.")
    if not hasattr(credential, "get_token"):
        return ok(check, "A token is set (AGENT_TASKS_TOKEN); whether it is taken, the endpoint tells.")
    try:
        async with asyncio.timeout(_TOKEN_TIMEOUT):
            token = await asyncio.to_thread(credential.get_token, TOKEN_SCOPE)
    except TimeoutError:
        why = f"There was no answer within {_TOKEN_TIMEOUT:g} s."
    except AzureError as error:
        why = (error.message or type(error).__name__).splitlines()[0]
    else:
        minutes = int(token.expires_on - datetime.now(UTC).timestamp()) // 60
        return ok(check, f"{settings.credential} gives a token that is valid for {minutes} min.")
    return failed(
        check,
        f"{settings.credential} gives no token: {why}",
        "Sign in (`az login`), or name another kind in AGENT_TASKS_CREDENTIAL.",
    )


async def _check_endpoint(target: Target, client: AsyncAgentsClient) -> Finding:
    check = "endpoint"
    try:
        async for agent in client.agents.list(limit=100):
            if agent.name == PROBE_NAME:
                await client.agents.delete(agent.id)
    except (AuthenticationError, CredentialError) as error:
        return failed(check, str(error), "Sign in for the tenant of the project, with a fresh token.")
    except PermissionDeniedError as error:
        return failed(check, str(error), "Give the identity the role Azure AI User on the project.")
    except NotFoundError:
        remedy = "Copy PROJECT_ENDPOINT from the project's overview page; it ends in /api/projects/PROJECT."
        return failed(check, f"{target.endpoint} answers that there is no such project.", remedy)
    except AgentTasksError as error:
        return failed(check, str(error), "Check the address, the network, and a proxy or firewall between.")
    return ok(check, f"{target.endpoint} answers.")


async def _check_model_and_tier(target: Target, client: AsyncAgentsClient) -> AsyncIterator[Finding]:
    """One agent is made and deleted, with a queue tool that is never called.

    If the service refuses that tool, a second one is made without it. That is the cheapest way to ask: it
    costs no tokens. A service that takes any name tells only when the model is used.
    """
    model = target.settings.model_deployment_name or (
        target.settings.local_model_name if target.is_local else ""
    )
    if not model:
        yield not_configured(
            "model deployment",
            "MODEL_DEPLOYMENT_NAME is not set.",
            "Set it, or name a model in each pipeline.",
        )
        model = "none"
    error = await _refusal(client, model, [_QUEUE_TOOL])
    tier: Finding | None = None
    if error is None:
        tier = ok("setup tier", "The service takes `azure_function` tools: queue tools may be driven by it.")
    elif isinstance(error, BadRequestError) and "azure_function" in str(error):
        tier = warning(
            "setup tier",
            "The service refuses `azure_function` tools, as the basic agent setup does.",
            "Have the pipeline drive queue tools (`drive: pipeline`), or use the standard agent setup.",
        )
        error = await _refusal(client, model, [])
    if model == "none":
        yield tier or not_configured("setup tier", "Without a model the service does not tell.")
        return
    if error is None:
        yield ok("model deployment", f"The service takes an agent with the model {model}.")
    else:
        yield failed(
            "model deployment",
            f"The service refuses an agent with the model {model}: {error}",
            "Deploy the model in the project, and set MODEL_DEPLOYMENT_NAME to the name of the deployment.",
        )
    yield tier or not_configured("setup tier", "Not told, since the service refuses the model.")


_ADDRESS = "https://agenttasksdoctor.queue.core.windows.net"
_QUEUE_TOOL: dict[str, Any] = {
    "type": "azure_function",
    "azure_function": {
        "function": {
            "name": "probe",
            "description": "Never called.",
            "parameters": {"type": "object", "properties": {}},
        },
        **{
            f"{side}_binding": {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": _ADDRESS, "queue_name": f"probe-{side}"},
            }
            for side in ("input", "output")
        },
    },
}


async def _refusal(
    client: AsyncAgentsClient, model: str, tools: list[dict[str, Any]]
) -> AgentTasksError | None:
    """Why the service does not take an agent, or None; one that was made is deleted."""
    try:
        agent = await client.agents.create(
            model=model, name=PROBE_NAME, instructions="A probe; it is deleted at once.", tools=tools
        )
    except AgentTasksError as error:
        return error
    with contextlib.suppress(AgentTasksError):  # the next check finds it by its name
        await client.agents.delete(agent.id)
    return None


def _quota_hint(target: Target) -> Finding:
    check = "quota"
    if target.is_local:
        return ok(check, "The local service has none; its model answers one request at a time.")
    return not_configured(
        check,
        "The service does not tell how much quota a deployment has left.",
        "See Quotas in the portal. A run that is throttled waits as long as the service says; lower "
        "`limits.concurrency` if that happens often.",
    )
