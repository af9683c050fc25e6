"""Code interpreter: the agent writes Python, the service runs it on an uploaded file."""

from __future__ import annotations

from contextlib import ExitStack

from connection import ASSETS, MODEL, connect

from agent_tasks.tools import CodeInterpreterTool
from agent_tasks.wire import RunStepCodeInterpreterToolCall, RunStepToolCallDetails


def main() -> None:
    """Have a table added up."""
    with connect() as client, ExitStack() as afterwards:
        file = client.files.upload_and_poll(ASSETS / "stock.csv")
        afterwards.callback(client.files.delete, file.id)

        interpreter = CodeInterpreterTool([file.id])
        agent = client.agents.create(
            model=MODEL,
            name="guide-storekeeper",
            instructions="Compute with Python, then answer in one sentence.",
            tools=interpreter.definitions,
            tool_resources=interpreter.resources,
        )
        afterwards.callback(client.agents.delete, agent.id)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="What is the stock worth altogether?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        # The steps of the run show the code and what it printed.
        for step in client.run_steps.list(thread.id, run.id, order="asc"):
            if isinstance(step.step_details, RunStepToolCallDetails):
                for call in step.step_details.tool_calls:
                    if isinstance(call, RunStepCodeInterpreterToolCall):
                        print(call.code_interpreter.input)
                        print(*(output.to_wire() for output in call.code_interpreter.outputs), sep="\n")
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
