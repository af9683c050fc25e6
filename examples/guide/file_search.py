"""File search: a document goes into a vector store, and the answer cites it."""

from __future__ import annotations

from contextlib import ExitStack

from connection import DOCUMENTS, MODEL, connect

from agent_tasks.tools import FileSearchTool


def main() -> None:
    """Ask a contract what it says."""
    with connect() as client, ExitStack() as afterwards:
        file = client.files.upload_and_poll(DOCUMENTS / "contract-workshop-lease.md")
        afterwards.callback(client.files.delete, file.id)
        store = client.vector_stores.create_and_poll(name="guide-contracts", file_ids=[file.id])
        afterwards.callback(client.vector_stores.delete, store.id)
        print(f"{store.file_counts.completed} file is in the store")

        # The definition lets the agent search, the resource says where.
        search = FileSearchTool([store.id])
        agent = client.agents.create(
            model=MODEL,
            name="guide-clerk",
            instructions="Answer from the documents, in one sentence.",
            tools=search.definitions,
            tool_resources=search.resources,
        )
        afterwards.callback(client.agents.delete, agent.id)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="How much is the rent of the workshop?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)
            for cited in message.file_citation_annotations:
                print(f"{cited.text} is {client.files.get(cited.file_citation.file_id).filename}")


if __name__ == "__main__":
    main()
