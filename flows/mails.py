"""Mails are sorted: invoices are checked by functions behind queues, complaints handed to who can answer.

    prefect --no-prompt deploy flows/mails.py:mails --name inbox --pool POOL

triage -> invoice: a clerk with queue tools; complaint: desk, billing and legal hand it on; other: nobody
"""

import os
from pathlib import Path
from typing import Literal

from prefect import flow
from pydantic import BaseModel

from agent_tasks import Agent, each, hand_off, queue_tools, session
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.queues import StorageConnection
from agent_tasks.tools import read_definitions

CHECKS = ("lookup_supplier", "validate_iban")


class Kind(BaseModel):
    kind: Literal["invoice", "complaint", "other"]


class Reply(BaseModel):
    text: str


triage = Agent("triage", instructions="Say what the mail is.", answer=Kind)
desk = Agent("desk", instructions="Answer complaints; hand on what is not yours.", answer=Reply)
billing = Agent("billing", instructions="Answer for invoices and payments.", answer=Reply)
legal = Agent("legal", instructions="Answer threats of legal action.", answer=Reply)


@flow(name="mails")
async def mails(folder: str, tools: str = "tools.json", connection: str = "STORAGE") -> dict[str, str]:
    """Draft replies to the mails of a folder; returns them by the files' names, empty where none is needed.

    Args:
        folder: one file a mail (.eml, .msg, .txt, ...).
        tools: the definitions of the Function App's tools (`python catalog.py > tools.json`).
        connection: name of the setting with the storage account of their queues.
    """
    account = StorageConnection.from_settings(connection, os.environ)
    checks = [one for one in read_definitions(tools) if one.name in CHECKS]
    clerk = Agent(
        "clerk",
        instructions="Check the supplier and the bank account of the invoice, then write the reply.",
        tools=queue_tools(checks, drive="pipeline", connection=account),
        answer=Reply,
    )

    async def reply(file: Path) -> str:
        text = (await shared_pool().read_async(file.read_bytes(), file.name)).text
        match (await triage.ask(text)).value.kind:
            case "invoice":
                return (await clerk.ask(text)).value.text
            case "complaint":
                return (await hand_off(desk, text, among=[billing, legal])).value.text
            case _:
                return ""

    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    async with session():
        replies = await each(files, reply, at_most=4, name="mails")
    return {file.name: text for file, text in zip(files, replies, strict=True)}
