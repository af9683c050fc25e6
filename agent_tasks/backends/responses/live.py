"""What documentation leaves open about a project's successor service, asked of the project itself."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent_tasks.backends.base import JsonObject
from agent_tasks.backends.responses.answers import RUNNING, calls_of, message
from agent_tasks.backends.responses.service import Abilities
from agent_tasks.client import AsyncResponsesClient, path_of
from agent_tasks.errors import AgentTasksError, BadRequestError, ServiceError

__all__ = ["LiveAnswers", "LiveQuestions", "Reply", "with_answers"]

_SHOWN_WITHIN = 15.0  # seconds that a response is waited for in the list
_MARK = {"agent_tasks_doctor": "1"}
_LONG = "Write the numbers from one to two hundred in words, each on a line of its own."
_TOOL = {
    "type": "function",
    "name": "get_status",
    "description": "Tell the status of something.",
    "strict": False,
    "parameters": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}


class LiveAnswers(BaseModel):
    """What a project has told; None where it could not be found out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lists_running: bool | None = None
    """Whether a response that still runs is in the list of its conversation."""
    shows_after: float | None = None
    """Seconds until it was."""
    keeps_metadata: bool | None = None
    """Whether the metadata of a response is kept beside an agent."""
    locks: bool | None = None
    """Whether a conversation takes no second response while one runs."""
    background: bool | None = None
    """Whether a response in the background may call functions."""
    bounds: bool | None = None
    """Whether `max_output_tokens` is taken beside an agent."""
    takes_outputs_as_items: bool | None = None
    """Whether the output of a call may be put into the conversation by itself."""
    same_is_new: bool | None = None
    """Whether a version equal to the latest is another one."""
    cascades: bool | None = None
    """Whether the responses of a conversation go with it."""
    name_stays: bool | None = None
    """Whether an agent is there when its last version is deleted."""


def with_answers(can: Abilities, told: LiveAnswers) -> Abilities:
    """What an endpoint can do, with what it has told; what it has not told is as documented."""
    known: dict[str, Any] = {
        "background": told.background,
        "shows_running": told.lists_running,
        "keeps_metadata": told.keeps_metadata,
        "locks": told.locks,
        "cascades": told.cascades,
        "shows_after": told.shows_after,
    }
    return replace(can, **{name: value for name, value in known.items() if value is not None})


@dataclass(frozen=True)
class Reply:
    """What became of one question."""

    field: str
    """Which of `LiveAnswers` it is about."""
    value: Any
    """None: it could not be found out."""
    said: str
    """In a sentence."""


