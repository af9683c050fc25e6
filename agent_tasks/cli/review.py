"""`agent-tasks review`: documents that wait for a person, and decisions about them."""

from __future__ import annotations

import getpass
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent_tasks.cli.approvals import left, question_as_json, question_in_words, told_of_answer
from agent_tasks.cli.errors import ExitCode, reported, say
from agent_tasks.cli.resources import EXIT_CODES, print_table, run_with_workspace, span
from agent_tasks.display import lines, moment, one_line
from agent_tasks.errors import ConfigurationError

if TYPE_CHECKING:
    from agent_tasks.journal import BatchRecord, DecisionRecord, Review
    from agent_tasks.review import Desk, Item
    from agent_tasks.review.web.serving import Where

__all__ = ["app"]

app = typer.Typer(
    name="review",
    help="What the agents were unsure of: look at it, and decide.",
    epilog=EXIT_CODES,
    invoke_without_command=True,
    rich_markup_mode="rich",
)

Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="The document's id or name, or a question's id."),
]
Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Ids of documents or questions, or documents' names."),
]
By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who decides.", show_default="your user name")
]
Note = Annotated[str, typer.Option("--note", "-n", metavar="TEXT", help="What you say about it.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON on standard output.")]


@app.callback(epilog=EXIT_CODES)
@reported
def desk(
    context: typer.Context,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in the browser.")
    ] = True,
    by: By = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that other machines reach needs --people.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 0,
    people: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A line NAME: TOKEN for each person who may decide.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="HOST", help="Name of the page; may be repeated.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its key (PEM).")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy with TLS stands before the page.")
    ] = False,
) -> None:
    """Open the desk: look at what the agents were unsure of, and decide.

    Without a further word it is a page in the browser, until Ctrl-C. The
    link that is printed can be used once, by the one who sees it.

    [bold]Example[/]

        agent-tasks review
        agent-tasks review list
    """
    if context.invoked_subcommand is not None:
        return
    from agent_tasks.review.web.serving import Where

    where = Where(
        person=_who(by), host=host, port=port, people=people, names=name or [], tls_cert=tls_cert,
        tls_key=tls_key, is_behind_proxy=behind_proxy,
    )  # fmt: skip
    run_with_workspace(lambda: _serve(where, browser=browser))


