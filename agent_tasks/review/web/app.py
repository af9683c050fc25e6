"""The page's addresses: the queue, a document, a page's picture, decisions, and signing in."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jinja2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from agent_tasks.display import duration, moment
from agent_tasks.documents.content import DocumentContent
from agent_tasks.documents.reading_pool import shared_pool
from agent_tasks.errors import AgentTasksError, ConfigurationError, DecisionError, DocumentError
from agent_tasks.journal import DecisionRecord, DecisionState, Lease, Review, ReviewKind
from agent_tasks.review import decisions, questions
from agent_tasks.review.desk import Desk
from agent_tasks.review.items import Filter, Item, find_item, history, item_key, list_items
from agent_tasks.review.turns import find_turn, turns_of
from agent_tasks.review.values import Shape, shape_of
from agent_tasks.review.web.access import COOKIE, HEADERS, Access, Person
from agent_tasks.review.web.publisher import Publisher
from agent_tasks.review.web.views import full_page, left_out, pages_of, said_in_turn, text_of, values_of
from agent_tasks.settings import Settings

__all__ = ["create_app"]

_HERE = Path(__file__).parent
MAX_FORM_BYTES = 2_000_000
PAGE = 100
"""Documents on a page of the queue."""
MAX_QUESTIONS = 200
"""Of flows, that the queue shows."""
MAX_CALLS = 100
"""Calls of tools, and citations, of a turn that its page shows."""
_FILTERS = ("pipeline", "reason", "field", "hours")
_OPEN = ("/static/", "/enter", "/sign-in")  # what nobody has to be signed in for
_SAID = {
    ReviewKind.APPROVE: "approved",
    ReviewKind.CORRECT: "corrected",
    ReviewKind.REJECT: "rejected",
    ReviewKind.SEND_BACK: "sent back",
    ReviewKind.LEAVE: "left to others",
}

Handler = Callable[[Request, Person], Awaitable[Response]]


def create_app(desk: Desk, access: Access) -> Starlette:
    """The page over a desk that is open; who may use it is what `access` says."""
    pages = _Pages(desk, access)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        pages.publisher.start()
        try:
            yield
        finally:
            await pages.publisher.close()

    return Starlette(
        routes=[
            Route("/", pages.signed_in(pages.queue)),
            Route("/enter", pages.enter),
            Route("/sign-in", pages.sign_in, methods=["GET", "POST"]),
            Route("/sign-out", pages.signed_in(pages.sign_out), methods=["POST"]),
            Route("/items/{key}", pages.signed_in(pages.item)),
            Route("/items/{key}/pages/{page:int}.png", pages.signed_in(pages.picture)),
            Route("/items/{key}/turns/{turn}", pages.signed_in(pages.turn)),
            Route("/items/{key}/decide", pages.signed_in(pages.decide), methods=["POST"]),
            Route("/items/{key}/hold", pages.signed_in(pages.hold), methods=["POST"]),
            Route("/questions/{key}", pages.signed_in(pages.question)),
            Route("/questions/{key}/decide", pages.signed_in(pages.answer), methods=["POST"]),
            Route("/questions/{key}/hold", pages.signed_in(pages.hold_question), methods=["POST"]),
            Route("/decisions/{key}/undo", pages.signed_in(pages.undo), methods=["POST"]),
            Mount("/static", StaticFiles(directory=_HERE / "static")),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pages.guard)],
        exception_handlers={404: pages.unknown, 405: pages.unknown, 500: pages.broken},
        lifespan=lifespan,
    )


class _Pages:
    def __init__(self, desk: Desk, access: Access) -> None:
        self.desk = desk
        self.access = access
        self.publisher = Publisher(desk)
        self._resumed: dict[str, str] = {}
        """What became of flow runs whose question was answered, until it is shown."""
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"), autoescape=True, trim_blocks=True,
            lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        )  # fmt: skip
        self._templates.filters.update(moment=moment, age=_age, took=duration, said=said_in_turn)

    # --- what stands before every request -----------------------------------------------------------------

    async def guard(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Refuse what was asked for by another name; no page may be framed, kept, or load from elsewhere."""
        if self.access.knows_host(request):
            response = await call_next(request)
        else:
            response = PlainTextResponse("This page is not known by that name.", status_code=421)
        response.headers.update(HEADERS)
        return response

    async def unknown(self, request: Request, error: Exception) -> Response:
        """Answer to an address that is none of the desk's."""
        status = getattr(error, "status_code", 404)
        return self._stopped("The desk has no such page.", status)

    async def broken(self, request: Request, error: Exception) -> Response:
        """Answer where something failed that nobody foresaw; the server's log has it."""
        response = self._stopped(
            f"The desk failed ({type(error).__name__}), and nothing was decided. What it failed at is where "
            "`agent-tasks review` runs.",
            500,
        )
        response.headers.update(HEADERS)  # it comes from outside the guard
        return response

    def signed_in(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """A handler for people who are signed in; what changes something has to come from a page of ours."""

        async def handle(request: Request) -> Response:
            person = self.access.person(request)
            if person is None:
                return (
                    self._stopped(
                        "Open the desk by the link that `agent-tasks review` printed; it can be used once.",
                        401,
                    )
                    if not self.access.people
                    else RedirectResponse("/sign-in", status_code=303)
                )
            if request.method == "POST":
                request.state.form = await _form(request)
                if not self.access.may_change(request, person, request.state.form.get("csrf", "")):
                    return self._stopped(
                        "This does not come from a page of the desk. Go back and try again.", 403
                    )
            try:
                return await handler(request, person)
            except DecisionError as error:
                return self._stopped(str(error), 409)
            except AgentTasksError as error:
                return self._stopped(str(error), 500)

        return handle

    async def enter(self, request: Request) -> Response:
        """Take the one-time link."""
        person = self.access.enter(request.query_params.get("token", ""))
        if person is None:
            return self._stopped("This link was used already, or is another one. Start the desk again.", 403)
        return self.access.open(person, RedirectResponse("/", status_code=303))

    async def sign_in(self, request: Request) -> Response:
        """Take a person's token."""
        if not self.access.people:
            return self._stopped("Open the desk by the link that `agent-tasks review` printed.", 404)
        if request.method == "GET":
            return self._page("sign-in.html", problem="")
        person = self.access.sign_in((await _form(request)).get("token", "").strip())
        if person is None:
            return self._page("sign-in.html", 403, problem="Nobody has this token.")
        return self.access.open(person, RedirectResponse("/", status_code=303))

    async def sign_out(self, request: Request, person: Person) -> Response:
        """End the session."""
        self.access.close(request)
        response = self._stopped("You are signed out.", 200)
        response.delete_cookie(COOKIE, path="/")
        return response

    # --- pages ---------------------------------------------------------------------------------------------

    async def queue(self, request: Request, person: Person) -> Response:
        """What waits, and what was decided last."""
        chosen = _chosen(request.query_params)
        items = await list_items(self.desk)
        found = _filtered(items, chosen)
        pages = max(1, -(-len(found) // PAGE))
        page = min(_number(request.query_params.get("page", "")), pages)
        latest = await self.desk.journal.reviews.find(self.desk.scope, latest=10)
        return self._page(
            "queue.html",
            person=person,
            items=found[(page - 1) * PAGE : page * PAGE],
            first=(page - 1) * PAGE + 1,
            count=len(found),
            page=page,
            pages=pages,
            turned=lambda number: _query({**chosen, "page": str(number)}),
            total=len(items),
            chosen=chosen,
            query=_query(chosen),
            pipelines=sorted({item.batch.pipeline for item in items}),
            paths=sorted({path for item in items for path in item.doubtful})[:200],
            latest=latest,
            questions=await questions.list_questions(self.desk),
            decided=await questions.decided_questions(self.desk),
            most=MAX_QUESTIONS,
            said=_SAID,
            done=await self._done(request),
            now=time.time(),
        )

    async def item(self, request: Request, person: Person) -> Response:
        """A document beside its values."""
        item = await find_item(self.desk, request.path_params["key"])
        chosen = _chosen(request.query_params)
        holder = None if item.is_decided else await decisions.hold(self.desk, item, by=person.name)
        return await self._item_page(request, person, item, chosen, holder=holder)

    async def _item_page(
        self,
        request: Request,
        person: Person,
        item: Item,
        chosen: dict[str, str],
        *,
        holder: Any = None,
        problems: tuple[str, ...] = (),
        given: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> Response:
        shape, content, trouble = await self._looked_at(item)
        values = values_of(item.row, shape)
        asked = [one.question for one in item.questions]
        reasons = [one for one in item.row.reasons if not one.startswith(tuple(asked))]
        items = _filtered(await list_items(self.desk), chosen)
        following = [one for one in items if one.key != item.key]
        return self._page(
            "item.html",
            status,
            person=person,
            item=item,
            values=values,
            given=given or {},
            can_correct=shape is not None and content is not None and not item.questions,
            pages=pages_of(item.row, content, values),
            text=text_of(item.row, content, values) if content is not None else [],
            left_out=left_out(item.row, content),
            trouble=trouble,
            reasons=reasons,
            holder=holder,
            problems=problems,
            past=await history(self.desk, item),
            turns=await turns_of(self.desk, item),
            said=_SAID,
            following=following[0] if following else None,
            left=len(following),
            chosen=chosen,
            query=_query(chosen),
            done=await self._done(request),
            now=time.time(),
        )

    async def _looked_at(self, item: Item) -> tuple[Shape | None, DocumentContent | None, list[str]]:
        """The shape of the fields and the document, read; and why one of them is not there."""
        trouble: list[str] = []
        shape, content = None, None
        try:
            shape = shape_of(await self.desk.pipeline(item.batch), item.row)
        except AgentTasksError as error:
            if not item.questions:  # nothing is corrected where a step asks
                trouble.append(str(error))
        try:
            content = await self.desk.read(item.batch, item.row)
        except (DocumentError, ConfigurationError) as error:
            trouble.append(str(error))
        return shape, content, list(dict.fromkeys(trouble))

    async def turn(self, request: Request, person: Person) -> Response:
        """What was said in a turn about a document."""
        item = await find_item(self.desk, request.path_params["key"])
        kept, body = await find_turn(self.desk, item, request.path_params["turn"])
        return self._page(
            "turn.html",
            person=person,
            item=item,
            kept=kept,
            body=body,
            shows_content=self.desk.shows_content,
            query=_query(_chosen(request.query_params)),
            most=MAX_CALLS,
        )

    async def picture(self, request: Request, person: Person) -> Response:
        """A page of a document."""
        item = await find_item(self.desk, request.path_params["key"])
        content = await self.desk.content(item.batch, item.row)
        limits = (await self.desk.pipeline(item.batch)).limits.reading
        place = full_page(request.path_params["page"])
        [picture] = await shared_pool().pictures_async(content, item.document, [place], limits=limits)
        if not picture:
            return PlainTextResponse("There is no such page, or it can't be drawn.", status_code=404)
        return Response(picture, media_type="image/png")

    # --- what changes something ----------------------------------------------------------------------------

    async def decide(self, request: Request, person: Person) -> Response:
        """Decide; then the next document."""
        form: dict[str, str] = request.state.form
        chosen = _chosen(form)
        item = await find_item(self.desk, request.path_params["key"])
        given = {path[6:]: text for path, text in form.items() if path.startswith("value:")}
        try:
            review = await self._decided(item, person, form, given)
        except (DecisionError, ConfigurationError, DocumentError) as error:
            problems = getattr(error, "problems", ()) or (str(error),)
            return await self._item_page(
                request, person, item, chosen, problems=tuple(problems), given=given, status=409
            )
        if review is not None and review.kind is not ReviewKind.LEAVE:
            self.publisher.note(item.batch)
        items = [one for one in _filtered(await list_items(self.desk), chosen) if one.key != item.key]
        free = [one for one in items if one.holder is None or one.holder.owner == person.name]
        where = f"/items/{free[0].key}" if free else "/"
        done = {"done": review.key} if review is not None else {}
        query = urlencode({**{name: text for name, text in chosen.items() if text}, **done})
        return RedirectResponse(f"{where}?{query}" if query else where, status_code=303)

    async def _decided(
        self, item: Item, person: Person, form: dict[str, str], given: dict[str, str]
    ) -> Review | None:
        what, note, seen = form.get("do", ""), form.get("note", ""), form.get("seen", "")
        by = person.name
        if what in ("approve", "correct") and not item.questions:
            changed = await self._changed(item, given)
            if what == "correct":
                return await decisions.correct(self.desk, item, changed, by=by, note=note, seen=seen)
            if changed and not item.is_decided:
                raise ConfigurationError(
                    f"You have changed {', '.join(changed)}: save the corrections, or set them back."
                )
        if what == "approve":
            return await decisions.approve(self.desk, item, by=by, note=note, seen=seen)
        if what == "reject":
            return await decisions.reject(self.desk, item, by=by, note=note, seen=seen)
        if what == "send_back":
            step = form.get("step", "")
            return await decisions.send_back(self.desk, item, step, by=by, note=note, seen=seen)
        if what == "leave":
            return await decisions.leave(self.desk, item, by=by, note=note, seen=seen)
        raise ConfigurationError("It is not said what to do: approve, correct, reject, send back or leave.")

    async def _changed(self, item: Item, given: dict[str, str]) -> dict[str, str]:
        """Those of the form's values that are not what is there."""
        try:
            shape = shape_of(await self.desk.pipeline(item.batch), item.row)
        except AgentTasksError:
            shape = None
        there = {value.path: value.text for value in values_of(item.row, shape)}
        texts = {path: text.replace("\r\n", "\n") for path, text in given.items()}
        return {path: text for path, text in texts.items() if text.strip() != there.get(path, "").strip()}

    async def hold(self, request: Request, person: Person) -> Response:
        """Keep a document that is still looked at."""
        item = await find_item(self.desk, request.path_params["key"])
        return _held(await decisions.hold(self.desk, item, by=person.name))

    async def question(self, request: Request, person: Person) -> Response:
        """A question that is no document's, with what there is to look at."""
        asked = await questions.find_question(self.desk, request.path_params["key"])
        is_open = asked.state is DecisionState.WAITING
        holder = await questions.hold_question(self.desk, asked, by=person.name) if is_open else None
        return self._question_page(person, asked, holder=holder)

    def _question_page(
        self, person: Person, asked: DecisionRecord, *, holder: Lease | None = None,
        problems: tuple[str, ...] = (), status: int = 200,
    ) -> Response:  # fmt: skip
        said = self._resumed.pop(asked.key, "")
        return self._page(
            "question.html",
            status,
            person=person,
            question=asked,
            holder=holder,
            problems=problems,
            said=said,
        )

    async def answer(self, request: Request, person: Person) -> Response:
        """Answer a question, and have the flow run resumed that waits for it."""
        form: dict[str, str] = request.state.form
        asked = await questions.find_question(self.desk, request.path_params["key"])
        what = form.get("do", "")
        if what == "leave":
            await self.desk.journal.reviews.give_up(self.desk.scope, asked.key, person=person.name)
            return RedirectResponse("/", status_code=303)
        try:
            if what not in ("approve", "reject"):
                raise ConfigurationError("It is not said what to do: approve, reject or leave.")
            answered = await questions.answer(
                self.desk, asked, approved=what == "approve", by=person.name, note=form.get("note", ""),
                seen=form.get("seen") or None,
            )  # fmt: skip
        except (DecisionError, ConfigurationError) as error:
            asked = await questions.find_question(self.desk, asked.key)
            return self._question_page(person, asked, problems=(str(error),), status=409)
        from agent_tasks.prefect.suspended_runs import resume_where_it_is  # imports Prefect

        self._resumed[answered.key] = await resume_where_it_is(answered, Settings()) or ""
        return RedirectResponse(f"/questions/{answered.key}", status_code=303)

    async def hold_question(self, request: Request, person: Person) -> Response:
        """Keep a question that is still looked at."""
        asked = await questions.find_question(self.desk, request.path_params["key"])
        return _held(await questions.hold_question(self.desk, asked, by=person.name))

    async def undo(self, request: Request, person: Person) -> Response:
        """Take a decision back, and show its document again."""
        found = await self.desk.journal.reviews.find(
            self.desk.scope, key_start=request.path_params["key"], latest=1
        )
        if not found:
            return self._stopped("This decision is not in the journal.", 404)
        review = await decisions.undo(self.desk, found[0], by=person.name)
        item = await find_item(self.desk, item_key(review.batch, review.document))
        self.publisher.note(item.batch)
        query = _query(_chosen(request.state.form))
        return RedirectResponse(f"/items/{item.key}{query}", status_code=303)

    # --- rendering -----------------------------------------------------------------------------------------

    async def _done(self, request: Request) -> Review | None:
        """The decision that led to this page."""
        key = request.query_params.get("done", "")
        found = await self.desk.journal.reviews.find(self.desk.scope, key_start=key, latest=1) if key else []
        return found[0] if found and found[0].undone_at is None else None

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status_code=status)

    def _stopped(self, why: str, status: int) -> Response:
        return self._page("stopped.html", status, why=why)


def _held(holder: Lease | None) -> Response:
    """The answer to a sign of life: who looks at it, if that is somebody else."""
    return PlainTextResponse("" if holder is None else holder.owner, 200 if holder is None else 409)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of one that is too long nothing."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_FORM_BYTES:
            return {}
    text = body.decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=10_000))


def _chosen(given: Mapping[str, str]) -> dict[str, str]:
    return {name: given.get(f"filter-{name}", given.get(name, "")) for name in _FILTERS}


def _query(chosen: dict[str, str]) -> str:
    said = urlencode({name: text for name, text in chosen.items() if text})
    return f"?{said}" if said else ""


def _filtered(items: list[Item], chosen: dict[str, str]) -> list[Item]:
    try:
        seconds = float(chosen["hours"]) * 3600 if chosen["hours"] else None
    except ValueError:
        seconds = None
    wanted = Filter(chosen["pipeline"] or None, chosen["reason"] or None, chosen["field"] or None, seconds)
    now = time.time()
    return [item for item in items if wanted.takes(item, now)]


def _number(text: str) -> int:
    """The number of a page; what is none is the first."""
    return max(1, int(text)) if text.isascii() and text.isdecimal() and len(text) < 9 else 1


def _age(seconds: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "just now"