class LiveQuestions:
    """Asks a project, for a few cents, and leaves nothing behind.

    Args:
        client: speaks below the address of `/responses`.
        agents: speaks below the project's address.
        model: the deployment that answers.
    """

    def __init__(self, client: AsyncResponsesClient, agents: AsyncResponsesClient, model: str) -> None:
        self._client = client
        self._agents = agents
        self._model = model
        self._name = f"agent-tasks-doctor-{secrets.token_hex(4)}"
        self._versions: list[str] = []
        self._conversations: list[str] = []
        self._responses: list[str] = []

    async def replies(self) -> AsyncIterator[Reply]:
        """All questions, one after the other.

        Raises:
            AgentTasksError: not even an agent could be made.
        """
        try:
            yield await self._same_version()
            for ask in (self._running, self._bounded, self._outputs, self._cascade, self._last_version):
                try:
                    async for reply in ask():
                        yield reply
                except AgentTasksError as error:
                    yield Reply("", None, f"{ask.__name__.strip('_')}: {error}")
        finally:
            await self._clean()

    # --- questions -------------------------------------------------------------------------------------

    async def _same_version(self) -> Reply:
        first, second = await self._version(), await self._version()
        is_new = first != second
        word = "another version" if is_new else "the same version"
        return Reply("same_is_new", is_new, f"An equal body gives {word} ({first}, {second}).")

    async def _running(self) -> AsyncIterator[Reply]:
        """One long response: in the list, locked, marked."""
        conversation = await self._conversation(_LONG)
        body = self._asked(conversation) | {"background": True, "stream": True, "store": True}
        listed: JsonObject | None = None
        async with contextlib.AsyncExitStack() as stack:
            stream = self._client.stream("POST", "/responses", body=body | {"metadata": _MARK})
            try:
                events = await stack.enter_async_context(stream)
            except BadRequestError as error:
                yield Reply("background", False, f"In the background with functions: {error}")
                return
            async for event in events:
                if event["type"] != "response.created":
                    continue
                response_id = str(event["response"]["id"])
                self._responses.append(response_id)
                yield Reply("background", True, "A response in the background may have functions.")
                began = time.monotonic()
                listed = await self._listed(conversation, response_id, at_once=True)
                runs = (await self._status(response_id)) in RUNNING
                yield await self._lock(conversation, response_id)
                if listed is None:
                    listed = await self._listed(conversation, response_id)
                    shown = None if listed is None else time.monotonic() - began
                    is_running = listed is not None and listed.get("status") in RUNNING
                    yield Reply("lists_running", is_running if runs else None, _seen(is_running, runs))
                    yield Reply("shows_after", shown, f"It was in the list after {shown or 0:.1f} s.")
                else:
                    yield Reply("lists_running", True, "A response that runs is in the list at once.")
                    yield Reply("shows_after", 0.0, "It was in the list at once.")
        listed = await self._listed(conversation, self._responses[-1]) or listed or {}
        keeps = (listed.get("metadata") or {}).items() >= _MARK.items()
        yield Reply("keeps_metadata", keeps, _kept(keeps))

    async def _lock(self, conversation: str, response_id: str) -> Reply:
        body = self._asked(conversation) | {"input": [message("And?")], "store": True}
        try:
            second = await self._client.post("/responses", body)
        except ServiceError as error:
            said = f"A second response in a busy conversation: {error.status} {error.code or error.message}."
            return Reply("locks", True, said)
        self._responses.append(str(second["id"]))
        if (await self._status(response_id)) not in RUNNING:
            return Reply("locks", None, "The first response had ended before a second one was asked for.")
        return Reply("locks", False, "A conversation takes a second response while one runs.")

    async def _bounded(self) -> AsyncIterator[Reply]:
        conversation = await self._conversation("Say yes.")
        body = self._asked(conversation) | {"max_output_tokens": 16, "store": True}
        refusal = await self._refusal(body)
        word = "is taken" if refusal is None else f"is refused ({refusal})"
        yield Reply("bounds", refusal is None, f"`max_output_tokens` beside an agent {word}.")

    async def _outputs(self) -> AsyncIterator[Reply]:
        conversation = await self._conversation("What is the status of x? Call get_status.")
        asked = self._asked(conversation) | {"tool_choice": "required", "store": True}
        response = await self._client.post("/responses", asked)
        self._responses.append(str(response["id"]))
        calls = calls_of(response.get("output") or [])
        if not calls:
            yield Reply("takes_outputs_as_items", None, "The model called no function.")
            return
        items = [
            {"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls
        ]
        try:
            await self._client.post(path_of("conversations", conversation, "items"), {"items": items})
            refusal = await self._refusal(self._asked(conversation) | {"store": True})
        except ServiceError as error:
            refusal = f"{error.status} {error.code or error.message}"
        word = "may be" if refusal is None else f"may not be ({refusal})"
        yield Reply(
            "takes_outputs_as_items", refusal is None, f"Outputs {word} put into a conversation as items."
        )

    async def _cascade(self) -> AsyncIterator[Reply]:
        if not self._responses:
            return
        response_id, conversation = self._responses[0], self._conversations[0]
        await self._client.delete(path_of("conversations", conversation))
        self._conversations.remove(conversation)
        goes = (await self._status(response_id)) is None
        word = "go" if goes else "do not go"
        yield Reply("cascades", goes, f"The responses of a conversation {word} with it.")

    async def _last_version(self) -> AsyncIterator[Reply]:
        for version in set(self._versions):
            await self._agents.delete(path_of("agents", self._name, "versions", version))
        try:
            await self._agents.get(path_of("agents", self._name))
        except ServiceError as error:
            said = f"Without its last version an agent is gone ({error.status})."
            yield Reply("name_stays", False, said)
        else:
            yield Reply("name_stays", True, "An agent is there without any version.")

    # --- requests --------------------------------------------------------------------------------------

    async def _version(self) -> str:
        definition = {"kind": "prompt", "model": self._model, "instructions": "Be brief.", "tools": [_TOOL]}
        path = path_of("agents", self._name, "versions")
        made = await self._agents.post(path, {"definition": definition, "metadata": _MARK})
        self._versions.append(str(made["version"]))
        return self._versions[-1]

    async def _conversation(self, prompt: str) -> str:
        body = {"items": [message(prompt)], "metadata": _MARK}
        made = await self._client.post("/conversations", body)
        self._conversations.append(str(made["id"]))
        return self._conversations[-1]

    def _asked(self, conversation: str) -> JsonObject:
        agent = {"type": "agent_reference", "name": self._name, "version": self._versions[-1]}
        return {"agent_reference": agent, "conversation": conversation}

    async def _refusal(self, body: JsonObject) -> str | None:
        try:
            made = await self._client.post("/responses", body)
        except ServiceError as error:
            return f"{error.status} {error.code or error.message}"
        self._responses.append(str(made["id"]))
        return None

    async def _status(self, response_id: str) -> str | None:
        """None: it is gone."""
        try:
            return str((await self._client.get(path_of("responses", response_id))).get("status"))
        except ServiceError as error:
            if error.status in (400, 404):
                return None
            raise

    async def _listed(
        self, conversation: str, response_id: str, *, at_once: bool = False
    ) -> JsonObject | None:
        query = {"conversation_id": conversation, "limit": 100}
        until = time.monotonic() + (0.0 if at_once else _SHOWN_WITHIN)
        while True:
            page = await self._client.get("/responses", query)
            for one in page.get("data") or []:
                if one.get("id") == response_id:
                    found: JsonObject = one
                    return found
            if time.monotonic() >= until:
                return None
            await asyncio.sleep(0.5)

    async def _clean(self) -> None:
        for response_id in self._responses:
            with contextlib.suppress(ServiceError):
                await self._client.post(path_of("responses", response_id, "cancel"), {}, creates=False)
            with contextlib.suppress(ServiceError):
                await self._client.delete(path_of("responses", response_id))
        for conversation in self._conversations:
            with contextlib.suppress(ServiceError):
                await self._client.delete(path_of("conversations", conversation))
        if self._versions:
            with contextlib.suppress(ServiceError):
                await self._agents.delete(path_of("agents", self._name))


def _kept(keeps: bool) -> str:
    return f"The metadata of a response is {'kept' if keeps else 'not kept'} beside an agent."


def _seen(is_running: bool, runs: bool) -> str:
    if not runs:
        return "The response had ended before the list was looked at."
    return f"A response that runs is {'' if is_running else 'not '}in the list."
