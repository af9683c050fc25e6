"""What documentation leaves open about the successor service, asked of the project that is set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from agent_tasks.backends.opening import LIVE, write_live
from agent_tasks.backends.responses.live import LiveAnswers, LiveQuestions
from agent_tasks.client import AsyncResponsesClient
from agent_tasks.doctor.findings import Finding, not_configured, ok, warning
from agent_tasks.loopback import is_loopback
from agent_tasks.settings import ServiceKind, Settings

_CHECK = "live"
_REMEDY = {
    "lists_running": "Turns rely on the lock of their conversation then.",
    "locks": "Turns rely on the list of responses then.",
    "keeps_metadata": "A turn whose answer was lost may be paid for twice.",
    "background": "Turns are asked for without it; keep the process alive for as long as they take.",
    "takes_outputs_as_items": "A conversation whose turn is cancelled between rounds can't be continued.",
    "bounds": "Leave `max_completion_tokens` out.",
}
"""What follows where the answer is no."""


async def ask_live(endpoint: str, credential: Any, settings: Settings) -> AsyncIterator[Finding]:
    """Ask a project, and keep its answers in the state folder, where the backend finds them.

    Raises:
        AgentTasksError: not even an agent could be made.
    """
    is_local = is_loopback(urlsplit(endpoint).hostname or "")
    model = settings.model_deployment_name or (settings.local_model_name if is_local else "")
    if settings.service_kind is not ServiceKind.RESPONSES:
        yield not_configured(_CHECK, "Only a project of Foundry has open questions; set AGENT_TASKS_SERVICE.")
        return
    if not model:
        yield not_configured(_CHECK, "No model answers the questions.", "Set MODEL_DEPLOYMENT_NAME.")
        return
    told: dict[str, Any] = {}
    base = endpoint.rstrip("/")
    async with (
        AsyncResponsesClient(f"{base}/openai/v1", credential) as client,
        AsyncResponsesClient(base, credential, api_version="v1") as agents,
    ):
        async for reply in LiveQuestions(client, agents, model).replies():
            if reply.field:
                told[reply.field] = reply.value
            remedy = _REMEDY.get(reply.field)
            if reply.field == "" or (reply.value is False and remedy):
                yield warning(_CHECK, reply.said, remedy or "Ask again later.")
            else:
                yield ok(_CHECK, reply.said)
    file = settings.state_dir / LIVE
    write_live(endpoint, LiveAnswers(**told), file)
    yield ok(_CHECK, f"The answers are kept in {file}.")
