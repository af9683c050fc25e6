"""Logic App: a workflow with an HTTP trigger, as a function that the agent calls.

`SUBSCRIPTION_ID`, `RESOURCE_GROUP`, `LOGIC_APP` and `TRIGGER` name it. The address that starts it is a
secret; the tool asks the management API for it when it is first needed and keeps it to itself.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from azure.identity import DefaultAzureCredential
from connection import MODEL, connect
from pydantic import BaseModel, Field

from agent_tasks.tools import LogicAppTool, ToolSet


class Email(BaseModel):
    """What the trigger takes."""

    recipient: str = Field(description="Address to send to")
    subject: str
    body: str


def main() -> None:
    """Have a mail sent by a workflow."""
    send_email = LogicAppTool(
        name="send_email",
        description="Sends an email.",
        arguments=Email,
        subscription_id=os.environ["SUBSCRIPTION_ID"],
        resource_group=os.environ["RESOURCE_GROUP"],
        workflow=os.environ["LOGIC_APP"],
        trigger=os.environ["TRIGGER"],
        credential=DefaultAzureCredential(),
        management_endpoint=os.environ.get("MANAGEMENT_ENDPOINT", "https://management.azure.com"),
    )
    tools = ToolSet([send_email])
    with connect() as client, ExitStack() as afterwards:
        agent = client.agents.create(
            model=MODEL, name="guide-secretary", instructions="Send mails.", tools=tools.definitions
        )
        afterwards.callback(client.agents.delete, agent.id)
        thread = client.threads.create()
        afterwards.callback(client.threads.delete, thread.id)
        question = "Tell m.tarn@example.com that the varnish has come."
        client.messages.create(thread.id, role="user", content=question)
        run = client.runs.create_and_process(thread.id, assistant_id=agent.id, toolset=tools)
        for message in client.messages.list(thread.id, run_id=run.id):
            print(message.text)


if __name__ == "__main__":
    main()
