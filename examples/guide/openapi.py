"""OpenAPI: the service calls the HTTP operations that a document describes.

`OPENAPI_DOCUMENT` is the address of an OpenAPI 3 document in JSON; here it has an operation that tells the
weather of a town.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

import httpx
from connection import MODEL, connect

from agent_tasks.tools import OpenApiAnonymousAuth, OpenApiTool


def main() -> None:
    """Have an HTTP operation called."""
    document = httpx.get(os.environ["OPENAPI_DOCUMENT"]).raise_for_status().json()
    # Other ways to sign in: OpenApiConnectionAuth, OpenApiManagedAuth. More documents: `with_definition`.
    weather = OpenApiTool("weather", document, "Tells the weather of a town.", OpenApiAnonymousAuth())
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-driver", instructions="Look up the weather.", tools=weather.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(
            thread.id, role="user", content="Can we deliver to Tallowmere without a cover?"
        )
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        for step in client.run_steps.list(thread.id, run.id, order="asc"):
            print(f"step: {step.type}, {step.status}")
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
