"""Bing grounding: the agent searches the web, and the answer cites pages.

`BING_CONNECTION_ID` is the id of the project's connection to Grounding with Bing Search. The local service
answers from a folder instead of the web.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import BingGroundingTool


def main() -> None:
    """Ask the web."""
    with connect() as client, ExitStack() as afterwards:
        bing = BingGroundingTool(os.environ["BING_CONNECTION_ID"], market="en-GB", count=5)
        agent = client.agents.create(
            model=MODEL,
            name="guide-researcher",
            instructions="Search the web, then answer in one sentence.",
            tools=bing.definitions,
        )
        afterwards.callback(client.agents.delete, agent.id)

        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="How long does shellac take to dry?")
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)
            for cited in message.url_citation_annotations:
                print(f"{cited.text} is {cited.url_citation.title}, {cited.url_citation.url}")


if __name__ == "__main__":
    main()
