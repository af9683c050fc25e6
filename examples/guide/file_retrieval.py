"""Files that an agent made: shown in its answer, saved to disk."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import CodeInterpreterTool


def main() -> None:
    """Have a chart and a table made, and fetch both."""
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL,
            name="guide-draughtsman",
            instructions="Draw with matplotlib, write tables as CSV, and name the files in your answer.",
            tools=CodeInterpreterTool().definitions,
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        question = "Chart 14 oak, 3 ash and 8 cherry boards, and give me the numbers as a table."
        client.messages.create(thread.id, role="user", content=question)
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)

        folder = afterwards.enter_context(tempfile.TemporaryDirectory())
        made: dict[str, str | None] = {}
        for message in client.messages.list(thread.id, run_id=run.id):
            # A picture has no name of its own; a file that the text links to has one.
            made |= {image.image_file.file_id: "chart.png" for image in message.image_contents}
            made |= {link.file_path.file_id: None for link in message.file_path_annotations}
            print(message.text)
        for file_id, name in made.items():
            afterwards.callback(client.files.delete, file_id)
            # `name` from outside is made safe; `files.get_content` gives the bytes piece by piece instead.
            path = client.files.save(file_id, folder, name)
            print(f"{path.name} has {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
