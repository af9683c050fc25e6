"""Faults on demand: rules that say which requests go wrong, and how.

A plan is a YAML (or JSON) document, given by `--faults FILE` or put to `/_emulator/faults`::

    seed: 7
    rules:
      - when: {operation: runs.create, nth: 2}      # the second request of that operation
        then: {status: 429, retry_after: 3}
      - when: {operation: "runs.*", probability: 0.1}
        then: {run: {outcome: throttled, wait: 22}}
        count: 5                                    # at most five times

Every rule counts the requests that its `when` matches; of the rules that apply to a request, the first acts.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agents_emulator.errors import ApiError, GatewayError, ServiceError
from agents_emulator.guard import connection_of
from agents_emulator.store import Record
from agents_emulator.strictness import operation_names
from agents_emulator.yaml_files import YamlError, describe, parse

MAX_PLAN_BYTES = 256 * 1024
_CUT_KEY = "agents_emulator.fault"
_FRAME_END = b"\n\n"  # of an event; several may leave together
Seconds = Annotated[float, Field(ge=0, le=86400)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class When(_Part):
    """Which requests a rule is about; what is left out matches all.

    Attributes:
        operation: name as in the request log, `*` stands for anything (`runs.*`).
        method: HTTP method.
        path: path below the project, `*` stands for anything (`/threads/*/runs`).
        nth: only the n-th request that the others match, counted from 1 since the plan was set.
        probability: chance of each such request, drawn with the plan's seed.
    """

    operation: str | None = None
    method: Literal["GET", "POST", "PATCH", "DELETE"] | None = None
    path: str | None = None
    nth: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] | None = None

    @field_validator("operation")
    @classmethod
    def _known(cls, pattern: str | None) -> str | None:
        if pattern is not None and not any(fnmatchcase(name, pattern) for name in operation_names()):
            raise ValueError(f"no operation is named '{pattern}'; they are {', '.join(operation_names())}")
        return pattern

    def matches(self, operation: str, method: str, path: str) -> bool:
        """Whether a request is one of those."""
        return (
            (self.operation is None or fnmatchcase(operation, self.operation))
            and (self.method is None or method == self.method)
            and (self.path is None or fnmatchcase(path, self.path))
        )


class BreakStream(_Part):
    """An event stream that breaks off, without `done`, after so many events or bytes."""

    after_events: Annotated[int, Field(ge=0)] | None = None
    after_bytes: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.after_events is None) == (self.after_bytes is None):
            raise ValueError("give either after_events or after_bytes")
        return self


class RunOutcome(_Part):
    """What becomes of the run that the request creates or resumes, instead of asking the model.

    Attributes:
        outcome: `throttled` and `server_error` fail it, `stuck_*` leave it there until it is cancelled or
            expires, `expired` and `incomplete` end it so.
        wait: seconds that the text of a throttled run names.
        reason: why it is incomplete.
        after: seconds in progress before the outcome.
    """

    outcome: Literal[
        "throttled", "server_error", "stuck_queued", "stuck_in_progress", "expired", "incomplete"
    ]
    wait: Annotated[int, Field(ge=1, le=86400)] = 22
    reason: Literal["max_completion_tokens", "max_prompt_tokens"] = "max_completion_tokens"
    after: Seconds = 0


class Then(_Part):
    """What happens to the request.

    Attributes:
        latency: seconds to wait first; goes with everything else.
        status: answer with this status (429 or 5xx) instead of serving the request.
        after_effect: with a status: serve the request, and give that answer all the same.
        retry_after: seconds for the answer's Retry-After header.
        gateway_timeout: answer 408 after so many seconds, as the gateway does; the service goes on.
        listed_after: seconds until lists show the conversation or the response that the request creates.
        lose_answer: serve the request, then cut the connection instead of answering.
        break_stream: cut the connection within the stream of events.
        run: what becomes of the run.
    """

    latency: Seconds = 0
    status: int | None = None
    after_effect: bool = False
    gateway_timeout: Seconds | None = None
    listed_after: Seconds = 0
    retry_after: Seconds | None = None
    lose_answer: bool = False
    break_stream: BreakStream | None = None
    run: RunOutcome | None = None

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        served = self.lose_answer or self.break_stream is not None or self.run is not None
        served = served or self.gateway_timeout is not None or self.listed_after > 0
        if self.status is not None and not (self.status == 429 or 500 <= self.status <= 599):
            raise ValueError(f"status has to be 429 or 500..599, not {self.status}")
        if self.status is not None and served and not self.after_effect:
            raise ValueError(
                "a request answered with a status is not served: drop lose_answer, break_stream, "
                "gateway_timeout, listed_after and run, or say after_effect"
            )
        if self.after_effect and self.status is None:
            raise ValueError("after_effect needs a status")
        if self.retry_after is not None and self.status is None:
            raise ValueError("retry_after needs a status")
        if self.lose_answer and self.break_stream is not None:
            raise ValueError("give either lose_answer or break_stream")
        if not served and self.status is None and not self.latency:
            raise ValueError(
                "say what happens: latency, status, lose_answer, break_stream, gateway_timeout, listed_after "
                "or run"
            )
        return self

    def describe(self) -> str:
        """A word for the request log."""
        if self.status is not None:
            return f"status {self.status}{' after the effect' if self.after_effect else ''}"
        parts = [
            "lose_answer" if self.lose_answer else "",
            "break_stream" if self.break_stream else "",
            "gateway_timeout" if self.gateway_timeout is not None else "",
            f"listed after {self.listed_after:g} s" if self.listed_after else "",
            f"run {self.run.outcome}" if self.run else "",
        ]
        return ", ".join(part for part in parts if part) or "latency"


class Rule(_Part):
    """One rule of a plan; `count` is how often it acts at most (no limit if left out)."""

    when: When = When()
    then: Then
    count: Annotated[int, Field(ge=1)] | None = None


class FaultPlan(_Part):
    """A whole plan; `seed` makes what is drawn by chance the same each time."""

    seed: int = 0
    rules: Annotated[list[Rule], Field(max_length=1000)] = []


class FaultPlanError(ValueError):
    """A plan that is not one; the message says where and why."""


def parse_plan(text: str | bytes, source: str) -> FaultPlan:
    """Return the plan in a YAML or JSON text. Raises `FaultPlanError`; `source` is named in it."""
    if len(text) > MAX_PLAN_BYTES:
        raise FaultPlanError(f"{source}: a plan may have {MAX_PLAN_BYTES} bytes, this has {len(text)}")
    try:
        content = parse(text)
    except YamlError as error:
        raise FaultPlanError(f"{source} is no YAML: {error}") from error
    try:
        return FaultPlan.model_validate({} if content is None else content)
    except ValidationError as error:
        raise FaultPlanError(f"{source}: {describe(error, FaultPlan) or 'the plan'}") from error


def read_plan(path: Path) -> FaultPlan:
    """Return the plan of a file. Raises `FaultPlanError` or OSError."""
    return parse_plan(path.read_bytes(), str(path))


@dataclass
class _Tally:
    matched: int = 0
    fired: int = 0


class Faults:
    """The plan in force, and how far it has come."""

    def __init__(self, plan: FaultPlan | None = None) -> None:
        self.set(plan or FaultPlan())

    def set(self, plan: FaultPlan) -> None:
        """Put a plan in force; its counts begin at zero."""
        self._plan = plan
        self._tallies = [_Tally() for _ in plan.rules]
        self._random = random.Random(plan.seed)  # noqa: S311 - chance, not secrets

    def report(self) -> Record:
        """Return the plan with how many requests each rule matched, and how often it acted."""
        rules = [
            {
                **rule.model_dump(mode="json", exclude_defaults=True),
                "matched": tally.matched,
                "fired": tally.fired,
            }
            for rule, tally in zip(self._plan.rules, self._tallies, strict=True)
        ]
        return {"seed": self._plan.seed, "rules": rules}

    def draw(self, operation: str, method: str, path: str) -> Then | None:
        """Return what happens to a request, None for nothing. `path` is below the project."""
        chosen: Then | None = None
        for rule, tally in zip(self._plan.rules, self._tallies, strict=True):
            if not rule.when.matches(operation, method, path):
                continue
            tally.matched += 1
            if chosen is None and self._applies(rule, tally):
                tally.fired += 1
                chosen = rule.then
        return chosen

    def _applies(self, rule: Rule, tally: _Tally) -> bool:
        if rule.when.nth is not None and tally.matched != rule.when.nth:
            return False
        if rule.count is not None and tally.fired >= rule.count:
            return False
        return rule.when.probability is None or self._random.random() < rule.when.probability


def refusal(then: Then, path: str = "") -> ApiError:
    """The answer of a fault with a status: as the gateway throttles, as the service breaks down."""
    status = then.status or 500
    if status == 429:
        error: ApiError = GatewayError(429, "429", "Rate limit is exceeded. Try again later.")
    else:
        text = _broken_down() if path.startswith("/openai/v1/") else "Sorry, something went wrong."
        error = ServiceError(status, text, type="server_error", code="server_error")
    if then.retry_after is not None:
        error.headers["retry-after"] = f"{then.retry_after:g}"
    return error


def _broken_down() -> str:
    """The recorded text of the successor's 500."""
    return (
        "An error occurred while processing your request. You can retry your request, or contact us through "
        "an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 if the error persists. "
        f"Please include the request ID {uuid.uuid4()} in your message."
    )


