"""Event handlers: override what is of interest; functions are called within the stream."""

from __future__ import annotations

from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.client import AgentEventHandler
from agent_tasks.errors import AgentTasksError
from agent_tasks.tools import ToolSet
from agent_tasks.wire import MessageDeltaChunk, ThreadRun


def machine_state(machine: str) -> str:
    """State of a machine in the workshop, by its name."""
    return f"{machine} is running"


class Printer(AgentEventHandler):
    """Prints. For AsyncAgentsClient there is AsyncAgentEventHandler."""

    def on_message_delta(self, delta: MessageDeltaChunk) -> None:
        """A piece of the answer."""
        print(delta.text, end="", flush=True)

    def on_thread_run(self, run: ThreadRun) -> None:
        """A change of the run."""
        print(f"[run {run.status}]")

    def on_error(self, error: AgentTasksError) -> None:
        """What is raised afterwards."""
        print(f"[error {error}]")

    def on_done(self) -> None:
        """The end."""
        print("[done]")


def main() -> None:
    """Ask about a machine."""
    tools = ToolSet([machine_state])
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-foreman", instructions="Answer briefly.", tools=tools.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="How is the band saw?")
        # Without a tool choice, the model decides whether to call a function.
        choice = {"type": "function", "function": {"name": "machine_state"}}
        with client.runs.stream(
            thread.id, assistant_id=agent.id, tool_choice=choice, toolset=tools, event_handler=Printer()
        ) as events:
            run = events.until_done()
        print(f"{run.id} is {run.status}")


if __name__ == "__main__":
    main()