@app.command("list", epilog=EXIT_CODES)
@reported
def list_(
    pipeline: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only documents of this pipeline.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only those with this in a reason or question.")
    ] = None,
    field: Annotated[
        str | None, typer.Option(metavar="PATH", help="Only those where this value is doubtful.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(metavar="HOURS", help="Only those that wait at least so long.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", "-a", help="Also what the next run works on: sent back, decided.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the documents that wait for a person, the oldest first.

    [bold]Example[/]

        agent-tasks review list
        agent-tasks review list --pipeline invoices --field total
    """
    from agent_tasks.review import Filter

    wanted = Filter(pipeline, reason, field, None if older_than is None else older_than * 3600)
    run_with_workspace(lambda: _list(wanted, everything=everything, as_json=as_json))


@app.command(epilog=EXIT_CODES)
@reported
def show(document: Id, as_json: AsJson = False) -> None:
    """Show a document's values with their evidence, and why it waits.

    [bold]Example[/]

        agent-tasks review show scans/a.pdf
    """
    run_with_workspace(lambda: _show(document, as_json=as_json))


@app.command(epilog=EXIT_CODES)
@reported
def approve(documents: Ids, by: By = None, note: Note = "") -> None:
    """Approve: the document is done as it is, or its step may go on.

    [bold]Example[/]

        agent-tasks review approve scans/a.pdf --by "Ann Lee"
    """
    from agent_tasks import review

    run_with_workspace(
        lambda: _decide(
            documents,
            lambda desk, item: review.approve(desk, item, by=_who(by), note=note),
            lambda desk, asked: review.answer(desk, asked, approved=True, by=_who(by), note=note),
        )
    )


@app.command(epilog=EXIT_CODES)
@reported
def correct(
    document: Id,
    values: Annotated[
        list[str],
        typer.Option("--set", metavar="PATH=VALUE", help="A value; may be repeated. Empty: there is none."),
    ],
    by: By = None,
    note: Note = "",
) -> None:
    r"""Put your values in place of the agent's: the document is done with them.

    They are checked by the pipeline's fields, and looked up in the document.

    [bold]Example[/]

        agent-tasks review correct scans/a.pdf --set total=1250.50 \
          --set items[0].amount=12
    """
    from agent_tasks import review

    given = dict(_pair(text) for text in values)
    run_with_workspace(
        lambda: _decide(
            [document], lambda desk, item: review.correct(desk, item, given, by=_who(by), note=note)
        )
    )


@app.command(epilog=EXIT_CODES)
@reported
def reject(documents: Ids, by: By = None, note: Note = "") -> None:
    """Reject: the document is not to be used, or its step must not go on.

    [bold]Example[/]

        agent-tasks review reject scans/a.pdf --note "Not an invoice."
    """
    from agent_tasks import review

    run_with_workspace(
        lambda: _decide(
            documents,
            lambda desk, item: review.reject(desk, item, by=_who(by), note=note),
            lambda desk, asked: review.answer(desk, asked, approved=False, by=_who(by), note=note),
        )
    )


@app.command("send-back", epilog=EXIT_CODES)
@reported
def send_back(
    document: Id,
    note: Annotated[str, typer.Option("--note", "-n", metavar="TEXT", help="What the agent is told.")],
    step: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="STEP", help="The step to do anew.", show_default="the first that asked"
        ),
    ] = None,
    by: By = None,
) -> None:
    r"""Have the next run do a step anew; its agent is told why.

    [bold]Example[/]

        agent-tasks review send-back scans/a.pdf --to extract \
          --note "The total is on page 2."
    """
    from agent_tasks import review

    async def decide(desk: Desk, item: Item) -> Review:
        to = step if step is not None else next(iter(item.steps), "")
        return await review.send_back(desk, item, to, by=_who(by), note=note)

    run_with_workspace(lambda: _decide([document], decide))


@app.command(epilog=EXIT_CODES)
@reported
def undo(document: Id, by: By = None) -> None:
    """Take the last decision about a document back, until a run begins.

    [bold]Example[/]

        agent-tasks review undo scans/a.pdf
    """
    from agent_tasks import review
    from agent_tasks.errors import UnknownReviewError
    from agent_tasks.journal import ReviewKind

    async def take_back(desk: Desk, item: Item) -> Review:
        made = [
            one
            for one in await review.history(desk, item)
            if one.undone_at is None and one.kind is not ReviewKind.LEAVE
        ]
        if not made:
            raise UnknownReviewError(f"Nobody has decided about {item.document}.", key=item.key)
        return await review.undo(desk, made[-1], by=_who(by))

    run_with_workspace(lambda: _decide([document], take_back))


def _who(by: str | None) -> str:
    return getpass.getuser() if by is None else by


def _pair(text: str) -> tuple[str, str]:
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise ConfigurationError(f"{text!r} is not PATH=VALUE, such as total=12.50.", setting="--set")
    return path.strip(), value


async def _serve(where: Where, *, browser: bool) -> ExitCode:
    import webbrowser

    from agent_tasks.review.web.serving import serve
    from agent_tasks.settings import Settings

    def ready(address: str) -> None:
        say(f"The review desk: {address}")
        if browser and where.people is None:
            webbrowser.open(address)

    await serve(Settings(), where, ready=ready)
    return ExitCode.OK


async def _list(wanted: object, *, everything: bool, as_json: bool) -> ExitCode:
    from agent_tasks.review import Filter, list_items, list_questions, open_desk
    from agent_tasks.review.items import as_json as told
    from agent_tasks.settings import Settings

    assert isinstance(wanted, Filter)  # noqa: S101 - imported late, so named late
    now = time.time()
    async with open_desk(Settings()) as desk:
        found = [item for item in await list_items(desk, everything=everything) if wanted.takes(item, now)]
        asked = [one for one in await list_questions(desk) if wanted.takes_question(one, now)]
    if as_json:
        both = [*map(told, found), *map(question_as_json, asked)]
        typer.echo(json.dumps(both, ensure_ascii=False, indent=2))
        return ExitCode.OK
    if not found and not asked:
        say("No document waits for a person.")
        return ExitCode.OK
    if asked:
        print_table(
            ("ID", "QUESTION", "STEP", "OWNER", "AGE", "TIME LEFT"),
            (
                (one.key[:8], one.question, one.step, one.owner, span(now - one.asked_at), left(one, now))
                for one in asked
            ),
        )
    if not found:
        return ExitCode.OK
    print_table(
        ("ID", "DOCUMENT", "PIPELINE", "STATE", "WHY", "AGE", "HELD BY"),
        (
            (item.key[:8], item.document, item.batch.pipeline, _state(item), _why(item),
             span(now - item.since), item.holder.owner if item.holder is not None else "")
            for item in found
        ),
    )  # fmt: skip
    return ExitCode.OK


def _state(item: Item) -> str:
    if item.is_sent_back:
        return "sent back"
    return "decided" if item.is_decided else item.row.status.value.replace("_", " ")


def _why(item: Item) -> str:
    return "; ".join([one.question for one in item.questions] or item.row.reasons)


async def _show(key: str, *, as_json: bool) -> ExitCode:
    from agent_tasks.journal import DecisionRecord
    from agent_tasks.review import history, open_desk
    from agent_tasks.review.items import as_json as told
    from agent_tasks.review.questions import find
    from agent_tasks.settings import Settings

    async with open_desk(Settings()) as desk:
        item = await find(desk, key)
        if isinstance(item, DecisionRecord):
            shown = json.dumps(question_as_json(item), ensure_ascii=False, indent=2)
            typer.echo(shown if as_json else question_in_words(item))
            return ExitCode.OK
        past = await history(desk, item)
    if as_json:
        typer.echo(json.dumps(told(item), ensure_ascii=False, indent=2))
    else:
        typer.echo(_described(item, [_decided(one) for one in past]))
    return ExitCode.OK


def _described(item: Item, past: list[str]) -> str:
    from agent_tasks.batch.evidence import place_in_words

    facts = {
        "Document": item.document,
        "Id": item.key,
        "Pipeline": item.batch.pipeline,
        "State": f"{_state(item)}, since {moment(item.since)}",
        "Held by": item.holder.owner if item.holder is not None else "",
        "Sent back": f"may be, to {', '.join(item.steps)}" if item.steps else "",
    }
    told = [f"{name + ':':<12}{one_line(text)}" for name, text in facts.items() if text]
    told += ["", "Why:", *(f"  {one_line(reason)}" for reason in item.row.reasons)]
    for one in item.questions:
        told += ["", f"Asked by {one_line(one.step)}: {one_line(one.question)}"]
        told += [f"  {line}" for line in lines(one.shown).split("\n")] if one.shown else []
    if item.row.grounding:
        told += ["", "Values:"]
    for entry in item.row.grounding:
        where = "; ".join(place_in_words(place) for place in entry.places)
        doubt = f" ({entry.note})" if entry.note else ""
        status = entry.status.value.replace("_", " ")
        told.append(f"  {entry.path}: {one_line(str(entry.value))} - {status}{doubt}")
        told += [f"      {one_line(entry.excerpt or '')}  [{one_line(where)}]"] if entry.excerpt else []
    grounded = {entry.path for entry in item.row.grounding}
    told += [
        f"  {name}: {one_line(json.dumps(value, ensure_ascii=False))}"
        for name, value in (item.row.fields or {}).items()
        if not any(path == name or path.startswith((f"{name}.", f"{name}[")) for path in grounded)
    ]
    told += ["", "Decisions:", *(f"  {one_line(one)}" for one in past)] if past else []
    return "\n".join(told)


def _decided(review: Review) -> str:
    what = review.kind.value.replace("_", " ")
    to = f" to {review.step}" if review.step else ""
    said = f": {review.note}" if review.note else ""
    undone = f"; taken back by {review.undone_by}" if review.undone_at is not None else ""
    return f"{moment(review.decided_at)} {what}{to} by {review.by}{said}{undone}"


async def _decide(
    keys: list[str],
    decide: Callable[[Desk, Item], Awaitable[Review]],
    answer: Callable[[Desk, DecisionRecord], Awaitable[DecisionRecord]] | None = None,
) -> ExitCode:
    """Decide about documents and questions, one after the other; then results of batches are written."""
    from agent_tasks.errors import AgentTasksError, JournalError
    from agent_tasks.journal import DecisionRecord
    from agent_tasks.review import find_item, open_desk, publish_all
    from agent_tasks.review.questions import find
    from agent_tasks.settings import Settings

    failed = 0
    batches: dict[str, BatchRecord] = {}
    async with open_desk(Settings()) as desk:
        for key in keys:
            try:
                item = await (find(desk, key) if answer is not None else find_item(desk, key))
                if isinstance(item, DecisionRecord):
                    assert answer is not None  # noqa: S101 - else no question was looked for
                    await told_of_answer(await answer(desk, item))
                    continue
                made = await decide(desk, item)
            except JournalError:
                raise
            except AgentTasksError as error:
                say(f"Error: {error}", style="red")
                failed += 1
            else:
                batches[item.batch.key] = item.batch
                say(f"{item.key[:8]} {item.document}: {_decided(made)}")
        for problem in await publish_all(desk, list(batches.values())):
            say(problem)
    return ExitCode.FAILED if failed else ExitCode.OK
