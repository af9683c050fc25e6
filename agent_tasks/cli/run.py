"""`agent-tasks run`: local servers, Prefect's environment, the flow under its display, an exit code."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent_tasks.cli.errors import ExitCode, InterruptedBySignal, RunStoppedError, debugging, say
from agent_tasks.cli.interrupts import run_interruptible
from agent_tasks.detaching import is_detaching
from agent_tasks.errors import ConfigurationError
from agent_tasks.local.reachability import require_answer
from agent_tasks.local.server import Server
from agent_tasks.local.servers import (
    local_service,
    prefect_server,
    use_prefect_api,
    use_prefect_environment,
)
from agent_tasks.settings import ServiceKind, Settings

if TYPE_CHECKING:
    from uuid import UUID

    from agent_tasks.batch.records import BatchSummary

__all__ = ["run_batch"]

CANCEL_SECONDS = 10.0

_STOPPING = {
    signal.SIGINT: "Stopping: its turns are cancelled; the same command resumes.",
    signal.SIGTERM: (
        "Handing over: its turns keep running; the next worker, or the same command, attaches to them."
    ),
}


_STAYING = (
    "The local servers stay for {minutes:.3g} minutes, for the next command. To end them: agent-tasks stop"
)


def run_batch(
    documents: Path,
    pipeline: Path,
    out: Path,
    *,
    truth: Path | None = None,
    fail_on: str | None = None,
    quiet: bool = False,
) -> ExitCode:
    """Runs the flow `document_batch` over a folder and shows how it goes.

    Args:
        documents: the folder of documents.
        pipeline: the pipeline file.
        out: the folder for results; made if needed.
        truth: a file of right values, by which the results are evaluated at the end.
        fail_on: `failed` or `needs_review`: the state of a document that makes the exit code 1.
        quiet: no progress display.

    Raises:
        ConfigurationError: a path, a setting or the right values are not usable, or something is not
            installed; nothing was sent.
        PipelineError: the pipeline file is invalid; nothing was started.
        EmbeddedServiceError: a local server did not start.
        RunStoppedError: the flow run was cancelled on the Prefect server.
        InterruptedBySignal: Ctrl-C, and the flow run is cancelled; or SIGTERM, and its turns keep running (it
            counts as crashed). The servers are stopped, unless a run before has had them stay.
    """
    settings = Settings()
    _check_paths(documents, pipeline, out)
    # Made before anything starts: it refuses a local service that is not all there.
    service = None if settings.service_endpoint else local_service(settings)
    if settings.service_endpoint:
        is_inline = settings.service_kind is ServiceKind.INLINE
        require_answer("OPENAI_BASE_URL" if is_inline else "PROJECT_ENDPOINT", settings.service_endpoint)
    use_prefect_environment(settings)
    if debugging():
        os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "WARNING"
    with ExitStack() as stack:
        server = _launched(stack, prefect_server(settings))
        if service is not None:
            _launched(stack, service)
        with _waiting("Starting ...", quiet=quiet):
            # While the servers start: the imports take seconds, and find mistakes in the pipeline file.
            from agent_tasks.batch.budget import require_prices
            from agent_tasks.operations import read_prices
            from agent_tasks.pipeline.loader import default_model, load_pipeline

            prices = read_prices(settings.prices)
            require_prices(load_pipeline(pipeline, default_model=default_model(settings)), prices)
            if truth is not None:
                _check_truth(truth)
            asyncio.run(_open_journal(settings))
            import_module("agent_tasks.prefect.document_batch")
            use_prefect_api(server.wait())
            if service is not None:
                service.wait()
        ours = [one for one in (server, service) if one is not None]
        stay = [one.keep(settings.keep_servers) for one in ours]
        try:
            summary = run_interruptible(
                lambda: _process(documents, pipeline, out, quiet=quiet),
                on_interrupt=lambda number: say(_STOPPING[signal.Signals(number)], style="yellow"),
            )
        except InterruptedBySignal:
            stay = [one.keep(0) for one in ours]
            raise
        finally:
            if any(stay) and not quiet:
                say(_STAYING.format(minutes=settings.keep_servers / 60), style="dim")
    waiting = summary.needs_review + summary.waiting
    if waiting and not quiet:
        who = "document waits" if waiting == 1 else "documents wait"
        say(f"{waiting} {who} for a person. Look at them: agent-tasks review")
    if truth is not None:
        from agent_tasks.cli.evaluate import evaluate_run

        evaluate_run(out, truth)
    return _exit_code(summary, fail_on)


def _check_truth(truth: Path) -> None:
    """Reads it before anything is paid for, although it is needed at the end."""
    from agent_tasks.evaluation import read_truth

    read_truth(truth)


async def _open_journal(settings: Settings) -> None:
    """Opens and closes it: a journal that cannot be used ends the command, and no flow run."""
    from agent_tasks.journal import Journal

    async with Journal(settings.journal_url.get_secret_value(), lease_seconds=settings.lease_seconds):
        pass


def _launched(stack: ExitStack, server: Server[str]) -> Server[str]:
    stack.callback(server.close)
    return server.launch()


def _waiting(text: str, *, quiet: bool) -> Any:
    from rich.console import Console

    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:  # where nothing turns, such as in a log
        console.print(text, highlight=False)
    return console.status(text)


async def _process(documents: Path, pipeline: Path, out: Path, *, quiet: bool) -> BatchSummary:
    from prefect.exceptions import CancelledRun

    from agent_tasks.batch.console import BatchConsole
    from agent_tasks.prefect.document_batch import document_batch

    flow_run_ids: list[UUID] = []

    def remember(flow: Any, flow_run: Any, state: Any) -> None:
        flow_run_ids.append(flow_run.id)

    observed = document_batch.with_options(on_running=[*document_batch.on_running_hooks, remember])
    try:
        with BatchConsole(quiet=quiet):
            return await observed(documents=str(documents), pipeline=str(pipeline), out=str(out))
    except CancelledRun:
        raise RunStoppedError(
            "The flow run was cancelled on the Prefect server: its turns are ended, what it made is deleted. "
            "The same command resumes; documents that are done cost nothing again."
        ) from None
    except asyncio.CancelledError:
        for flow_run_id in flow_run_ids:
            await _mark_interrupted(flow_run_id)
        raise


async def _mark_interrupted(flow_run_id: UUID) -> None:
    """Prefect calls an interrupted run crashed; at Ctrl-C the person has cancelled it."""
    from httpx import HTTPError
    from prefect.client.orchestration import get_client
    from prefect.client.schemas import State
    from prefect.states import Cancelled, Crashed

    # A server that is gone too can't be told; the run is over all the same.
    with suppress(HTTPError, TimeoutError):
        async with asyncio.timeout(CANCEL_SECONDS), get_client() as client:
            state: State[Any] = Cancelled(message="Interrupted in the terminal.")
            if is_detaching():
                state = Crashed(message="Told to end (SIGTERM): its turns keep running for the next run.")
            await client.set_flow_run_state(flow_run_id, state, force=True)


def _check_paths(documents: Path, pipeline: Path, out: Path) -> None:
    if not documents.exists():
        raise ConfigurationError(f"There is no folder {documents}. Give the folder that holds the documents.")
    if not documents.is_dir():
        raise ConfigurationError(f"{documents} is a file. Give the folder that holds the documents.")
    if not pipeline.exists():
        raise ConfigurationError(f"There is no pipeline file {pipeline}. Give one with --pipeline.")
    if not pipeline.is_file():
        raise ConfigurationError(f"{pipeline} is a folder. Give the pipeline file itself with --pipeline.")
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file. Give a folder for the results with --out.")
    if out.resolve() == documents.resolve():
        raise ConfigurationError(
            "The results would be written among the documents. Give another folder with --out."
        )
    parent = next(path for path in [out.absolute(), *out.absolute().parents] if path.exists())
    if not os.access(parent, os.W_OK):
        raise ConfigurationError(f"{parent} is not writable. Give another folder for the results with --out.")


def _exit_code(summary: BatchSummary, fail_on: str | None) -> ExitCode:
    bad = {None: 0, "failed": summary.failed, "needs_review": summary.failed + summary.needs_review}[fail_on]
    return ExitCode.FAILED if bad else ExitCode.OK
