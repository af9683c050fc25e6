"""Agents of others, as the A2A protocol has them: a card, and JSON-RPC in its versions 0.3 and 1.0."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

ANSWER = "Oak boards cost 40 euros."


@dataclass
class OtherAgent:
    """An agent that tells a price.

    Attributes:
        version: of the protocol.
        tasks: whether an answer is a task, which has to be asked for once more.
        ends: how a task ends.
        received: bodies and headers of all requests.
    """

    version: str = "0.3.0"
    tasks: bool = False
    ends: str = "completed"
    received: list[tuple[Any, dict[str, str]]] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        """Serves the agent at `/`, and a redirect to its card at `/moved`."""
        return Starlette(
            routes=[
                Route("/.well-known/agent-card.json", self._card),
                Route("/moved", lambda request: RedirectResponse("/.well-known/agent-card.json")),
                Route("/ask", self._answer, methods=["POST"]),
            ]
        )

    @property
    def _is_newer(self) -> bool:
        return not self.version.startswith("0.")

    async def _card(self, request: Request) -> Response:
        self.received.append((None, dict(request.headers)))
        where = {"url": str(request.base_url) + "ask", "protocolVersion": self.version}
        about = {"name": "price list", "description": "Knows prices."}
        if self._is_newer:
            return JSONResponse({**about, "supportedInterfaces": [{**where, "protocolBinding": "JSONRPC"}]})
        return JSONResponse({**about, **where, "preferredTransport": "JSONRPC"})

    async def _answer(self, request: Request) -> Response:
        body = await request.json()
        self.received.append((body, dict(request.headers)))
        known = ("SendMessage", "GetTask") if self._is_newer else ("message/send", "tasks/get")
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": body["id"]}
        if body["method"] not in known:
            return JSONResponse({**reply, "error": {"code": -32601, "message": "Method not found"}})
        if not self.tasks:
            message = {"kind": "message", "role": "agent", "messageId": "m", "parts": [self._part()]}
            return JSONResponse({**reply, "result": {"message": message} if self._is_newer else message})
        is_first = body["method"] == known[0]
        state = "working" if is_first else self.ends
        task: dict[str, Any] = {"kind": "task", "id": "t1", "status": {"state": self._state(state)}}
        if not is_first:
            task["artifacts"] = [{"artifactId": "a", "parts": [self._part()]}]
        return JSONResponse({**reply, "result": {"task": task} if self._is_newer and is_first else task})

    def _part(self) -> dict[str, str]:
        return {"text": ANSWER} if self._is_newer else {"kind": "text", "text": ANSWER}

    def _state(self, state: str) -> str:
        return f"TASK_STATE_{state.upper()}" if self._is_newer else state
