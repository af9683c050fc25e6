"""The Function App: each tool of this folder, bound to its pair of storage queues."""

from __future__ import annotations

from typing import Any

import azure.functions as func
from bank_accounts import validate_iban
from queue_tool import QueueTool
from suppliers import lookup_supplier

CONNECTION = "STORAGE"
"""Prefix of the app settings that say where the queues are: see `local.settings.json.example`."""

TOOLS: tuple[QueueTool[..., Any], ...] = (lookup_supplier, validate_iban)

app = func.FunctionApp()


def bind(tool: QueueTool[..., Any]) -> None:
    """Register a function that answers what comes in on the tool's input queue."""

    @app.function_name(tool.name)
    @app.queue_trigger(arg_name="message", queue_name=tool.input_queue, connection=CONNECTION)
    @app.queue_output(arg_name="answer", queue_name=tool.output_queue, connection=CONNECTION)
    async def respond(message: func.QueueMessage, answer: func.Out[str]) -> None:
        answer.set(await tool.answer(message.get_body()))


for queue_served in TOOLS:
    bind(queue_served)
