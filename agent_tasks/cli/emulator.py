"""`agent-tasks emulator`: turns this process into the local Agents service."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agent_tasks.errors import ConfigurationError
from agent_tasks.local.child_environment import for_service
from agent_tasks.secret_arguments import TOKEN_VARIABLE, read_token, refuse_secrets_in_arguments
from agent_tasks.settings import Settings

__all__ = ["become_emulator"]


def become_emulator(
    host: str,
    port: int,
    data_dir: Path | None,
    model: str | None,
    token_file: str | None,
    log_level: str,
    further: Sequence[str] = (),
) -> NoReturn:
    """Replaces this process by the service: signals and the exit code are then the service's own.

    Token and model go through the environment, of which the service gets what it needs. `further` are options
    that the service alone knows, and checks.

    Raises:
        ConfigurationError: the service's packages are not installed, or an argument is not usable.
    """
    if importlib.util.find_spec("starlette") is None:
        raise ConfigurationError(
            "The local service needs more packages: pip install 'prefect-azure-agents[local]'"
        )
    if model is not None and not model.strip():
        raise ConfigurationError("--model is empty. Give it a value, or leave it out.", setting="--model")
    refuse_secrets_in_arguments(_option(further, "--token"), model)
    settings = Settings(**({"local_model": model} if model else {}))
    arguments = [
        *("--host", host, "--port", str(port), "--log-level", log_level),
        *("--data-dir", str(data_dir or settings.state_dir / "emulator")),
        *further,
    ]
    tools_file = _option(further, "--tools-file")
    environment = for_service(
        settings.local_model.get_secret_value(), Path(tools_file) if tools_file else None
    )
    if token := read_token(token_file):
        environment[TOKEN_VARIABLE] = token
    command = [sys.executable, "-P", "-m", "agents_emulator", *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - a fixed program, no shell


def _option(options: Sequence[str], name: str) -> str | None:
    """The value of an option of the service; empty if it has none, None if it is not given."""
    for position, option in enumerate(options):
        if option == name:
            return options[position + 1] if position + 1 < len(options) else ""
        if option.startswith(f"{name}="):
            return option.partition("=")[2]
    return None
