"""Questions to the model: of a run's own turns, and of tools that think for themselves.

Each is in the log of generations, and what it costs counts towards its run.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from agent_tasks.redaction import redacted
from agents_emulator.engine import lifecycle
from agents_emulator.engine.bodies import usage_body
from agents_emulator.models.base import ChatModel, ChatRequest, Finished, ModelError, TextDelta
from agents_emulator.requestlog import RequestLog
from agents_emulator.store import RUN_STEPS, RUNS, Record, Store
from agents_emulator.tools.base import Answer, ToolError

Consume = Callable[[AsyncIterator[TextDelta | Finished]], Awaitable[Finished]]


class RunFailedError(Exception):
    """The run ends as failed with this `last_error`."""

    def __init__(self, code: str, message: str) -> None:
        message = redacted(message)
        super().__init__(message)
        self.error = {"code": code, "message": message}


class Asker:
    """Asks the service's model."""

    def __init__(self, store: Store, log: RequestLog, model: ChatModel) -> None:
        self._store = store
        self._log = log
        self._model = model

    async def ask(self, run: Record, request: ChatRequest, consume: Consume) -> Finished:
        """Ask, and let `consume` read the answer to its end. Raises `RunFailedError` if the model cannot."""
        row = await self._log.generation_started(run, self._model.name)
        started = time.monotonic()
        outcome, tokens = "interrupted", {"prompt_tokens": 0, "completion_tokens": 0}
        try:
            async with aclosing(cast("Any", self._model.generate(request))) as answer:
                finished = await consume(answer)
            outcome = finished.finish_reason
            tokens = {
                "prompt_tokens": finished.prompt_tokens,
                "completion_tokens": finished.completion_tokens,
            }
            return finished
        except ModelError as error:
            outcome = error.code
            message = error.message
            if error.code == "rate_limit_exceeded":
                message = throttling_message(message, error.retry_after)
            raise RunFailedError(error.code, message) from error
        finally:
            milliseconds = (time.monotonic() - started) * 1000
            await asyncio.shield(self._log.generation_finished(row, outcome, milliseconds, **tokens))

    async def ask_for_tool(self, run: Record, step: Record, request: ChatRequest) -> Answer:
        """Ask on behalf of a call in `step`; model and token limit are the run's.

        Raises `RunFailedError` if the model cannot answer, `ToolError` if the run may write no more.
        """
        stored = await self._store.read(lambda db: lifecycle.expect(db, run, "in_progress"))
        left = _left(stored, "completion_tokens")
        for name, rest in (("completion", left), ("prompt", _left(stored, "prompt_tokens"))):
            if rest is not None and rest <= 0:
                raise ToolError(f"The tokens that the run may spend (max_{name}_tokens) are used up.")
        limits = [limit for limit in (request.max_tokens, left) if limit is not None]
        pieces: list[str] = []

        async def collect(answer: AsyncIterator[TextDelta | Finished]) -> Finished:
            async for part in answer:
                if isinstance(part, Finished):
                    return part
                pieces.append(part.text)
            raise RuntimeError("the model's answer ended without saying so")

        limited = replace(request, model=run["model"], max_tokens=min(limits, default=None))
        finished = await self.ask(run, limited, collect)
        await self._store.write(lambda db: _spend(db, run, step, finished))
        return Answer("".join(pieces), finished.tool_calls)

    @property
    def context_tokens(self) -> int:
        """Tokens of sources that the model can take in a prompt."""
        return self._model.context_tokens


def _left(run: Record, kind: str) -> int | None:
    limit: int | None = run[f"max_{kind}"]
    spent: int = run["spent"][kind]
    return None if limit is None else limit - spent


def _spend(db: sqlite3.Connection, run: Record, step: Record, finished: Finished) -> None:
    """Add what an answer cost to the run and to the step of the call."""
    stored = lifecycle.expect(db, run, "in_progress")
    stored["spent"]["prompt_tokens"] += finished.prompt_tokens
    stored["spent"]["completion_tokens"] += finished.completion_tokens
    RUNS.put(db, stored, stored["thread_id"])
    before = step["usage"] or usage_body(0, 0)
    step["usage"] = usage_body(
        before["prompt_tokens"] + finished.prompt_tokens,
        before["completion_tokens"] + finished.completion_tokens,
    )
    RUN_STEPS.put(db, step, run["id"])


_RATE_LIMIT = re.compile(r"try again in \d+ second", re.IGNORECASE)


def throttling_message(message: str, retry_after: float | None) -> str:
    """Return the recorded text of a throttled run: the wait is nowhere else but in it."""
    if _RATE_LIMIT.search(message):
        return message
    return f"Rate limit is exceeded. Try again in {max(1, round(retry_after or 1))} seconds."
