"""Azure Functions behind storage queues: the service itself puts the call and reads the answer.

The call goes into the queue of `input_binding` in base64, flat as `{..arguments.., "CorrelationId": id of the
call}`, or with the arguments under `function_args` where it is of a response; the answer `{"Value",
"CorrelationId"}` comes out of the queue of `output_binding`. The run stays
`in_progress` meanwhile, and its step carries `{name, arguments, output}` (recorded). The real service signs
in to the account with the project's identity; this one with what the tools file says (`storage`).

How the real service treats a queue that is missing or closed to it is not recorded. Here the run fails with
`tool_user_error`, since nothing that the model could do would help.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from typing_extensions import override

from agent_tasks.errors import AgentTasksError, QueueAnswerError, QueueMessageTooLargeError
from agent_tasks.queues import Expected, send_call
from agent_tasks.queues.messages import CallShape
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
)
from agents_emulator.tools.queue_accounts import AccountUnusableError

SLACK_SECONDS = 30.0
"""The wait ends this much after the run's expiry, which has to come first."""
LONGEST_RUN_SECONDS = 3600.0
_MISUSED = "tool_user_error"


class AzureFunction(Tool):
    """`azure_function`: one function of the definition's name."""

    type = "azure_function"
    waits_elsewhere = True

    def __init__(self, definition: Record, run: Record, services: ToolServices) -> None:
        super().__init__(definition, run, services)
        details = definition["azure_function"]
        self._function: Record = details["function"]
        self._input, self._output = (
            (str(queue["queue_service_endpoint"]), str(queue["queue_name"]))
            for queue in (details[name]["storage_queue"] for name in ("input_binding", "output_binding"))
        )

    @override
    def specs(self) -> list[ToolSpec]:
        parameters = self._function.get("parameters") or {"type": "object", "properties": {}}
        return [ToolSpec(self._function["name"], self._function.get("description") or "", parameters)]

    @override
    def body(self, call_id: str, name: str, arguments: str) -> Record:
        return {"id": call_id, "type": self.type, self.type: {"name": name, "arguments": arguments}}

    @override
    async def execute(self, call: CallContext) -> ToolCallResult:
        arguments = json_arguments(call)
        accounts = self.services.queues
        try:
            reader = accounts.reader(*self._output)
            if "answer" in call.item:  # the service was stopped between the answer and what follows
                reader.note_answered(call.call_id)
                return self._result(call.body, shortened(call.item["answer"]))
            async with reader.expect(call.call_id) as expected:
                try:
                    return await self._call(arguments, call, expected)
                except asyncio.CancelledError:
                    if not accounts.stopping:  # cancelled or expired: nobody waits for the answer any more
                        expected.abandon()
                    raise
        except AccountUnusableError as error:
            raise ToolSetupError(_MISUSED, f"The tool {call.name} cannot be used: {error}") from error
        except QueueMessageTooLargeError as error:
            raise ToolError(f"The arguments are too large: {error.message}") from error
        except QueueAnswerError as error:
            raise ToolError(f"The function's answer cannot be used: {error.message}") from error
        except AgentTasksError as error:
            code = "tool_server_error" if error.retryable else _MISUSED
            raise ToolSetupError(code, f"The tool {call.name} cannot be used: {error}") from error

    async def _call(self, arguments: dict[str, Any], call: CallContext, expected: Expected) -> ToolCallResult:
        if "sent" not in call.item:  # a service that was restarted finds its call sent, and waits on
            queue = self.services.queues.storage(self._input[0]).queue(self._input[1])
            shape: CallShape = "function_args" if "response" in self.run else "flat"
            await send_call(queue, arguments, call.call_id, within=self._time_left(), shape=shape)
            await self.services.store.write(lambda db: call.remember(db, {"sent": True}))
        value = await expected.answer(within=self._time_left())
        # Kept before its message is deleted: a service that is killed in between still has it.
        await self.services.store.write(lambda db: call.remember(db, {"answer": value}))
        return self._result(call.body, shortened(value))

    @override
    def failed(self, body: Record, message: str) -> ToolCallResult:
        return self._result(body, error_output(message))

    def _time_left(self) -> float:
        expires_at = self.run["expires_at"]
        left = LONGEST_RUN_SECONDS if expires_at is None else max(0.0, expires_at - time.time())
        return left + SLACK_SECONDS

    def _result(self, body: Record, output: str) -> ToolCallResult:
        finished = {**body, self.type: {**body[self.type], "output": output}}
        return ToolCallResult(output, finished, [finished])
