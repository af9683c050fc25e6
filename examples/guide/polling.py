"""Polling by hand: start a run, look after it, answer its calls. `create_and_process` does all of this."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import FunctionTool
from agent_tasks.wire import RequiredFunctionToolCall, SubmitToolOutputsAction, ToolOutput


def opening_hours(day: str) -> str:
    """Opening hours of the workshop.

    Args:
        day: Day of the week, in English.
    """
    return "closed" if day.lower() in ("saturday", "sunday") else "7:00 to 19:00"


def main() -> None:
    """Follow a run."""
    tool = FunctionTool.from_callable(opening_hours)
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-doorman", instructions="Answer briefly.", tools=tool.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="Is the workshop open on Sunday?")

        # Without a tool choice, the model decides whether to call a function.
        choice = {"type": "function", "function": {"name": tool.name}}
        run = client.runs.create(thread.id, assistant_id=agent.id, tool_choice=choice)
        print(run.status)
        while not run.is_terminal:
            action = run.required_action
            if run.status == "requires_action" and isinstance(action, SubmitToolOutputsAction):
                outputs = []
                for call in action.submit_tool_outputs.tool_calls:
                    if isinstance(call, RequiredFunctionToolCall):
                        print(f"{call.function.name} is called with {call.function.arguments}")
                        answer = opening_hours(**json.loads(call.function.arguments))
                        outputs.append(ToolOutput(tool_call_id=call.id, output=answer))
                client.runs.submit_tool_outputs(thread.id, run.id, tool_outputs=outputs)
            time.sleep(0.2)
            run = client.runs.get(thread.id, run.id)

        print(f"{run.status}: {run.last_error or 'no error'}")
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
