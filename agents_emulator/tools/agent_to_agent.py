"""Agents of others: a server of the A2A protocol is asked, as its agent card says.

Recorded is the preview (`a2a_preview`): a function whose argument is a message in parts, and two items, of
the call and of what came back. How the function gets its name is not: here it is that of the connection, or
of the agent. The protocol: https://a2a-protocol.org, versions 0.3 (`message/send`) and 1.0 (`SendMessage`),
JSON-RPC over HTTP.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
from typing_extensions import override

from agent_tasks.bounded import ACCEPT_ENCODING, bounded_json, read_at_most
from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    ToolServices,
    ToolSetupError,
    error_output,
    json_arguments,
    shortened,
    text_argument,
)
from agents_emulator.tools.settings import ToolSettingsError

CARD_PATH = "/.well-known/agent-card.json"
_POLL_SECONDS = 0.5
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_ENDED = ("completed", "failed", "canceled", "rejected", "input_required", "auth_required", "unspecified")
_MESSAGE: Record = {
    "type": "object",
    "properties": {
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"kind": {"type": "string", "enum": ["text"]}, "text": {"type": "string"}},
                "required": ["kind", "text"],
            },
        }
    },
    "required": ["parts"],
}


@dataclass(frozen=True)
class _Card:
    """What an agent says of itself: where it is asked, and in which version of the protocol."""

    url: str
    name: str
    description: str
    is_newer: bool
    """1.0, whose methods and states have other names."""

    @classmethod
    def read(cls, card: Any, base_url: str) -> _Card:
        """Read a card of either version. Raises ValueError for one without an address for JSON-RPC."""
        if not isinstance(card, dict):
            raise ValueError("its card is no JSON object")
        offered = [one for one in card.get("supportedInterfaces") or [] if isinstance(one, dict)]
        spoken = [one for one in offered if one.get("protocolBinding", "JSONRPC") == "JSONRPC"]
        if offered and not spoken:
            raise ValueError("its card offers no JSON-RPC")
        version = (spoken[0] if spoken else card).get("protocolVersion") or "0.3"
        url = str((spoken[0] if spoken else card).get("url") or base_url)
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"its card names an address that is neither http nor https: {url[:200]}")
        about = str(card.get("name") or "agent"), str(card.get("description") or "")
        return cls(url, *about, is_newer=not str(version).startswith("0."))


class AgentToAgent(Tool):
    """`a2a`: one function, `NAME(message)`, carried out by an agent elsewhere."""

    type = "a2a"
    waits_elsewhere = True

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        given = definition.get(self.type)
        details: Record = given if isinstance(given, dict) else {}  # unchecked where validation is off
        self._connection = str(details.get("project_connection_id") or "")
        self._base_url = str(details.get("base_url") or "").rstrip("/")
        self._card_path = str(details.get("agent_card_path") or CARD_PATH)
        self._with_card: bool = details.get("send_credentials_for_agent_card") is True
        self._card = _Card("", "agent", "", is_newer=False)

    @override
    async def prepare(self, steps: Any) -> list[Record]:
        if not self._base_url.startswith(("http://", "https://")):
            raise ToolSetupError(
                "tool_user_error",
                f"The tool '{self.type}' has no base_url of http or https. The local service knows no "
                "addresses of connections: name it in the tool.",
            )
        address = f"{self._base_url}/{self._card_path.lstrip('/')}"
        try:
            card = await self._send("GET", address, None, with_secret=self._with_card)
            self._card = _Card.read(card, self._base_url)
        except (ToolError, ValueError) as error:
            raise ToolSetupError(
                "tool_user_error", f"Error retrieving the agent card from {address}: {error}"
            ) from error
        return []

    @override
    def specs(self) -> list[ToolSpec]:
        named = self._connection.rstrip("/").rpartition("/")[2] or self._card.name
        parameters = {"type": "object", "properties": {"message": _MESSAGE}, "required": ["message"]}
        return [ToolSpec(_NAME.sub("_", named)[:64], self._card.description, parameters)]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        return {"id": call_id, "type": self.type, self.type: {"name": name, "arguments": arguments}}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        text = _asked(json_arguments(call))
        seconds = self.services.settings.request_seconds
        try:
            async with asyncio.timeout(seconds):
                output = await self._ask(text)
        except TimeoutError as error:
            raise ToolError(f"{self._card.url} did not answer within {seconds:g} s.") from error
        return self._result(call.body, output)

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return self._result(body, error_output(message))

    def _result(self, body: Record, output: str) -> ToolCallResult:
        finished = {**body, self.type: {**body[self.type], "output": output}}
        return ToolCallResult(output, finished, [finished])

    # -- the protocol

    async def _ask(self, text: str) -> str:
        """Send a message, wait for the task that may come of it; returns the texts of the answer."""
        newer = self._card.is_newer
        part = {"text": text} if newer else {"kind": "text", "text": text}
        message: Record = {"messageId": uuid.uuid4().hex, "parts": [part]}
        message |= {"role": "ROLE_USER"} if newer else {"role": "user", "kind": "message"}
        answer = await self._call("SendMessage" if newer else "message/send", {"message": message})
        if newer:
            answer = answer.get("task") or answer.get("message") or {}
        while (state := _state(answer)) is not None and state not in _ENDED:
            await asyncio.sleep(_POLL_SECONDS)
            answer = await self._call("GetTask" if newer else "tasks/get", {"id": answer.get("id")})
        if state not in (None, "completed"):
            why = "\n".join(_texts([(answer.get("status") or {}).get("message")]))
            raise ToolError(f"The agent's task ended as {state}. {why}".strip())
        kept = answer.get("artifacts") or [(answer.get("status") or {}).get("message")]
        return shortened("\n".join(_texts([answer] if state is None else kept)))

    async def _call(self, method: str, params: Record) -> Record:
        body = {"jsonrpc": "2.0", "id": uuid.uuid4().hex, "method": method, "params": params}
        answer = await self._send("POST", self._card.url, body)
        if isinstance(answer, dict) and isinstance(answer.get("result"), dict):
            result: Record = answer["result"]
            return result
        said = answer.get("error") if isinstance(answer, dict) else None
        raise ToolError(f"{self._card.url} refused {method}: {json.dumps(said)[:2000]}")

    async def _send(self, method: str, url: str, body: Record | None, *, with_secret: bool = True) -> Any:
        """One request; redirects are not followed, since they may lead to another host."""
        settings = self.services.settings
        headers = {"accept": "application/json", "accept-encoding": ACCEPT_ENCODING}
        if self._card.is_newer:
            headers["A2A-Version"] = "1.0"
        params: dict[str, str] = {}
        try:
            if with_secret and self._connection:
                self._sign(httpx.URL(url), headers, params)
            async with (
                asyncio.timeout(settings.request_seconds),
                httpx.AsyncClient(timeout=settings.request_seconds, trust_env=False) as client,
                client.stream(method, url, json=body, headers=headers, params=params or None) as response,
            ):
                content = await read_at_most(response, settings.response_bytes)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            raise ToolError(f"{method} {url} failed: {error or type(error).__name__}") from error
        if response.status_code != httpx.codes.OK:
            said = content[:2000].decode("utf-8", "replace")
            raise ToolError(f"{method} {url} answered {response.status_code}: {said}")
        try:
            return bounded_json(content)
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{method} {url} answered no JSON: {error}") from error

    def _sign(self, url: httpx.URL, headers: dict[str, str], params: dict[str, str]) -> None:
        """Add the connection's secret, from the tools file, which says for which hosts it is."""
        connection = self.services.settings.connections.get(self._connection)
        if connection is None:
            raise ToolError(
                f"The tools file has no connection '{self._connection}'; add it to 'connections'."
            )
        try:
            secret = connection.for_host(url.scheme, url.host, url.port)
        except ToolSettingsError as error:
            raise ToolError(str(error)) from error
        if connection.query is not None:
            params[connection.query] = secret
        else:
            headers[str(connection.header)] = secret


class AgentToAgentPreview(AgentToAgent):
    """`a2a_preview`: the same by its earlier name."""

    type = "a2a_preview"


def _asked(arguments: Record) -> str:
    """The text of a message in parts, or of a plain one. Raises `ToolError` if there is none."""
    message = arguments.get("message")
    if isinstance(message, dict):
        return text_argument({"message": "\n".join(_texts([message]))}, "message")
    return text_argument(arguments, "message")


def _texts(holders: Iterable[Any]) -> list[str]:
    """The texts in the parts of messages and artifacts."""
    parts = [
        part
        for holder in holders
        if isinstance(holder, dict) and isinstance(holder.get("parts"), list)
        for part in holder["parts"]
    ]
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _state(answer: Record) -> str | None:
    """The state of a task, in words of both versions; None for a message."""
    status = answer.get("status")
    if not isinstance(status, dict):
        return None
    return str(status.get("state")).removeprefix("TASK_STATE_").lower().replace("-", "_")
