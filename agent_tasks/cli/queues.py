"""`agent-tasks queues`: what lies in the queues of queue tools, and sending failed calls again."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES, print_table, span
from agent_tasks.display import one_line

if TYPE_CHECKING:
    from agent_tasks.operations.queue_upkeep import QueuePair, QueueState, Redriven
    from agent_tasks.queues import Storage

__all__ = ["app"]

app = typer.Typer(
    name="queues",
    invoke_without_command=True,
    rich_markup_mode="rich",
)

Connection = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Setting with the storage connection; or NAME__queueServiceUri, for an identity."
    ),
]
Tool = Annotated[
    str | None, typer.Option(metavar="TOOL", help="Only this tool.", show_default="all of the account")
]


@app.callback(epilog=EXIT_CODES)
def queues(
    context: typer.Context,
    connection: Connection = "STORAGE",
    tool: Tool = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """Show what lies in the queues of each tool of a storage account.

    IN and OUT are calls and answers under way. POISON are calls that failed
    at every try and are not answered yet, PARKED those that were answered
    with an error: `redrive` sends both again. STRAY are answers that nobody
    waited for. OLDEST is the age of the oldest call under way.

    [bold]Example[/]

        agent-tasks queues --connection STORAGE
        agent-tasks queues redrive --tool lookup_supplier
    """
    if context.invoked_subcommand is None:
        reported(lambda: _run(lambda: _show(connection, tool, as_json=as_json)))()


@app.command(epilog=EXIT_CODES)
@reported
def redrive(
    connection: Connection = "STORAGE",
    tool: Tool = None,
    limit: Annotated[int, typer.Option("--max", min=1, metavar="N", help="Calls to send at most.")] = 1000,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Send them; without it they are listed only.")
    ] = False,
) -> None:
    """Send failed calls again, under the same CorrelationId.

    The Function App computes those anew that it had answered with an error
    from the poison queue; a call that has an answer gets that one again, and
    one that may have had its effect is never run twice.

    [bold]Example[/]

        agent-tasks queues redrive --tool lookup_supplier        # look
        agent-tasks queues redrive --tool lookup_supplier --yes  # send
    """
    _run(lambda: _redrive(connection, tool, limit, yes=yes))


def _run(main: Any) -> None:
    from agent_tasks.cli.interrupts import run_interruptible

    raise typer.Exit(run_interruptible(main))


async def _show(connection: str, tool: str | None, *, as_json: bool) -> ExitCode:
    from agent_tasks.operations.queue_upkeep import queue_states

    async with _opened(connection) as storage:
        states = await queue_states(storage, await _pairs(storage, tool))
    if as_json:
        typer.echo(json.dumps([asdict(state) for state in states], indent=2))
        return ExitCode.OK
    if not states:
        say("There are no queues of tools in this account (they are named TOOL-input and TOOL-output).")
        return ExitCode.OK
    print_table(
        ("TOOL", "IN", "OLDEST", "OUT", "POISON", "PARKED", "STRAY"),
        (
            (
                one.tool,
                _depth(one.input),
                span(one.input.oldest) if one.input.oldest is not None else "-",
                *(_depth(state) for state in (one.output, one.poison, one.parked, one.strays)),
            )
            for one in states
        ),
    )
    for one in states:
        for state in (one.input, one.output):
            if state.depth is None:
                say(f"There is no queue {state.name}. Create it: the host does not.", style="yellow")
    return ExitCode.OK


async def _redrive(connection: str, tool: str | None, limit: int, *, yes: bool) -> ExitCode:
    from agent_tasks.operations import queue_upkeep

    def told(one: Redriven) -> None:
        what = "left" if one.left else "sent again" if yes else "to send"
        why = f" ({one.left})" if one.left else ""
        typer.echo(one_line(f"{what}: {one.correlation_id or 'a message'} of {one.queue}{why}"))

    async with _opened(connection) as storage:
        pairs = await _pairs(storage, tool)
        found = await queue_upkeep.redrive(
            storage, pairs, limit=limit, dry_run=not yes, on_moved=told if yes else None
        )
        states = await queue_upkeep.queue_states(storage, pairs)
    if not yes:
        for one in found:
            told(one)
        waiting = sum((state.poison.depth or 0) + (state.parked.depth or 0) for state in states)
        say(f"{waiting} failed calls. Send them again: agent-tasks queues redrive --yes")
        return ExitCode.OK
    left = [one for one in found if one.left]
    say(f"{len(found) - len(left)} sent again, {len(left)} left.")
    return ExitCode.FAILED if left else ExitCode.OK


def _opened(connection: str) -> Storage:
    from agent_tasks.queues import Storage, StorageConnection
    from agent_tasks.settings import environment

    return Storage(StorageConnection.from_settings(connection, environment()))


async def _pairs(storage: Storage, tool: str | None) -> list[QueuePair]:
    from agent_tasks.errors import ConfigurationError
    from agent_tasks.operations.queue_upkeep import find_pairs

    pairs = await find_pairs(storage)
    if tool is None:
        return pairs
    wanted = tool.replace("-", "_")
    chosen = [pair for pair in pairs if wanted in (pair.tool, pair.input.replace("-", "_"))]
    if not chosen:
        there = ", ".join(pair.tool for pair in pairs) or "none"
        raise ConfigurationError(f"There are no queues of a tool {tool}. Tools of this account: {there}.")
    return chosen


def _depth(state: QueueState) -> str:
    return "-" if state.depth is None else str(state.depth)