def gateway_timeout() -> ApiError:
    """The gateway's recorded answer to a request that takes too long."""
    return GatewayError(408, "Timeout", "The operation was timeout.")


def plan_cut(scope: Scope, then: Then) -> None:
    """Have the answer to this request cut, if the fault says so."""
    if then.lose_answer or then.break_stream is not None:
        scope[_CUT_KEY] = then


class CutMiddleware:
    """Cuts connections for faults that lose an answer or break a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cut = False
        streamed = False
        sent_events = sent_bytes = 0

        async def send_until_cut(message: Message) -> None:
            nonlocal cut, streamed, sent_events, sent_bytes
            then: Then | None = scope.get(_CUT_KEY)
            if cut:
                return
            if then is None:
                await send(message)
                return
            if then.lose_answer:
                cut = True
                await connection_of(scope).abort()
                return
            if message["type"] == "http.response.start":
                streamed = dict(message["headers"]).get(b"content-type", b"").startswith(b"text/event-stream")
            elif streamed and then.break_stream is not None:
                body = message.get("body", b"")
                if then.break_stream.after_bytes is not None:
                    body = body[: then.break_stream.after_bytes - sent_bytes]
                    sent_bytes += len(body)
                    cut = sent_bytes >= then.break_stream.after_bytes
                else:
                    frames = body.split(_FRAME_END)[:-1]
                    left = (then.break_stream.after_events or 0) - sent_events
                    cut = left < len(frames) or left == 0
                    body = b"".join(frame + _FRAME_END for frame in frames[:left]) if cut else body
                    sent_events += len(frames)
                if cut:
                    await send({**message, "body": body, "more_body": True})
                    await connection_of(scope).hang_up()
                    return
            await send(message)

        await self._app(scope, receive, send_until_cut)
