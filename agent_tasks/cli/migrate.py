"""`agent-tasks migrate`: what a user keeps on the classic service, copied to its successor."""

from __future__ import annotations

from agent_tasks.cli.errors import ExitCode, say
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.cli.resources import print_table
from agent_tasks.errors import ConfigurationError
from agent_tasks.settings import Settings

__all__ = ["migrate"]

_STAYS = (
    "Threads, messages and runs do not move: what is half done is finished with AGENT_TASKS_SERVICE=classic. "
    "Agents that pipelines made are made anew by them."
)


def migrate(only: list[str], *, yes: bool) -> ExitCode:
    """Copy agents with what they use, and print what became of each; 1 if one does not move.

    Raises:
        ConfigurationError: no project is set.
        AgentTasksError: one of the services refuses, or can't be reached.
    """
    settings = Settings()
    if settings.project_endpoint is None:
        raise ConfigurationError(
            "No project is set from which anything could move. Set PROJECT_ENDPOINT.",
            setting="PROJECT_ENDPOINT",
        )
    return run_interruptible(lambda: _migrate(settings, settings.project_endpoint or "", only, yes=yes))


async def _migrate(settings: Settings, endpoint: str, only: list[str], *, yes: bool) -> ExitCode:
    from agent_tasks.backends.moving import Moving
    from agent_tasks.client import AsyncAgentsClient, AsyncResponsesClient
    from agent_tasks.credentials import make_credential

    credential = make_credential(settings.credential, settings.token, endpoint=endpoint)
    base = endpoint.rstrip("/")
    async with (
        AsyncAgentsClient(endpoint, credential) as classic,
        AsyncResponsesClient(f"{base}/openai/v1", credential) as client,
        AsyncResponsesClient(base, credential, api_version="v1") as agents,
    ):
        moving = Moving(classic, client, agents, write=yes)
        found = [moved async for moved in moving.move(only)]
    if found:
        rows = ((one.kind, one.old, one.name, one.new or "-", one.why) for one in found)
        print_table(("KIND", "ID", "NAME", "NEW", "WHAT"), rows)
    else:
        say("There is nothing that no pipeline made.")
    say(_STAYS)
    if found and not yes:
        say("Nothing was copied; --yes does it.")
    stays = [one for one in found if one.kind == "agent" and one.new is None and yes]
    return ExitCode.FAILED if stays else ExitCode.OK
