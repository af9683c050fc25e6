"""`agent-tasks calls`: function calls that were interrupted, for a person to decide on."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES, print_table, run_with_workspace, span

__all__ = ["app"]

app = typer.Typer(
    name="calls",
    help="Interrupted function calls, whose outcome is unknown: they may have had their effect.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

CallId = Annotated[str, typer.Argument(metavar="CALL", help="Id of the call, as `calls list` shows it.")]


@app.command("list", epilog=EXIT_CODES)
@reported
def list_() -> None:
    """List the calls that have begun and not ended, and that nobody works on.

    A step whose function says when_unknown="stop" waits until such a call
    is answered or repeated. Others resume by themselves when they run again.
    """
    run_with_workspace(_list)


@app.command(epilog=EXIT_CODES)
@reported
def answer(
    call: CallId,
    output: Annotated[str, typer.Option("--output", "-o", help="What the agent is told.")],
) -> None:
    """Give a call's output: it had its effect, and you know what came of it.

    [bold]Example[/]

        agent-tasks calls answer call_7Hq2... --output "booked, number 4711"
    """
    run_with_workspace(lambda: _answer(call, output))


@app.command(epilog=EXIT_CODES)
@reported
def repeat(call: CallId) -> None:
    """Have a call made again: it had no effect.

    The function runs when the step does: start the run again.
    """
    run_with_workspace(lambda: _repeat(call))


async def _list() -> ExitCode:
    from agent_tasks.operations import list_interrupted_calls
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        found = await list_interrupted_calls(ws)
        operations = [await ws.journal.operations.get(ws.scope, one.operation_key) for one in found]
    if not found:
        say("No call was interrupted.")
        return ExitCode.OK
    now = time.time()
    print_table(
        ("CALL", "FUNCTION", "ARGUMENTS", "STEP", "OWNER", "AGE"),
        (
            (
                one.call_id,
                one.name,
                "(not kept)" if one.arguments is None else one.arguments,
                str(operation.fingerprint.get("step", "") if operation else ""),
                str(operation.fingerprint.get("owner", "") if operation else ""),
                span(now - one.started_at),
            )
            for one, operation in zip(found, operations, strict=True)
        ),
    )
    return ExitCode.OK


async def _answer(call: str, output: str) -> ExitCode:
    from agent_tasks.operations import answer_call
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        await answer_call(ws, call, output)
    say(f"{call} is answered. Start the run again: it resumes with this output.")
    return ExitCode.OK


async def _repeat(call: str) -> ExitCode:
    from agent_tasks.operations import repeat_call
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        await repeat_call(ws, call)
    say(f"{call} counts as not made. Start the run again: the function runs then.")
    return ExitCode.OK
