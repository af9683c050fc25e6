"""What every driver does with each tool: define it, use it in a response that is polled, and streamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.checks import Checks, every, settled
from tests.conformance.rules import TOOL_ANSWERS, stock_level
from tests.conformance.successor.openai_scenarios import FUNCTION
from tests.conformance.tool_scenarios import (
    CONNECTION,
    PIXEL,
    QUEUE_NAMES,
    QUEUES,
    STOCK_PARAMETERS,
    Surroundings,
)

ENGINE_NAMES = {
    "bing_custom_search_preview": "bing_custom_search",
    "browser_automation_preview": "browser_automation",
    "fabric_dataagent_preview": "fabric_dataagent",
    "sharepoint_grounding_preview": "sharepoint_grounding",
    "web_search_preview": "web_search",
}
"""By which name the model is asked to use a tool, where it is another one."""
SINGLE_ITEMS = {
    "function": "function_call",
    "code_interpreter": "code_interpreter_call",
    "file_search": "file_search_call",
    "mcp": "mcp_call",
    "web_search": "web_search_call",
    "computer_use_preview": "computer_call",
}
"""Items of tools whose call and outcome are one, or whose outcome the client gives."""


class Tools:
    """A scenario for each tool."""

    def __init__(self, client: Any, folder: Path, checks: Checks) -> None:
        self.client = client
        self.folder = folder
        self.checks = checks
        self.store_id = ""

    async def prepare(self) -> None:
        """Make the store that files are searched in."""
        path = self.folder / "prices.md"
        path.write_text("# Prices\n\nOak boards cost 40 euros a square metre.\n", encoding="utf-8")
        store = await settled(self.client.vector_stores.create(name="prices"))
        self.store_id = store.id
        await settled(
            self.client.vector_stores.files.upload_and_poll(
                vector_store_id=store.id, file=path, poll_interval_ms=20
            )
        )

    def plain(self, kind: str, around: Surroundings) -> dict[str, Any]:
        """A tool as it goes over the wire."""
        engine = ENGINE_NAMES.get(kind, kind)
        connection = {"project_connection_id": CONNECTION}
        queues = [
            {
                "type": "storage_queue",
                "storage_queue": {"queue_service_endpoint": QUEUES, "queue_name": name},
            }
            for name in QUEUE_NAMES
        ]
        function = {"name": "stock_level", "description": "Counts.", "parameters": STOCK_PARAMETERS}
        details: dict[str, dict[str, Any]] = {
            "function": {key: value for key, value in FUNCTION.items() if key != "type"},
            "code_interpreter": {"container": {"type": "auto"}},
            "file_search": {"vector_store_ids": [self.store_id]},
            "mcp": {"server_label": "numbers", "server_url": around.mcp, "require_approval": "always"},
            "computer_use_preview": {"environment": "browser", "display_width": 1024, "display_height": 768},
            "openapi": {
                "openapi": {
                    "name": "prices",
                    "description": "Prices of goods.",
                    "spec": around.document,
                    "auth": {"type": "anonymous"},
                }
            },
            "azure_function": {
                "azure_function": {
                    "function": function,
                    "input_binding": queues[0],
                    "output_binding": queues[1],
                }
            },
            "azure_ai_search": {"azure_ai_search": {"indexes": [{**connection, "index_name": "prices"}]}},
            "bing_grounding": {"bing_grounding": {"search_configurations": [connection]}},
            "bing_custom_search_preview": {
                kind: {"search_configurations": [{**connection, "instance_name": "instance"}]}
            },
            "sharepoint_grounding_preview": {kind: {"project_connections": [connection]}},
            "fabric_dataagent_preview": {kind: {"project_connections": [connection]}},
            "browser_automation": {kind: {"connection": connection}},
            "browser_automation_preview": {kind: {"connection": connection}},
            "a2a": {"base_url": around.a2a, "a2a_version": "1.0"},
            "a2a_preview": {"base_url": around.a2a},
        }
        assert engine in TOOL_ANSWERS, kind
        return {"type": kind, **details.get(kind, {})}

    async def play(self, given: Mapping[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
        """Go through tools.

        Args:
            given: by kind, the tool as it was defined, and what a response is made by.
        """
        for kind, (defined, answers) in given.items():

            async def scenario(
                kind: str = kind, defined: dict[str, Any] = defined, answers: dict[str, Any] = answers
            ) -> None:
                with self.checks.covered("tool", kind):
                    await self._tool(kind, defined, answers)

            await self.checks.play(scenario)

    async def _tool(self, kind: str, defined: dict[str, Any], answers: dict[str, Any]) -> None:
        engine = ENGINE_NAMES.get(kind, kind)
        conversation = await settled(self.client.conversations.create())
        given: Any = f"use {engine}"
        kinds: list[str] = []
        for _ in range(4):
            made = await settled(
                self.client.responses.create(**answers, conversation=conversation.id, input=given)
            )
            assert made.status == "completed", made.error
            assert within(defined, made.tools[0].to_dict()), made.tools[0]
            kinds += [item.type for item in made.output]
            given = self._answered(made)
            if not given:
                break
        assert TOOL_ANSWERS[engine] in made.output_text, made.output_text
        expected = (
            [SINGLE_ITEMS[engine]] if engine in SINGLE_ITEMS else [f"{engine}_call", f"{engine}_call_output"]
        )
        assert [one for one in kinds if one in expected] == expected, kinds
        await self._streamed(kind, answers, kinds)

    def _answered(self, made: Any) -> list[dict[str, Any]]:
        """What a response waits for: outputs, approvals or screenshots."""
        answers: list[dict[str, Any]] = []
        for item in made.output:
            if item.type == "function_call":
                output = stock_level(**json.loads(item.arguments))
                answers.append({"type": "function_call_output", "call_id": item.call_id, "output": output})
            elif item.type == "mcp_approval_request":
                answers.append(
                    {"type": "mcp_approval_response", "approval_request_id": item.id, "approve": True}
                )
            elif item.type == "computer_call":
                output = {"type": "computer_screenshot", "image_url": PIXEL}
                answers.append({"type": "computer_call_output", "call_id": item.call_id, "output": output})
        return answers

    async def _streamed(self, kind: str, answers: dict[str, Any], kinds: list[str]) -> None:
        """Stream the same turn: as many items are added and done, and the last event has them all."""
        engine = ENGINE_NAMES.get(kind, kind)
        conversation = await settled(self.client.conversations.create())
        given: Any = f"use {engine}"
        seen: list[str] = []
        text = ""
        for _ in range(4):
            events = await every(
                await settled(
                    self.client.responses.create(
                        **answers, conversation=conversation.id, input=given, stream=True
                    )
                )
            )
            numbers = [event.sequence_number for event in events]
            assert numbers == list(range(len(numbers)))
            last = events[-1]
            assert last.type == "response.completed", last
            done = [event.item for event in events if event.type == "response.output_item.done"]
            added = [event.item for event in events if event.type == "response.output_item.added"]
            assert [item.id for item in done] == [item.id for item in last.response.output]
            assert sorted(item.id for item in added) == sorted(item.id for item in done)
            seen += [item.type for item in done]
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            given = self._answered(last.response)
            if not given:
                break
        assert TOOL_ANSWERS[engine] in text, text
        assert seen == kinds


def within(sent: Any, echoed: Any) -> bool:
    """Whether an echo has all that was sent; it may have more (defaults)."""
    if isinstance(sent, dict) and isinstance(echoed, dict):
        return all(within(value, echoed.get(key)) for key, value in sent.items())
    if isinstance(sent, list) and isinstance(echoed, list):
        return len(sent) == len(echoed) and all(map(within, sent, echoed))
    return bool(sent == echoed)
