"""The command `agent-tasks`.

Modules at import time are light (typer, nothing of Prefect): `--help` answers at once, and Prefect may only
be imported after its environment is set.
"""

from __future__ import annotations

from agent_tasks.cli.app import main

__all__ = ["main"]
