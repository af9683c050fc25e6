"""Messages: listed in pages, read one by one, with their parts and the marks in their texts."""

from __future__ import annotations

from contextlib import ExitStack

from connection import DOCUMENTS, MODEL, connect

from agent_tasks.tools import FileSearchTool
from agent_tasks.wire import replace_citations


def main() -> None:
    """Read a conversation in several ways."""
    with connect() as client, ExitStack() as afterwards:
        file = client.files.upload_and_poll(DOCUMENTS / "contract-workshop-lease.md")
        afterwards.callback(client.files.delete, file.id)
        store = client.vector_stores.create_and_poll(name="guide-contracts", file_ids=[file.id])
        afterwards.callback(client.vector_stores.delete, store.id)
        search = FileSearchTool([store.id])
        agent = client.agents.create(
            model=MODEL,
            name="guide-reader",
            instructions="Answer from the documents, in one sentence.",
            tools=search.definitions,
            tool_resources=search.resources,
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        for question in ("Who is the landlord?", "When is noisy work allowed?"):
            client.messages.create(thread.id, role="user", content=question)
            run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        # All messages, oldest first, two a page: further pages are fetched as the loop gets there.
        for message in client.messages.list(thread.id, order="asc", limit=2):
            for part in message.text_messages:
                print(f"{message.role}: {part.text.value}")
        # The answer of one run, with the marks of its citations replaced by the names of the files.
        answer, *_ = client.messages.list(thread.id, run_id=run.id)
        print(replace_citations(answer, {file.id: file.filename}))
        # One message by its id.
        same = client.messages.get(thread.id, answer.id)
        print(f"{same.id} was written by {same.assistant_id} in {same.run_id}")


if __name__ == "__main__":
    main()
