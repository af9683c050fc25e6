"""Teardown: what a project keeps until somebody deletes it, and in which order to delete it."""

from __future__ import annotations

from connection import DOCUMENTS, MODEL, connect

from agent_tasks.errors import NotFoundError
from agent_tasks.tools import FileSearchTool


def main() -> None:
    """Make one thing of each kind, and delete them all."""
    with connect() as client:
        file = client.files.upload_and_poll(DOCUMENTS / "contract-workshop-lease.md")
        store = client.vector_stores.create_and_poll(
            # Should the program die before it deletes the store, the service does after a day of rest.
            name="guide-teardown",
            file_ids=[file.id],
            expires_after={"anchor": "last_active_at", "days": 1},
        )
        search = FileSearchTool([store.id])
        agent = client.agents.create(
            model=MODEL, name="guide-guest", tools=search.definitions, tool_resources=search.resources
        )
        thread = client.threads.create()
        client.messages.create(thread.id, role="user", content="Not to be kept.")

        # Messages and runs go with their thread; files stay when their store goes.
        print(f"thread deleted: {client.threads.delete(thread.id).deleted}")
        print(f"agent deleted: {client.agents.delete(agent.id).deleted}")
        print(f"vector store deleted: {client.vector_stores.delete(store.id).deleted}")
        print(f"file deleted: {client.files.delete(file.id).deleted}")
        try:
            client.threads.get(thread.id)
        except NotFoundError as error:
            print(f"gone: {error}")


if __name__ == "__main__":
    main()
