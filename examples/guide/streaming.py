"""Streaming: the answer appears while it is written, and every change of the run is an event."""

from __future__ import annotations

from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.wire import MessageDeltaChunk, RunStep, ThreadMessage, ThreadRun


def main() -> None:
    """Print what happens as it happens."""
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-teacher", instructions="Answer in two sentences."
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="What is a dovetail joint good for?")

        # With `resume`, a stream that breaks off is followed by reading the run: the outcome is not lost.
        with client.runs.stream(thread.id, assistant_id=agent.id, resume=True) as events:
            for event in events:
                match event.data:
                    case MessageDeltaChunk() as delta:
                        print(delta.text, end="", flush=True)
                    case ThreadMessage() as message:
                        print(f"\n[message {message.status}]")
                    case ThreadRun() as run:
                        print(f"[run {run.status}]")
                    case RunStep() as step:
                        print(f"[step {step.type} {step.status}]")
                    case _:
                        print(f"[{event.event}]")


if __name__ == "__main__":
    main()
