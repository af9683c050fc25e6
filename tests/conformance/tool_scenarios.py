"""What every driver does with each tool: define it, read it back, use it in a run, polled and streamed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from tests.conformance.checks import Checks, every, settled
from tests.conformance.rules import TOOL_ANSWERS, stock_level
from tests.conformance.scenarios import PACE, Client, Seen, plain

CONNECTION = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/group/providers"
    "/Microsoft.CognitiveServices/accounts/account/projects/project/connections/connection"
)
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)
QUEUES = "https://account.queue.core.windows.net"
QUEUE_NAMES = ("asked", "answered")
"""Where the function of `azure_function` is called, and where it answers."""
STOCK_PARAMETERS = {
    "type": "object",
    "properties": {"item": {"type": "string", "description": "The item."}},
    "required": ["item"],
}

STEP_CALLS = {
    "function": "RunStepFunctionToolCall",
    "code_interpreter": "RunStepCodeInterpreterToolCall",
    "file_search": "RunStepFileSearchToolCall",
    "openapi": "RunStepOpenAPIToolCall",
    "connected_agent": "RunStepConnectedAgentToolCall",
    "azure_ai_search": "RunStepAzureAISearchToolCall",
    "bing_grounding": "RunStepBingGroundingToolCall",
    "azure_function": "RunStepAzureFunctionToolCall",
    "mcp": "RunStepMcpToolCall",
    "bing_custom_search": "RunStepBingCustomSearchToolCall",
    "sharepoint_grounding": "RunStepSharepointToolCall",
    "fabric_dataagent": "RunStepMicrosoftFabricToolCall",
    "deep_research": "RunStepDeepResearchToolCall",
    "browser_automation": "RunStepBrowserAutomationToolCall",
    "computer_use_preview": "RunStepComputerUseToolCall",
}
"""Class of the calls in steps. Some are missing from 1.1.0, which then keeps the base class."""


@dataclass(frozen=True)
class Surroundings:
    """What tools need that is not the service: servers of the test run."""

    openapi: str
    """Origin of an HTTP server with prices."""
    mcp: str
    """Address of an MCP server that adds."""
    a2a: str
    """Origin of an agent that is asked by A2A, and knows a price."""

    FILE = "surroundings.json"

    def write(self, folder: Path) -> None:
        """Leave it where a driver in another process finds it."""
        (folder / self.FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Surroundings:
        """What `write` left."""
        return cls(**json.loads((folder / cls.FILE).read_text(encoding="utf-8")))

    @property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document of the prices."""
        parameter = {"name": "item", "in": "query", "required": True, "schema": {"type": "string"}}
        ok = {"description": "The price.", "content": {"application/json": {"schema": {"type": "object"}}}}
        operation = {
            "operationId": "GetPrice",
            "summary": "The price of an item.",
            "parameters": [parameter],
            "responses": {"200": ok},
        }
        return {
            "openapi": "3.1.0",
            "info": {"title": "Prices", "version": "1"},
            "servers": [{"url": self.openapi}],
            "paths": {"/price": {"get": operation}},
        }


@dataclass(frozen=True)
class Prepared:
    """Objects of the service that tools refer to."""

    store_id: str
    file_id: str
    agent_id: str


class ToolClient(Client, Protocol):
    """What tools need of a client beyond `Client`."""

    def tools(self) -> tuple[str, ...]:
        """The tools that it has."""

    def tool(self, kind: str, around: Surroundings, prepared: Prepared) -> Any:
        """The client's tool of a type: something with `definitions` and `resources`."""

    def wire(self, value: Any) -> Any:
        """A definition as it goes over the wire."""

    def screenshot(self, call_id: str, image_url: str) -> Any:
        """The answer to a computer call."""

    def approval(self, call_id: str) -> Any:
        """The approval of an MCP call."""


