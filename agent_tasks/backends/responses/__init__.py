"""The backend of the Responses wire: Foundry's agents with versions, and any server of responses."""

from __future__ import annotations

from agent_tasks.backends.responses.backend import FOUNDRY, ResponsesBackend, capabilities_of
from agent_tasks.backends.responses.service import Abilities

__all__ = ["FOUNDRY", "Abilities", "ResponsesBackend", "capabilities_of"]
