"""Logging: what the client sends and gets, through Python's own logging."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack

from connection import MODEL, connect


def main() -> None:
    """Log one conversation without its contents, and one request with them."""
    logger = logging.getLogger("agent_tasks.client")
    logger.setLevel(logging.DEBUG)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)

    # Methods, paths, states, times and request ids; no bodies, and never a token.
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(model=MODEL, name="guide-witness", instructions="Answer in one word.")
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="Is ash hard?")
        client.runs.create_and_process(thread.id, assistant_id=agent.id)

    # With bodies: for looking into a problem, since they hold what people wrote.
    with connect(logging_enable=True) as client:
        thread = client.threads.create(metadata={"purpose": "to be seen in the log"})
        client.threads.delete(thread.id)


if __name__ == "__main__":
    main()
