"""An agent, a thread, a question and its answer."""

from __future__ import annotations

from contextlib import ExitStack

from connection import MODEL, connect


def main() -> None:
    """Ask one question."""
    # What is registered with `afterwards` is called at the end, last first, also after an error.
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(model=MODEL, name="guide-joiner", instructions="Answer in one sentence.")
        afterwards.callback(client.agents.delete, agent.id)
        print(f"{agent.name} answers with {agent.model}")

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(
            thread.id, role="user", content="Why does one drill oak before driving a screw?"
        )

        # Starts a run of the agent on the thread and waits for its end; a run that fails is raised.
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)
        print(f"the run is {run.status}")

        for message in client.messages.list(thread.id, order="asc"):
            print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    main()
