"""The commands of `agent-tasks`: their arguments and their help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agent_tasks.cli.errors import ExitCode, reported, say

__all__ = ["app", "main"]

EXIT_CODES = (
    "[bold]Exit codes[/]  0 done · 1 the run failed · 2 wrong arguments, settings or pipeline file · "
    "130 Ctrl-C · 143 SIGTERM"
)

app = typer.Typer(
    name="agent-tasks",
    help="Durable multi-agent pipelines over documents, on Azure AI agents or on this machine.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Durable multi-agent pipelines over documents, on Azure AI agents or on this machine."""


@app.command(epilog=EXIT_CODES)
@reported
def run(
    documents: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder with the documents (txt, md, html, pdf, docx).")
    ],
    pipeline: Annotated[
        Path,
        typer.Option("--pipeline", "-p", metavar="FILE", help="Pipeline file: agents, prompts, fields, questions."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR2", help="Folder for results.jsonl and report.md; made if needed."),
    ],
    fail_on: Annotated[
        str | None,
        typer.Option(
            metavar="needs_review|failed",
            help="Exit with 1 when a document ends in this state (needs_review includes failed).",
            show_default="a document does not fail the run",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress display; the summary only.")
    ] = False,
) -> None:
    """Process a folder of documents through a pipeline.

    What was done before is not done again: unchanged documents cost nothing, and a run that was killed goes on
    where it was.

    [bold]Example[/]

        agent-tasks run examples/documents --pipeline examples/pipeline.yaml --out out

    [bold]Settings[/] come from the environment or from the file .env of the working directory:

    PROJECT_ENDPOINT  the Azure AI project; not set: the local Agents service
    MODEL_DEPLOYMENT_NAME  the model deployment of agents that name none
    PREFECT_API_URL  the Prefect server; not set: one of the state folder
    AGENT_TASKS_STATE_DIR  the state folder; default .agent-tasks
    """
    from agent_tasks.cli.run import run_batch

    raise typer.Exit(run_batch(documents, pipeline, out, fail_on=fail_on, quiet=quiet))


@app.command(epilog=EXIT_CODES)
@reported
def dashboard(
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the dashboard in the browser.")
    ] = True,
) -> None:
    """Open the Prefect dashboard of the state folder.

    It shows the runs of `agent-tasks run`, those that are going on and those of the past. The server stays until
    Ctrl-C.
    """
    from agent_tasks.cli.dashboard import show_dashboard

    show_dashboard(browser=browser)


@app.command(epilog=EXIT_CODES)
@reported
def version() -> None:
    """Print the versions that matter for a bug report."""
    import platform
    from importlib.metadata import version as installed

    typer.echo(f"prefect-azure-agents {installed('prefect-azure-agents')}")
    typer.echo(f"prefect {installed('prefect')}")
    typer.echo(f"python {platform.python_version()} on {platform.platform()}")


def main() -> None:
    """Entry point of the console command."""
    app()
