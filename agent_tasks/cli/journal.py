"""`agent-tasks journal`: what is kept of runs, and for how long."""

from __future__ import annotations

from typing import Annotated

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES
from agent_tasks.display import several

__all__ = ["app"]

app = typer.Typer(
    name="journal",
    help="The journal: what is kept of runs, and for how long.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.callback()
def _group() -> None:
    """Make a group of it, though it has one command."""


@app.command(epilog=EXIT_CODES)
@reported
def prune(
    older_than: Annotated[
        float, typer.Option("--older-than", metavar="DAYS", min=1, help="How long ago it has ended.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Forget it; without it only say how much there is.")
    ] = False,
) -> None:
    """Forget batches, operations and transcripts that have ended long ago.

    What belongs to a run under way, waits for a person, or has something on
    the service, stays. What is forgotten is done anew, and paid for again,
    if its folder is run again. Nothing is started or sent.

    [bold]Example[/]

        agent-tasks journal prune --older-than 90        # look
        agent-tasks journal prune --older-than 90 --yes  # forget
    """
    from agent_tasks.cli.interrupts import run_interruptible

    raise typer.Exit(run_interruptible(lambda: _prune(older_than, yes=yes)))


async def _prune(days: float, *, yes: bool) -> ExitCode:
    from agent_tasks.journal import Journal
    from agent_tasks.operations.pruning import prune_journal
    from agent_tasks.settings import Settings

    async with Journal(Settings().journal_url.get_secret_value()) as journal:
        done = await prune_journal(journal, days, dry_run=not yes)
    say(
        f"{several(done.batches, 'batch', 'batches')} with {several(done.documents, 'document')}, "
        f"{several(done.operations, 'operation')}, {several(done.transcripts, 'transcript')} "
        f"{'are forgotten' if yes else 'to forget: repeat it with --yes'}."
    )
    if done.kept_for_people:
        old = several(done.kept_for_people, "old batch stays", "old batches stay")
        say(f"{old}: documents of theirs wait for people.")
    return ExitCode.OK
