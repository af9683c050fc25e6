"""`agent-tasks resources`: what the ledger says is on the service, and what was left behind there."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterable
from itertools import compress
from typing import Annotated, Any

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.display import one_line

__all__ = ["EXIT_CODES", "app", "print_table", "span"]

EXIT_CODES = "[bold]Exit codes[/]  0 done · 1 failed · 2 arguments or settings · 130 interrupted"

_WIDE = 2000  # characters; a table in a pipe is as wide as it needs, line by line

app = typer.Typer(
    name="resources",
    help="What we made on the service: agents, files, vector stores, conversations.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list", epilog=EXIT_CODES)
@reported
def list_(
    owner: Annotated[
        str | None,
        typer.Option(metavar="OWNER", help="Only what belongs to this owner.", show_default="all owners"),
    ] = None,
) -> None:
    """List what is in the ledger and not deleted.

    The ledger is part of the journal. The local service is started if
    PROJECT_ENDPOINT is not set; nothing is sent to the service.

    [bold]Example[/]

        agent-tasks resources list
        agent-tasks resources list --owner invoices:0a1b2c3d4e5f
    """
    run_with_workspace(lambda: _list(owner))


@app.command(epilog=EXIT_CODES)
@reported
def sweep(
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Delete; without it they are listed only.")
    ] = False,
) -> None:
    """Find what was left behind, and delete it with --yes.

    Left behind is what is past its time to live, and what carries our mark
    on the service but is not in the ledger. What a running batch works with
    is never touched.

    [bold]Example[/]

        agent-tasks resources sweep        # look
        agent-tasks resources sweep --yes  # delete
    """
    run_with_workspace(lambda: _sweep(yes=yes))


def run_with_workspace(main: Callable[[], Coroutine[Any, Any, ExitCode]]) -> None:
    """Run a command that opens a workspace, until its end or Ctrl-C; ends the program with its exit code."""
    from agent_tasks.cli.interrupts import run_interruptible
    from agent_tasks.local.servers import use_prefect_environment
    from agent_tasks.settings import Settings

    use_prefect_environment(Settings())  # the block below imports Prefect, which keeps its files in the state
    raise typer.Exit(run_interruptible(main))


async def _list(owner: str | None) -> ExitCode:
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        found = await ws.journal.resources.live(ws.scope, owner=owner, parts=True)
    if not found:
        say("There is nothing in the ledger that is not deleted.")
        return ExitCode.OK
    now = time.time()
    print_table(
        ("KIND", "ID", "NAME", "OWNER", "AGE", "TIME LEFT"),
        (
            (one.kind, one.remote_id, one.name, one.owner, span(now - one.created_at),
             span(one.expires_at - now) if one.expires_at > now else "over")
            for one in found
        ),
    )  # fmt: skip
    return ExitCode.OK


async def _sweep(*, yes: bool) -> ExitCode:
    from agent_tasks.operations.sweep import sweep as sweep_leftovers
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        found = await sweep_leftovers(ws, dry_run=not yes)
    if not found:
        say("Nothing was left behind.")
        return ExitCode.OK
    now = time.time()
    print_table(
        ("KIND", "ID", "NAME", "OWNER", "AGE", "WHY"),
        (
            (
                one.kind,
                one.remote_id,
                one.name,
                one.owner or "",
                span(now - one.created_at),
                one.reason.value,
            )
            for one in found
        ),
    )
    kept = [one for one in found if one.error is not None]
    for one in kept:
        say(f"{one.kind} {one.remote_id} was not deleted: {one.error}", style="red")
    if yes:
        say(f"{len(found) - len(kept)} deleted.")
    else:
        say(f"{len(found)} to delete: agent-tasks resources sweep --yes")
    return ExitCode.FAILED if kept else ExitCode.OK


def print_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """A table on standard output: as wide as the terminal, or as it needs in a pipe."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDE)
    shown, cells = list(heads), [list(row) for row in rows]
    if console.is_terminal:  # where room is scarce: columns that say nothing are left out
        said = [any(column) for column in zip(*cells, strict=True)]
        shown, *cells = [list(compress(line, said)) for line in (shown, *cells)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in shown:
        table.add_column(head, no_wrap=head in ("KIND", "ID", "AGE", "TIME LEFT"), overflow="fold")
    for row in cells:
        table.add_row(*(Text(one_line(cell)) for cell in row))  # names are other people's
    console.print(table)


def span(seconds: float) -> str:
    """A time span in its two largest units, such as `3 h 12 min`."""
    minutes = max(0, int(seconds)) // 60
    if minutes < 1:
        return f"{max(0, int(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
