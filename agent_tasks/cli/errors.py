"""From an exception to one clear message and an exit code."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import ParamSpec

import typer
from typing_extensions import override

from agent_tasks.display import lines
from agent_tasks.errors import AgentTasksError, ConfigurationError, PipelineError
from agent_tasks.redaction import redacted, redacted_traceback

__all__ = ["ExitCode", "InterruptedBySignal", "RunStoppedError", "debugging", "reported", "say"]

P = ParamSpec("P")


class ExitCode(IntEnum):
    """Exit codes of every command; a signal adds 128 to its number (130 for Ctrl-C, 143 for SIGTERM)."""

    OK = 0
    FAILED = 1
    """The run failed, or documents are in a state named by --fail-on."""
    USAGE = 2
    """Arguments, settings or the pipeline file are not usable; nothing was sent."""


class InterruptedBySignal(Exception):  # noqa: N818 - not an error of the program
    """The person or the system asked the program to end; `exit_code` is 128 + number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.number = number
        self.exit_code = 128 + number


class RunStoppedError(AgentTasksError):
    """The flow run was cancelled on the Prefect server while the command ran."""


def say(text: str, *, style: str = "") -> None:
    """A line for the person, on standard error, so that standard output stays usable in pipes.

    Texts of errors come from outside: what would act on the terminal is spelt out.
    """
    from rich.console import Console

    class Aside(Console):
        @override
        def on_broken_pipe(self) -> None:
            """Nobody reads standard error any more (`2>&1 | head`): that ends nothing."""
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())

    Aside(stderr=True).print(lines(text), style=style, markup=False, highlight=False, soft_wrap=True)


def reported(command: Callable[P, None]) -> Callable[P, None]:
    """Ends `command` with a message and an exit code in place of a traceback (which `--debug` shows)."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except InterruptedBySignal as interrupt:
            raise typer.Exit(interrupt.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
        except Exception as error:
            if debugging():
                say(redacted_traceback(error).rstrip())
            _show(error)
            usage = isinstance(error, ConfigurationError | PipelineError)
            raise typer.Exit(ExitCode.USAGE if usage else ExitCode.FAILED) from None

    return wrapper


def _show(error: Exception) -> None:
    if isinstance(error, AgentTasksError):
        say(f"Error: {error}", style="red")
    else:
        say(redacted(f"Unexpected {type(error).__name__}: {error}"), style="red")
        if not debugging():
            say("The traceback is shown by: agent-tasks --debug ...")


def debugging() -> bool:
    """Whether `--debug` was given."""
    return "--debug" in sys.argv[1:]
