"""Storage queues between agents and the functions that are their tools: both sides' common ground.

| module | what is in it |
| --- | --- |
| `connection` | how to reach a storage account: connection string, or address and identity |
| `storage` | an account while it is open, and its queues, with typed errors |
| `message_format` | what calls and answers look like in messages; shared with the Function App |
| `messages` | a call as it is written, an answer as it is read |
| `large_texts` | texts in blobs, and references to them; shared with the Function App |
| `claim_check` | what is too large for a message lies in a blob, with typed errors |
| `sending` | putting a call into a queue |
| `account` | an account with one reader for each output queue |
| `answers` | one reader for each output queue, shared by all calls that wait |

A leaf: it imports nothing of this library but `agent_tasks.errors`, so that the local service may use it too.
"""

from __future__ import annotations

from agent_tasks.queues.account import QueueAccount
from agent_tasks.queues.answers import AnswerReader, Expected, ReaderCounts, ReaderPolicy
from agent_tasks.queues.claim_check import ClaimCheck
from agent_tasks.queues.connection import StorageConnection
from agent_tasks.queues.messages import (
    MAX_MESSAGE_BYTES,
    MAX_PAYLOAD_BYTES,
    AnswerMessage,
    Reference,
    decode,
    encode,
    read_answer,
    write_call,
)
from agent_tasks.queues.sending import send_call
from agent_tasks.queues.storage import Queue, ReceivedMessage, Storage

__all__ = [
    "MAX_MESSAGE_BYTES",
    "MAX_PAYLOAD_BYTES",
    "AnswerMessage",
    "AnswerReader",
    "ClaimCheck",
    "Expected",
    "Queue",
    "QueueAccount",
    "ReaderCounts",
    "ReaderPolicy",
    "ReceivedMessage",
    "Reference",
    "Storage",
    "StorageConnection",
    "decode",
    "encode",
    "read_answer",
    "send_call",
    "write_call",
]
