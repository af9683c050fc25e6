"""The Agents service of assistants, threads and runs."""

from __future__ import annotations

from agent_tasks.backends.classic.backend import CLASSIC, AgentsBackend

__all__ = ["CLASSIC", "AgentsBackend"]
