"""Durable steps as plain async functions: each has its effect once, however often it is called or killed."""

from __future__ import annotations

from agent_tasks.operations.agents import agent_key, ensure_agent, existing_agent
from agent_tasks.operations.cleanup import (
    delete_conversation,
    delete_resource,
    exclusive,
    release_owner,
    release_owners,
)
from agent_tasks.operations.decisions import (
    ask_person,
    decide,
    find_question,
    list_questions,
    owners_that_wait,
    withdraw_questions,
)
from agent_tasks.operations.dispatch import dispatch_tools
from agent_tasks.operations.files import build_vector_store, file_key, store_key, upload_file
from agent_tasks.operations.interrupted_calls import answer_call, list_interrupted_calls, repeat_call
from agent_tasks.operations.keys import content_hash, operation_key
from agent_tasks.operations.models import (
    DEFAULT_TTL,
    AgentSpec,
    Citation,
    ConnectedAgent,
    Decision,
    ImageInput,
    RemoteAgent,
    RemoteFile,
    RemoteStore,
    ToolCallOutcome,
    TurnResult,
    TurnSpec,
    Usage,
    UsageSum,
)
from agent_tasks.operations.prices import NO_PRICES, Cost, ModelPrice, Prices, read_prices, total_cost
from agent_tasks.operations.transcript_rules import TranscriptRules
from agent_tasks.operations.transcripts import TranscriptBody, find_transcript, prune_transcripts
from agent_tasks.operations.turns import finished_turn, run_turn, turn_key
from agent_tasks.operations.workspace import Held, Workspace

__all__ = [
    "DEFAULT_TTL",
    "NO_PRICES",
    "AgentSpec",
    "Citation",
    "ConnectedAgent",
    "Cost",
    "Decision",
    "Held",
    "ImageInput",
    "ModelPrice",
    "Prices",
    "RemoteAgent",
    "RemoteFile",
    "RemoteStore",
    "ToolCallOutcome",
    "TranscriptBody",
    "TranscriptRules",
    "TurnResult",
    "TurnSpec",
    "Usage",
    "UsageSum",
    "Workspace",
    "agent_key",
    "answer_call",
    "ask_person",
    "build_vector_store",
    "content_hash",
    "decide",
    "delete_conversation",
    "delete_resource",
    "dispatch_tools",
    "ensure_agent",
    "exclusive",
    "existing_agent",
    "file_key",
    "find_question",
    "find_transcript",
    "finished_turn",
    "list_interrupted_calls",
    "list_questions",
    "operation_key",
    "owners_that_wait",
    "prune_transcripts",
    "read_prices",
    "release_owner",
    "release_owners",
    "repeat_call",
    "run_turn",
    "store_key",
    "total_cost",
    "turn_key",
    "upload_file",
    "withdraw_questions",
]
