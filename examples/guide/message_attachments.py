"""Attachments: files that come with one message, for search or for code.

With `DATA_ASSET`, the address of a file in the project's own storage, that file is attached instead of an
upload.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import ASSETS, DOCUMENTS, MODEL, connect

from agent_tasks.tools import CodeInterpreterTool, FileSearchTool, ToolSet, attachment, uri_asset
from agent_tasks.wire import VectorStoreDataSource


def main() -> None:
    """Attach a text to search in and a table to compute with."""
    tools = ToolSet([FileSearchTool(), CodeInterpreterTool()])
    with connect() as client, ExitStack() as afterwards:
        searched: str | VectorStoreDataSource
        if address := os.environ.get("DATA_ASSET"):
            searched = uri_asset(address)
        else:
            searched = client.files.upload_and_poll(DOCUMENTS / "delivery-note-oakhollow-b7.md").id
            afterwards.callback(client.files.delete, searched)
        table = client.files.upload_and_poll(ASSETS / "stock.csv")
        afterwards.callback(client.files.delete, table.id)

        agent = client.agents.create(
            model=MODEL, name="guide-checker", instructions="Answer briefly.", tools=tools.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        message = client.messages.create(
            thread.id,
            role="user",
            content="How many cans of varnish came, and how many lines has the stock list?",
            attachments=[attachment(searched, FileSearchTool()), attachment(table.id, CodeInterpreterTool())],
        )
        print(f"{len(message.attachments or [])} attachments")

        # The service made a vector store for the thread. It lives seven days, unless it is deleted.
        resources = client.threads.get(thread.id).tool_resources
        if resources is not None and resources.file_search is not None:
            for store_id in resources.file_search.vector_store_ids or []:
                afterwards.callback(client.vector_stores.delete, store_id)

        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)
        for answer in client.messages.list(thread.id, run_id=run.id):
            print(answer.text)


if __name__ == "__main__":
    main()
