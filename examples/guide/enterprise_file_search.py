"""Enterprise file search: the vector store reads a file where it lies, in the project's own storage.

`DATA_ASSET` names the file: the address of a data asset or of a blob of the project's storage account
(`azureml://...`, `https://...`), or the id of an uploaded file. The local service has no storage account: it
reads the file from the folder that `assets` of its tools file maps the address to.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import FileSearchTool, id_asset, uri_asset


def main() -> None:
    """Ask a file that is not uploaded."""
    name = os.environ["DATA_ASSET"]
    asset = uri_asset(name) if "://" in name else id_asset(name)
    with connect() as client, ExitStack() as afterwards:
        # `configuration={"data_sources": [...]}` of `vector_stores.create` does both steps at once.
        store = client.vector_stores.create_and_poll(name="guide-storage")
        afterwards.callback(client.vector_stores.delete, store.id)
        batch = client.vector_store_file_batches.create_and_poll(store.id, data_sources=[asset])
        print(f"the batch is {batch.status} with {batch.file_counts.completed} file")

        search = FileSearchTool([store.id])
        agent = client.agents.create(
            model=MODEL,
            name="guide-archivist",
            instructions="Answer from the documents, in one sentence.",
            tools=search.definitions,
            tool_resources=search.resources,
        )
        afterwards.callback(client.agents.delete, agent.id)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="When was the pallet delivered?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
