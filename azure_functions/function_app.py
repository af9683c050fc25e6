"""The Function App: each tool of this folder, bound to its storage queues."""

from __future__ import annotations

from typing import Any

import answers
import azure.functions as func
from app_settings import CONNECTION
from catalog import TOOLS
from logs import get_logger
from queue_messages import encode, unparsed
from queue_tool import QueueTool
from responder import Delivery, give_up, respond

app = func.FunctionApp()


def bind(tool: QueueTool[..., Any]) -> None:
    """Register what answers the tool's input queue, and what answers the calls that failed there."""

    @app.function_name(tool.name)
    @app.queue_trigger(arg_name="message", queue_name=tool.input_queue, connection=CONNECTION)
    @app.queue_output(arg_name="answer", queue_name=tool.output_queue, connection=CONNECTION)
    async def answer_call(message: func.QueueMessage, answer: func.Out[str]) -> None:
        answered = await respond(tool, _delivery(message))
        if answered is not None:
            answer.set(encode(answered))

    @app.function_name(f"{tool.name}_poison")
    @app.queue_trigger(arg_name="message", queue_name=tool.poison_queue, connection=CONNECTION)
    @app.queue_output(arg_name="answer", queue_name=tool.output_queue, connection=CONNECTION)
    @app.queue_output(arg_name="parked", queue_name=tool.parked_queue, connection=CONNECTION)
    async def answer_failed_call(
        message: func.QueueMessage, answer: func.Out[str], parked: func.Out[str]
    ) -> None:
        given_up = await give_up(tool, _delivery(message))
        if given_up.answer is not None:
            answer.set(encode(given_up.answer))
        if given_up.is_parked:
            parked.set(unparsed(message.get_body().decode("utf-8", "replace")))


@app.function_name("purge_answers")
@app.timer_trigger(arg_name="timer", schedule="0 17 * * * *")
async def purge_answers(timer: func.TimerRequest) -> None:
    """Remove stored answers whose time is over, once an hour."""
    removed = await answers.purge()
    get_logger("queue_tools").info("%d stored answers were removed", removed)


def _delivery(message: func.QueueMessage) -> Delivery:
    return Delivery(message.get_body(), message.insertion_time)


for queue_served in TOOLS:
    bind(queue_served)
