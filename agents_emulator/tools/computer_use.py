"""Computer use (preview): the model says what to do on a display, the client does it and sends a picture.

The service has no display: a call waits for the client, as in the real service. There the model has a special
protocol for actions; here it calls the function `computer_use_preview` with an action as arguments.
"""

from __future__ import annotations

import json

from typing_extensions import override

from agents_emulator.models.base import ToolSpec
from agents_emulator.store import Record
from agents_emulator.tools.base import CallContext, Tool, ToolCallResult, ToolError

COMPUTER_USE = "computer_use_preview"
_ACTIONS = (*("click", "double_click", "drag", "keypress", "move", "screenshot", "scroll", "type", "wait"),)


class ComputerUse(Tool):
    """`computer_use_preview`: calls are answered by the client with a screenshot."""

    type = COMPUTER_USE

    @override
    def specs(self) -> list[ToolSpec]:
        display = self.definition.get(COMPUTER_USE) or {}
        size = f"{display.get('display_width')} x {display.get('display_height')} pixels"
        properties = {
            "type": {"type": "string", "enum": list(_ACTIONS)},
            **{name: {"type": "integer"} for name in ("x", "y", "scroll_x", "scroll_y")},
            **{name: {"type": "string"} for name in ("text", "button")},
            "keys": {"type": "array", "items": {"type": "string"}},
        }
        return [
            ToolSpec(
                COMPUTER_USE,
                f"One action on a {display.get('environment')} display of {size}; you get a screenshot.",
                {"type": "object", "properties": properties, "required": ["type"]},
            )
        ]

    @override
    def waits_for(self, name: str) -> str:
        return "client"

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        try:
            action = json.loads(arguments)
        except ValueError:
            action = None
        if not isinstance(action, dict) or not isinstance(action.get("type"), str):
            action = {"type": "screenshot"}
        return {
            "id": call_id,
            "type": COMPUTER_USE,
            # The published document asks for an output at any time; this one is a picture of nothing yet.
            COMPUTER_USE: {
                "action": action,
                "pending_safety_checks": [],
                "output": {"type": "computer_screenshot"},
            },
        }

    @override
    def required(self, body: Record) -> Record:
        details = {key: body[COMPUTER_USE][key] for key in ("action", "pending_safety_checks")}
        return {**body, COMPUTER_USE: details}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        raise ToolError("The action is carried out by the client.")

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return ToolCallResult(message, body)


def screenshot_block(output: Record) -> Record:
    """Return the picture of a `computer_screenshot` as a content block of a message."""
    if isinstance(output.get("file_id"), str):
        return {"type": "image_file", "image_file": {"file_id": output["file_id"]}}
    return {"type": "image_url", "image_url": {"url": str(output.get("image_url") or "")}}
