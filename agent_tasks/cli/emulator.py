"""`agent-tasks emulator`: turns this process into the local Agents service."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agent_tasks.errors import ConfigurationError
from agent_tasks.settings import Settings

__all__ = ["become_emulator"]


def become_emulator(
    host: str,
    port: int,
    data_dir: Path | None,
    model: str | None,
    token: str | None,
    log_level: str,
    further: Sequence[str] = (),
) -> NoReturn:
    """Replaces this process by the service: signals and the exit code are then the service's own.

    `further` are options that the service alone knows, and checks.

    Raises:
        ConfigurationError: the service's packages are not installed, or an argument is not usable.
    """
    if importlib.util.find_spec("starlette") is None:
        raise ConfigurationError(
            "The local service needs more packages: pip install 'prefect-azure-agents[local]'"
        )
    for option, value in (("--model", model), ("--token (or AGENTS_EMULATOR_TOKEN)", token)):
        if value is not None and not value.strip():
            raise ConfigurationError(f"{option} is empty. Give it a value, or leave it out.", setting=option)
    settings = Settings(**({"local_model": model} if model else {}))
    arguments = [
        *("--host", host, "--port", str(port), "--log-level", log_level),
        *("--data-dir", str(data_dir or settings.state_dir / "emulator"), "--model", settings.local_model),
        *further,
    ]
    # The token goes through the environment: other users of the machine can read argument lists.
    environment = {**os.environ, **({"AGENTS_EMULATOR_TOKEN": token} if token else {})}
    command = [sys.executable, "-P", "-m", "agents_emulator", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - a fixed program, no shell
