"""Threads: each has its own memory, its own metadata, and may have its own files to search."""

from __future__ import annotations

from contextlib import ExitStack

from connection import DOCUMENTS, MODEL, connect

from agent_tasks.tools import FileSearchTool


def main() -> None:
    """Give one thread a file, talk on in it, and list what there is."""
    with connect() as client, ExitStack() as afterwards:
        file = client.files.upload_and_poll(DOCUMENTS / "delivery-note-oakhollow-b7.md")
        afterwards.callback(client.files.delete, file.id)
        store = client.vector_stores.create_and_poll(name="guide-deliveries", file_ids=[file.id])
        afterwards.callback(client.vector_stores.delete, store.id)

        # The agent may search; in which store, the thread says. Other threads of the agent find nothing.
        search = FileSearchTool([store.id])
        agent = client.agents.create(
            model=MODEL,
            name="guide-porter",
            instructions="Answer from the documents, in one sentence.",
            tools=search.definitions,
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create(tool_resources=search.resources, metadata={"order": "OF-B7-1193"})
        afterwards.callback(client.threads.delete, thread.id)

        for question in ("How heavy is package 2?", "And package 3?"):
            client.messages.create(thread.id, role="user", content=question)
            client.runs.create_and_process(thread.id, assistant_id=agent.id)

        client.threads.update(thread.id, metadata={"order": "OF-B7-1193", "state": "answered"})
        for found in client.threads.list(limit=10):
            if found.id == thread.id:
                print(f"{found.id}: {found.metadata}")
        for message in client.messages.list(thread.id, order="asc"):
            print(f"{message.role}: {message.text}")


if __name__ == "__main__":
    main()
