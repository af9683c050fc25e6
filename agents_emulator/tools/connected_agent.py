"""Connected agents: another agent answers a question, in a thread and a run of its own."""

from __future__ import annotations

from typing_extensions import override

from agents_emulator.models.base import ToolSpec
from agents_emulator.store import MESSAGES, Record
from agents_emulator.tools.base import (
    CallContext,
    Tool,
    ToolCallResult,
    ToolError,
    error_output,
    json_arguments,
    text_argument,
)

MAX_DEPTH = 2
"""Agents one within the other: one with connected agents, and those; as the service's documents say."""


class ConnectedAgent(Tool):
    """`connected_agent`: one function of the agent's name, `NAME(message)`."""

    type = "connected_agent"

    @override
    def specs(self) -> list[ToolSpec]:
        details = self.definition["connected_agent"]
        message = {"type": "string", "description": "Everything that the agent has to know"}
        parameters = {"type": "object", "properties": {"message": message}, "required": ["message"]}
        return [ToolSpec(details["name"], details.get("description") or "", parameters)]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        details = {"name": name, "arguments": arguments}
        return {"id": call_id, "type": self.type, "connected_agent": details}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        message = text_argument(json_arguments(call), "message", "query", "input")
        depth = self.run.get("depth", 0) + 1
        if depth >= MAX_DEPTH:
            raise ToolError(
                f"A connected agent has connected agents of its own; {MAX_DEPTH} levels are allowed."
            )
        children = self.services.children
        assert children is not None  # noqa: S101 - set when the service was put together
        agent_id = self.definition["connected_agent"]["id"]
        run = await children.run_child(self.run, agent_id, message, call)
        messages = await self.services.store.read(
            lambda db: MESSAGES.select(db, run["thread_id"], {"run_id": run["id"]})
        )
        texts = [
            block["text"]["value"]
            for message in messages[-1:]
            for block in message["content"]
            if block["type"] == "text"
        ]
        output = "\n".join(texts)
        if run["status"] != "completed":
            error = (run["last_error"] or {}).get("message")
            why = "it waited for its client" if run["status"] == "cancelled" else error or "no answer"
            output = error_output(f"The connected agent's run ended as {run['status']}: {why}")
        return self._result(
            call.body,
            {
                "output": output,
                "run_id": run["id"],
                "thread_id": run["thread_id"],
                "assistant_id": run["assistant_id"],
            },
        )

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return self._result(body, {"output": error_output(message)})

    def _result(self, body: Record, fields: Record) -> ToolCallResult:
        finished = {**body, "connected_agent": {**body["connected_agent"], **fields}}
        return ToolCallResult(fields["output"], finished, [finished])
