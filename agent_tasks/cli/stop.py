"""`agent-tasks stop`: ends the local servers that stay for the next command."""

from __future__ import annotations

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.errors import EmbeddedServiceError
from agent_tasks.local.kept_servers import Ending, end_unused
from agent_tasks.settings import Settings

__all__ = ["stop_servers"]

_SERVERS = {
    "prefect": ("run", "The Prefect server"),
    "service": ("run", "The local Agents service"),
    "azurite": ("storage/run", "Azurite"),
}
_SAID = {
    Ending.ENDED: "has ended.",
    Ending.IN_USE: "is in use by another command and was left to it. Once that has ended: agent-tasks stop",
}


def stop_servers() -> ExitCode:
    """Ends those of the state folder that nobody uses; 1 where one is in use, or does not end.

    Raises:
        ConfigurationError: a setting is not usable.
    """
    state = Settings().state_dir
    endings: list[Ending | None] = []
    for name, (folder, title) in _SERVERS.items():
        try:
            ending: Ending | None = end_unused(state / folder, name)
        except EmbeddedServiceError as error:  # the others end all the same
            ending = None
            say(f"Error: {error}", style="red")
        if ending in _SAID:
            say(f"{title} {_SAID[ending]}")
        endings.append(ending)
    if set(endings) == {Ending.NOT_RUNNING}:
        say(f"No local server of {state} runs.")
    return ExitCode.FAILED if {Ending.IN_USE, None} & set(endings) else ExitCode.OK
