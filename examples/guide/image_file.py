"""A picture in a message: one of the uploaded files."""

from __future__ import annotations

from contextlib import ExitStack

from connection import ASSETS, MODEL, connect

from agent_tasks.wire import image_file_block, text_block


def main() -> None:
    """Ask what is in the picture."""
    with connect() as client, ExitStack() as afterwards:
        file = client.files.upload_and_poll(ASSETS / "board.png")
        afterwards.callback(client.files.delete, file.id)
        picture = image_file_block(file.id, detail="high")

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
