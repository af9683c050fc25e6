"""Azure AI Search: the agent searches an index, and its citations become links.

`AI_SEARCH_CONNECTION_ID` is the id of the project's connection to the search service, `AI_SEARCH_INDEX` the
name of the index. The local service answers from a folder instead.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import AzureAISearchTool
from agent_tasks.wire import AzureAISearchQueryType, replace_citations


def main() -> None:
    """Ask an index."""
    search = AzureAISearchTool(
        index_connection_id=os.environ["AI_SEARCH_CONNECTION_ID"],
        index_name=os.environ["AI_SEARCH_INDEX"],
        query_type=AzureAISearchQueryType.SIMPLE,
        top_k=3,
    )
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL,
            name="guide-librarian",
            instructions="Search the index, then answer in one sentence.",
            tools=search.definitions,
            tool_resources=search.resources,
        )
        afterwards.callback(client.agents.delete, agent.id)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="At what temperature is hide glue used?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        for message in client.messages.list(thread.id, run_id=run.id):
            # Marks such as 【3:0†source】 become Markdown links.
            print(replace_citations(message))
            for cited in message.url_citation_annotations:
                print(f"{cited.start_index} to {cited.end_index}: {cited.url_citation.url}")


if __name__ == "__main__":
    main()
