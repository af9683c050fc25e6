"""All operations of the successor's wire."""

from __future__ import annotations

from agents_emulator.endpoints import Operation
from agents_emulator.responses import agents, containers, conversations, files, responses

OPERATIONS: tuple[Operation, ...] = (
    *agents.OPERATIONS,
    *conversations.OPERATIONS,
    *responses.OPERATIONS,
    *files.OPERATIONS,
    *containers.OPERATIONS,
    *conversations.AGENT_OPERATIONS,
    *responses.AGENT_OPERATIONS,
)
"""Agents first: what follows the name of one (`:enable`) has to come before the name alone."""
