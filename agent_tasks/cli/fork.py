"""`agent-tasks fork`: a run again from one step on, with something changed, beside the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agent_tasks.cli.errors import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

    from agent_tasks.batch.fork import Comparison

__all__ = ["fork_run"]

_SHOWN = 20  # differences that the terminal shows; fork.md has more


def fork_run(
    run: str, step: str, out: Path, *, pipeline: Path | None, changes: list[str], quiet: bool
) -> ExitCode:
    """Forks a run and prints the comparison.

    Args:
        run: the run's folder of results, or its pipeline's name.
        step: the first step to be done again.
        out: the folder for the fork's results; made if needed.
        pipeline: another pipeline file; None: the run's.
        changes: changes to the file, `PLACE=VALUE`.
        quiet: no progress display.

    Raises:
        ConfigurationError: run, step, folder or a setting is not usable; nothing was sent.
        PipelineError: the pipeline file or a change to it is invalid; nothing was sent.
        InterruptedBySignal: Ctrl-C or SIGTERM; the same command resumes.
    """
    from agent_tasks.cli.interrupts import run_interruptible
    from agent_tasks.local.servers import use_prefect_environment
    from agent_tasks.settings import Settings

    use_prefect_environment(
        Settings()
    )  # the blocks import Prefect, which keeps its files in the state folder
    comparison = run_interruptible(lambda: _fork(run, step, out, pipeline, changes, quiet=quiet))
    from rich.console import Console

    Console(highlight=False).print(render(comparison))
    return ExitCode.OK


async def _fork(
    run: str, step: str, out: Path, pipeline: Path | None, changes: list[str], *, quiet: bool
) -> Comparison:
    from agent_tasks.batch.console import BatchConsole
    from agent_tasks.batch.fork import find_run, fork
    from agent_tasks.pipeline.loader import default_model
    from agent_tasks.prefect.blocks import open_workspace
    from agent_tasks.settings import Settings

    settings = Settings()
    async with open_workspace(settings) as ws:
        record = await find_run(ws, run)
        with BatchConsole(quiet=quiet):
            return await fork(
                ws, record, step, out, pipeline_file=pipeline, changes=changes,
                default_model=default_model(settings),
            )  # fmt: skip


def render(comparison: Comparison) -> RenderableType:
    """What became different, and what it cost, as tables."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from agent_tasks.display import one_line

    def table(*heads: str) -> Table:
        made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for head in heads:
            made.add_column(head, overflow="fold")
        return made

    sides = table(f"from {one_line(comparison.step)} on", "original", "fork")
    original, fork = comparison.original, comparison.fork
    for status in original.statuses:
        name = status.value.replace("_", " ")
        sides.add_row(name, str(original.statuses[status]), str(fork.statuses[status]))
    sides.add_row("turns", str(original.turns), str(fork.turns))
    sides.add_row("tokens", f"{original.usage.total_tokens:,}", f"{fork.usage.total_tokens:,}")
    costs = [comparison.prices.cost(side.usage) for side in (original, fork)]
    if any(costs):
        sides.add_row("money", *("" if cost is None else cost.text() for cost in costs))
    parts: list[RenderableType] = [Text(), sides, Text()]
    found = [*comparison.differences, *comparison.answers]
    if found:
        shown = table("document", "what", "original", "fork")
        for one in found[:_SHOWN]:
            shown.add_row(*(Text(one_line(text)) for text in (one.document, one.what, one.before, one.after)))
        parts += [shown, Text()]
    parts.append(
        Text(
            f"{comparison.changed} of {comparison.summary.total} documents differ, "
            f"{len(comparison.answers)} answers. All differences: {one_line(str(comparison.path))}"
        )
    )
    return Group(*parts)
