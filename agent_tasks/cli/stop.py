"""`agent-tasks stop`: ends the local servers that stay for the next command."""

from __future__ import annotations

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.local.kept_servers import Ending, end_unused
from agent_tasks.settings import Settings

__all__ = ["stop_servers"]

_FOLDERS = {"prefect": "run", "service": "run", "azurite": "storage/run"}


def stop_servers() -> ExitCode:
    """Ends those of the state folder that nobody uses; 1 where one is in use.

    Raises:
        ConfigurationError: a setting is not usable.
        EmbeddedServiceError: a server does not end.
    """
    state = Settings().state_dir
    endings = {name: end_unused(state / folder, name) for name, folder in _FOLDERS.items()}
    running = {name: ending for name, ending in endings.items() if ending is not Ending.NOT_RUNNING}
    for name, ending in running.items():
        in_use = ending is Ending.IN_USE
        say(f"{name}: {'in use by another command, and ends after it' if in_use else 'ended'}")
    if not running:
        say(f"No local server of {state} runs.")
    return ExitCode.FAILED if Ending.IN_USE in running.values() else ExitCode.OK
