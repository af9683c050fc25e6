"""`agent-tasks automations`: what the Prefect server does about lost workers."""

from __future__ import annotations

from typing import Annotated

import typer

from agent_tasks.cli.errors import ExitCode, reported, say

__all__ = ["app"]

EXIT_CODES = "[bold]Exit codes[/]  0 done · 1 failed · 2 arguments or settings · 130 interrupted"

app = typer.Typer(
    name="automations",
    help="What the Prefect server does about lost workers, and whom it tells.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def automations() -> None:
    """What the Prefect server does about lost workers, and whom it tells."""


@app.command(epilog=EXIT_CODES)
@reported
def apply(
    flow: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A flow to watch; may be repeated.", show_default="document-batch"),
    ] = None,
    silent: Annotated[
        float, typer.Option(min=60, metavar="SECONDS", help="How long a run may be silent.")
    ] = 600,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE/NAME", help="A notification block that tells people of runs.", show_default="nobody"
        ),
    ] = None,
    restarts: Annotated[int, typer.Option(min=1, max=100, help="How often a run is started again.")] = 3,
) -> None:
    """Have silent flow runs crashed, and crashed ones started again.

    A flow run whose process and worker were killed is Running for ever.
    These automations find it by its missing heartbeats, and schedule it
    again: it resumes. Applying them again changes nothing.

    With --notify the server tells people of runs that failed or crashed, that
    left documents to them (NotAllDone), and that are late; of budgets that come
    to their end or are used up; and of what the flow `watch` finds: documents
    that wait long for a person, calls that wait long in a queue.

    Silence has to be well above PREFECT_FLOWS_HEARTBEAT_FREQUENCY of the
    workers (180 seconds if not set, 30 at least).

    [bold]Example[/]

        agent-tasks automations apply
        agent-tasks automations apply --silent 90 --restarts 5
        agent-tasks automations apply --notify slack-webhook/operators
    """
    from agent_tasks.cli.interrupts import run_interruptible
    from agent_tasks.local.servers import prefect_server, use_prefect_api, use_prefect_environment
    from agent_tasks.settings import Settings

    settings = Settings()
    use_prefect_environment(settings)
    with prefect_server(settings) as api_url:
        use_prefect_api(api_url)
        raise typer.Exit(run_interruptible(lambda: _apply(flow, silent, restarts, notify)))


async def _apply(flows: list[str] | None, silent: float, restarts: int, notify: str | None) -> ExitCode:
    from prefect.client.orchestration import get_client

    from agent_tasks.prefect.automations import (
        FLOWS,
        apply_automations,
        crash_silent_runs,
        find_block,
        notify_of_news,
        notify_of_runs,
        restart_crashed_runs,
    )

    watched = tuple(flows or FLOWS)
    wanted = [crash_silent_runs(watched, silent), restart_crashed_runs(watched, restarts)]
    async with get_client() as client:
        if notify is not None:
            told = await find_block(client, notify)
            wanted += [*notify_of_runs(told, watched), *notify_of_news(told)]
        for applied in await apply_automations(client, wanted):
            say(f"{applied.outcome:<10} {applied.name}")
    return ExitCode.OK
