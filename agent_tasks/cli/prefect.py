"""`agent-tasks prefect` and `prefect-env`: other programs at the Prefect server of the state folder."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from agent_tasks.errors import ConfigurationError
from agent_tasks.local.server_access import auth_path
from agent_tasks.local.servers import prefect_environment, prefect_server
from agent_tasks.settings import Settings

__all__ = ["become_prefect", "export_lines"]

_AUTH = "PREFECT_API_AUTH_STRING"


def become_prefect(arguments: Sequence[str]) -> NoReturn:
    """Replaces this process by Prefect's own command, which holds the server until it ends.

    Raises:
        EmbeddedServiceError: the server did not start.
    """
    settings = Settings()
    server = prefect_server(settings)
    try:
        address = server.launch().wait()
        environment = {**os.environ, **_variables(settings), "PREFECT_API_URL": address}
        server.hand_over()
        command = [sys.executable, "-P", "-m", "prefect", *arguments]
        os.execve(sys.executable, command, environment)  # noqa: S606 - a fixed program, no shell
    except BaseException:
        server.close()
        raise


def export_lines() -> list[str]:
    """Lines for a shell, after which its programs use the server that runs now.

    The auth string itself is not in them: the shell reads it from its file.

    Raises:
        ConfigurationError: no server of the state folder runs.
    """
    settings = Settings()
    address = prefect_server(settings).running()
    if address is None:
        raise ConfigurationError(
            f"No Prefect server of the state folder {settings.state_dir} runs. Keep one running with "
            "`agent-tasks dashboard`, or run one command with `agent-tasks prefect ...`."
        )
    variables = {**_variables(settings), "PREFECT_API_URL": address}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if name != _AUTH]
    if _AUTH in variables:
        lines.append(f'export {_AUTH}="$(cat {shlex.quote(str(auth_path(settings.state_dir)))})"')
    return lines


def _variables(settings: Settings) -> dict[str, str]:
    """What leads to the server; unlike in a run of ours, what Prefect says is shown."""
    variables = prefect_environment(settings)
    del variables["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"]
    return variables
