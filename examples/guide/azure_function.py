"""Azure Function: the service itself calls a function app, over two storage queues.

`STORAGE_QUEUE_ENDPOINT` is the address of the account's queues, `https://ACCOUNT.queue.core.windows.net`. The
function app reads `{"vat_id": ..., "CorrelationId": ...}` from the first queue and puts
`{"Value": ..., "CorrelationId": ...}` into the second; azure_functions/ has one. On this machine
`agent-tasks functions azure_functions` runs it, and the local service's tools file names the account.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from connection import MODEL, connect

from agent_tasks.tools import AzureFunctionTool, StorageQueue


def validate_vat_id(vat_id: str) -> str:
    """Say whether a VAT id can be right.

    Args:
        vat_id: The id with its country's letters, such as DE123456789.
    """
    raise RuntimeError("this runs in the function app; here it only describes itself")


def main() -> None:
    """Have a function app called."""
    queues = os.environ["STORAGE_QUEUE_ENDPOINT"]
    tool = AzureFunctionTool.from_callable(
        validate_vat_id,
        input_queue=StorageQueue(queues, "validate-vat-id-input"),
        output_queue=StorageQueue(queues, "validate-vat-id-output"),
    )
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL,
            name="guide-auditor",
            instructions="Check what you are given.",
            tools=tool.definitions,
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        client.messages.create(thread.id, role="user", content="Is DE136695976 a VAT id?")
        # The run stays in progress while the function app works; nothing is called in this program.
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id)
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
