"""`agent-tasks approvals`: what people are asked, and their decisions."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES, print_table, run_with_workspace, span
from agent_tasks.display import lines, moment

if TYPE_CHECKING:
    from agent_tasks.journal import DecisionRecord
    from agent_tasks.operations.decisions import Questions

__all__ = ["app", "left", "question_as_json", "question_in_words", "told_of_answer"]

_NONE_WAITS = "No question waits for a person. Documents that need review: agent-tasks review list."

app = typer.Typer(
    name="approvals",
    help="What steps ask people: look at it, approve or reject. What waits resumes with the next run.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The question's id, or how it begins.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="The questions' ids, or how they begin.")]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides.", show_default="your user name")
]
Note = Annotated[
    str, typer.Option("--note", "-n", metavar="TEXT", help="What you say about it: the agents may read it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON on standard output.")]


@app.command("list", epilog=EXIT_CODES)
@reported
def list_(
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also what is decided, expired or withdrawn.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the questions that wait for a person, the oldest first.

    [bold]Example[/]

        agent-tasks approvals list
        agent-tasks approvals list --all --json
    """
    run_with_workspace(lambda: _list(everything=everything, as_json=as_json))


@app.command(epilog=EXIT_CODES)
@reported
def show(question: Id, as_json: AsJson = False) -> None:
    """Show what is asked, and what there is to look at.

    [bold]Example[/]

        agent-tasks approvals show 3f2a
    """
    run_with_workspace(lambda: _show(question, as_json=as_json))


@app.command(epilog=EXIT_CODES)
@reported
def approve(questions: Ids, by: By = None, note: Note = "") -> None:
    """Approve. The first decision counts; nobody can change it.

    A suspended flow run that waits for it is resumed. Anything else resumes
    when its run is started again: what was done before costs nothing again.

    [bold]Example[/]

        agent-tasks approvals approve 3f2a --by "Ann Lee" --note "Checked."
    """
    run_with_workspace(lambda: _decide(questions, by, note, approved=True))


@app.command(epilog=EXIT_CODES)
@reported
def reject(questions: Ids, by: By = None, note: Note = "") -> None:
    """Reject. The first decision counts; nobody can change it.

    What waits for it resumes as after `approve`.

    [bold]Example[/]

        agent-tasks approvals reject 3f2a --note "The price is last year's."
    """
    run_with_workspace(lambda: _decide(questions, by, note, approved=False))


@asynccontextmanager
async def _questions() -> AsyncIterator[Questions]:
    """The journal's questions about the service that is configured; the service itself is not needed."""
    from agent_tasks.journal import Journal
    from agent_tasks.operations.decisions import Questions
    from agent_tasks.prefect.blocks import local_scope, open_workspace
    from agent_tasks.settings import Settings

    settings = Settings()
    if settings.service_endpoint:
        async with open_workspace(settings) as ws:
            yield Questions(ws.journal, ws.scope)
    else:
        async with Journal(settings.journal_url.get_secret_value()) as journal:
            yield Questions(journal, local_scope(settings))


async def _list(*, everything: bool, as_json: bool) -> ExitCode:
    from agent_tasks.journal import DecisionState
    from agent_tasks.operations import list_questions

    async with _questions() as asked:
        found = await list_questions(asked, states=() if everything else (DecisionState.WAITING,))
    if as_json:
        typer.echo(json.dumps([question_as_json(one) for one in found], ensure_ascii=False, indent=2))
        return ExitCode.OK
    if not found:
        say("Nobody was ever asked." if everything else _NONE_WAITS)
        return ExitCode.OK
    now = time.time()
    print_table(
        ("ID", "STATE", "QUESTION", "STEP", "OWNER", "AGE", "TIME LEFT"),
        (
            (one.key[:8], one.state.value, one.question, one.step, one.owner, span(now - one.asked_at),
             left(one, now))
            for one in found
        ),
    )  # fmt: skip
    return ExitCode.OK


def left(question: DecisionRecord, now: float) -> str:
    """How much of its time limit is left."""
    from agent_tasks.journal import DecisionState

    if question.state is not DecisionState.WAITING:
        return ""
    return "no limit" if question.expires_at is None else span(question.expires_at - now)


async def _show(key: str, *, as_json: bool) -> ExitCode:
    from agent_tasks.operations import find_question

    async with _questions() as asked:
        found = await find_question(asked, key)
    if as_json:
        typer.echo(json.dumps(question_as_json(found), ensure_ascii=False, indent=2))
    else:
        typer.echo(question_in_words(found))
    return ExitCode.OK


def question_in_words(question: DecisionRecord) -> str:
    """All that is to be known of a question."""
    limit = moment(question.expires_at)
    if question.expires_at is not None:
        limit += f", then: {question.at_limit}"
    facts = {
        "Question": question.question,
        "Id": question.key,
        "Asked by": f"step {question.step} of {question.owner}, {moment(question.asked_at)}",
        "Time limit": limit,
        "State": question.state.value,
        "Decided": "" if question.decided_at is None else _decided(question),
        "Note": question.note or "",
    }
    told = [f"{name + ':':<12}{lines(text)}" for name, text in facts.items() if text]
    # With a margin: no line of what is shown looks like one of ours.
    shown = [f"  {line}" for line in lines(question.shown).split("\n")] if question.shown else []
    return "\n".join([*told, *(["", "What there is to look at:", *shown] if shown else [])])


def _decided(question: DecisionRecord) -> str:
    taken = f", taken on {moment(question.taken_at)}" if question.taken_at is not None else ""
    return f"{moment(question.decided_at)} by {question.decided_by or 'its time limit'}{taken}"


async def _decide(keys: list[str], by: str | None, note: str, *, approved: bool) -> ExitCode:
    from agent_tasks.errors import DecisionError
    from agent_tasks.operations import decide

    who = getpass.getuser() if by is None else by
    failed, to_be_started = 0, False
    async with _questions() as asked:
        for key in keys:
            try:
                found = await decide(asked, key, approved=approved, by=who, note=note)
            except DecisionError as error:
                say(f"Error: {error}", style="red")
                failed += 1
            else:
                to_be_started = not await told_of_answer(found) or to_be_started
    if to_be_started:
        say("Start the run again: it resumes with the decision.")
    return ExitCode.FAILED if failed else ExitCode.OK


async def told_of_answer(question: DecisionRecord) -> bool:
    """Say what was decided, and resume the flow run that waits for it; False: none does."""
    from agent_tasks.prefect.suspended_runs import resume_where_it_is
    from agent_tasks.settings import Settings

    say(f"{question.key[:8]} is {question.state} by {question.decided_by}: {question.question}")
    said = await resume_where_it_is(question, Settings())
    if said:
        say(said)
    return said is not None


def question_as_json(question: DecisionRecord) -> dict[str, Any]:
    """A question for programs; times are seconds since the epoch."""
    return {
        "id": question.key,
        "state": question.state.value,
        "question": question.question,
        "step": question.step,
        "owner": question.owner,
        "asked_at": question.asked_at,
        "expires_at": question.expires_at,
        "at_limit": question.at_limit.value,
        "decided_at": question.decided_at,
        "decided_by": question.decided_by,
        "note": question.note,
        "taken_at": question.taken_at,
        "shown": question.shown,
        "seen": question.shown_hash,
    }
