"""A picture in a message: on the web. `IMAGE_URL` is its address, and the service fetches it."""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.wire import image_url_block, text_block


def main() -> None:
    """Ask what is in the picture."""
    picture = image_url_block(os.environ["IMAGE_URL"], detail="low")
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-inspector", instructions="Describe what you see in one sentence."
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        content = [text_block("How many holes has the board?"), picture]
        client.messages.create(thread.id, role="user", content=content)
        client.runs.create_and_process(thread.id, assistant_id=agent.id)
        for message in client.messages.list(thread.id, order="asc"):
            kinds = ", ".join(part.type for part in message.content)
            print(f"{message.role} ({kinds}): {message.text}")


if __name__ == "__main__":
    main()
