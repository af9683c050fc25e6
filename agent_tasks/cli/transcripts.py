"""`agent-tasks transcripts`: what was said in turns of agents, as long as it is kept."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES, print_table, run_with_workspace, span

__all__ = ["app"]

_SHOWN = 12  # characters of a key

app = typer.Typer(
    name="transcripts",
    help="What was said in turns: prompts, answers, tool calls, citations.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("list", epilog=EXIT_CODES)
@reported
def list_(
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="OWNER",
            help="Only of this owner: a batch, or BATCH/DOCUMENT.",
            show_default="all owners",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The latest so many.")] = 50,
) -> None:
    """List the transcripts that are kept, the latest first.

    They are kept for AGENT_TASKS_TRANSCRIPT_DAYS (14), without secrets, and
    without texts if AGENT_TASKS_SHOW_CONTENT is false.

    [bold]Example[/]

        agent-tasks transcripts list
        agent-tasks transcripts list --owner invoices:0a1b2c3d4e5f/4711.pdf
    """
    run_with_workspace(lambda: _list(owner, limit))


@app.command(epilog=EXIT_CODES)
@reported
def show(
    turn: Annotated[str, typer.Argument(metavar="TURN", help="Its id, or the beginning of that.")],
) -> None:
    """Show what was said in a turn.

    [bold]Example[/]

        agent-tasks transcripts show 3f2a9c81d0e4
    """
    run_with_workspace(lambda: _show(turn))


async def _list(owner: str | None, limit: int) -> ExitCode:
    from agent_tasks.operations import TranscriptBody
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        found = await ws.journal.transcripts.of(ws.scope, owner, limit=limit)
    if not found:
        say("No transcript is kept.")
        return ExitCode.OK
    now = time.time()
    bodies = [one.read(TranscriptBody) for one in found]
    print_table(
        ("ID", "STEP", "AGENT", "MODEL", "OWNER", "CAME TO", "TOKENS", "AGE"),
        (
            (
                one.key[:_SHOWN], one.step, one.agent, body.model, one.owner,
                "failed" if body.error else "answered", f"{body.usage.total_tokens:,}",
                span(now - one.kept_at),
            )
            for one, body in zip(found, bodies, strict=True)
        ),
    )  # fmt: skip
    return ExitCode.OK


async def _show(turn: str) -> ExitCode:
    from agent_tasks.display import duration, lines, moment, one_line
    from agent_tasks.operations import find_transcript
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    async with open_workspace(Settings()) as ws:
        found, body = await find_transcript(ws, turn)
        cost = ws.prices.cost(body.usage.of_model(body.model))
    used = body.usage
    facts = {
        "turn": found.key, "step": found.step, "agent": found.agent, "model": body.model,
        "for": found.owner, "ended": moment(found.kept_at), "took": duration(body.seconds),
        "attempts": str(body.attempts), "on the service": f"{body.turn_id} in {body.conversation}",
        "tokens": f"{used.prompt_tokens:,} in, {used.completion_tokens:,} out; {used.cached_tokens:,} cached",
        "money": cost.text() if cost is not None else "",
    }  # fmt: skip
    for name, value in facts.items():
        if value:
            typer.echo(f"{name:<15}{one_line(value)}")
    for call in body.calls:
        state = call.error_type or call.state.value
        typer.echo(f"\n--- call {one_line(call.name)} ({one_line(state)})")
        for text in (call.arguments, call.output):
            if text is not None:
                typer.echo(lines(text))
    for title, text in (("prompt", body.prompt), ("answer", body.answer), ("error", body.error)):
        if text is not None:
            typer.echo(f"\n--- {title}\n{lines(text)}")
    cited = dict.fromkeys(one.file_name or one.url or one.file_id or "" for one in body.citations)
    if cited:
        typer.echo("\n--- cited")
        for name in cited:
            typer.echo(one_line(name))
    return ExitCode.OK