class Tools:
    """A scenario for each tool."""

    def __init__(self, client: ToolClient, folder: Path, checks: Checks) -> None:
        self.client = client
        self.folder = folder
        self.checks = checks
        self.around = Surroundings.read(folder)

    async def play(self) -> None:
        """Go through all tools of the client."""
        path = self.folder / "prices.md"
        path.write_text("# Prices\n\nOak boards cost 40 euros a square metre.\n", encoding="utf-8")
        file = await self.client.upload(path)
        store = await self.client.store_and_poll([file.id])
        helper = await settled(self.client.agents.create(model="scripted", name="helper"))
        prepared = Prepared(store.id, file.id, helper.id)
        for kind in self.client.tools():

            async def scenario(kind: str = kind) -> None:
                with self.checks.covered("tool", kind):
                    await self._tool(kind, prepared)

            await self.checks.play(scenario)

    async def _tool(self, kind: str, prepared: Prepared) -> None:
        tool = self.client.tool(kind, self.around, prepared)
        # Headers and approvals of MCP servers belong to the run, all other resources to the agent.
        for_run = {"tool_resources": tool.resources} if kind == "mcp" else {}
        for_agent = {"tool_resources": tool.resources} if tool.resources and not for_run else {}
        agent = await settled(
            self.client.agents.create(
                model="scripted", name=f"user of {kind}", tools=tool.definitions, **for_agent
            )
        )
        again = await settled(self.client.agents.get(agent.id))
        for defined, made, read in zip(tool.definitions, agent.tools, again.tools, strict=True):
            assert type(made) is type(read), "another model when read again"
            assert made.type == read.type == kind
            assert _within(self.client.wire(defined), self.client.wire(made)), self.client.wire(made)
            assert self.client.wire(made) == self.client.wire(read)

        thread = await self._thread(kind)
        run = await settled(self.client.runs.create(thread.id, assistant_id=agent.id, **for_run))
        run = await self._followed(run)
        if run.status == "failed" and run.last_error.code == "unsupported_tool":
            assert kind in run.last_error.message
            self.checks.findings.append(("not served", kind, run.last_error.message))
            return
        assert run.status == "completed", run.last_error
        steps = await every(self.client.run_steps.list(thread.id, run.id, order="asc"))
        calls = [call for step in steps if step.type == "tool_calls" for call in step.step_details.tool_calls]
        assert [plain(call.type) for call in calls] == [kind]
        assert self.client.is_a(calls[0], STEP_CALLS[kind]), type(calls[0])
        answer = await self.client.last_text(thread.id)
        assert TOOL_ANSWERS[kind] in answer, answer

        seen = await self._streamed(kind, agent.id, for_run)
        assert seen.status == "completed"
        assert TOOL_ANSWERS[kind] in seen.text, seen.text
        assert {"on_run_step", "on_run_step_delta", "on_message_delta", "on_done"} <= set(seen.called)
        assert not {"on_error", "on_unhandled_event"} & set(seen.called)

    async def _thread(self, kind: str) -> Any:
        return await settled(
            self.client.threads.create(messages=[{"role": "user", "content": f"use {kind}"}])
        )

    async def _followed(self, run: Any) -> Any:
        for _ in range(1000):
            run = await settled(self.client.runs.get(run.thread_id, run.id))
            if run.status == "requires_action":
                await settled(
                    self.client.runs.submit_tool_outputs(run.thread_id, run.id, **self._answers(run))
                )
            elif run.status not in ("queued", "in_progress"):
                return run
            await asyncio.sleep(PACE)
        raise AssertionError(f"the run stayed {run.status}")

    async def _streamed(self, kind: str, agent_id: str, for_run: dict[str, Any]) -> Seen:
        thread = await self._thread(kind)
        seen = await self.client.handled(thread.id, agent_id, **for_run)
        if seen.status != "requires_action":
            return seen
        (run,) = await every(self.client.runs.list(thread.id))
        rest = await self.client.submit_streamed(run, **self._answers(run))
        return Seen([*seen.called, *rest.called], seen.text + rest.text, rest.status)

    def _answers(self, run: Any) -> dict[str, list[Any]]:
        """What a run that waits wants to have: outputs, screenshots or approvals."""
        if plain(run.required_action.type) == "submit_tool_approval":
            calls = run.required_action.submit_tool_approval.tool_calls
            assert all(self.client.is_a(call, "RequiredMcpToolCall") for call in calls)
            return {"tool_approvals": [self.client.approval(call.id) for call in calls]}
        outputs = []
        for call in run.required_action.submit_tool_outputs.tool_calls:
            if call.type == "function":
                output = stock_level(**json.loads(call.function.arguments))
                outputs.append(self.client.output(call.id, output))
            else:
                assert self.client.is_a(call, "RequiredComputerUseToolCall")
                outputs.append(self.client.screenshot(call.id, PIXEL))
        return {"tool_outputs": outputs}


def _within(sent: Any, echoed: Any) -> bool:
    """Whether an echo has all that was sent; it may have more (defaults), and lacks what was empty."""
    if isinstance(sent, dict) and isinstance(echoed, dict):
        return all(_within(value, echoed.get(key)) for key, value in sent.items())
    if isinstance(sent, list) and isinstance(echoed, list):
        return len(sent) == len(echoed) and all(map(_within, sent, echoed))
    return bool(sent == echoed) or (not sent and not echoed)
