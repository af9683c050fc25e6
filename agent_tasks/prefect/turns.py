"""Turns of agents on the Prefect dashboard: a task run for each, with what was said and what it cost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext, TaskRunContext

from agent_tasks.batch.markdown import escape, quote
from agent_tasks.logs import get_logger
from agent_tasks.operations import ToolCallOutcome, TurnResult, TurnSpec, finished_turn, run_turn
from agent_tasks.prefect.tasks import durable
from agent_tasks.redaction import redacted
from agent_tasks.steps.session import OnText, Session
from agent_tasks.tools import ToolSet

__all__ = ["PrefectTurns", "described"]

logger = get_logger("agent_tasks.prefect.turns")

MAX_TEXT_CHARS = 4_000
"""Characters of a prompt or an answer that are shown."""
MAX_CALLS = 20
"""Tool calls that are shown."""
SHOW_SECONDS = 10.0
"""How long the end of a session waits for artifacts that are on their way to the server."""
_MAX_OUTPUT_CHARS = 300


class PrefectTurns:
    """Carries out turns, each in a task run of its own where a flow asks, with an artifact that shows it.

    Inside of a task the artifact belongs to that; outside of Prefect there is none. A turn from the journal
    makes no row.

    Args:
        tasks: whether turns are shown so; otherwise Prefect hears nothing of them.
        content: whether texts are shown; secrets in them are left out in any case.
    """

    def __init__(self, *, tasks: bool = True, content: bool = True) -> None:
        self.tasks = tasks
        self.content = content
        self._showing: set[asyncio.Task[None]] = set()

    def __getstate__(self) -> dict[str, Any]:
        return {"tasks": self.tasks, "content": self.content, "_showing": set()}

    async def shown(self) -> None:
        """Wait until the artifacts of this event loop's turns are on the server, for a while."""
        loop = asyncio.get_running_loop()
        if showing := [one for one in self._showing if one.get_loop() is loop]:
            await asyncio.wait(showing, timeout=SHOW_SECONDS)

    async def __call__(
        self, session: Session, turn: TurnSpec, *, model: str, tools: ToolSet | None, on_text: OnText | None
    ) -> TurnResult:
        """Carry out a turn; see `TurnRunner`."""
        in_task = TaskRunContext.get() is not None
        if not self.tasks or not (in_task or FlowRunContext.get() is not None):
            return await run_turn(session.ws, turn, tools=tools, on_text=on_text)
        known = await finished_turn(session.ws, turn)
        if known is not None:
            return known

        async def carry_out() -> TurnResult:
            result = await run_turn(session.ws, turn, tools=tools, on_text=on_text)
            showing = asyncio.create_task(_show(turn, model, result, content=self.content))
            if in_task:  # the process may end with the task
                await showing
            else:  # beside what follows: a request to the server
                self._showing.add(showing)
                showing.add_done_callback(self._showing.discard)
            return result

        if in_task:
            return await carry_out()
        return await _ask_agent(turn.step, turn.agent.name, _Work(carry_out))


class _Work:
    """What a task run does; Prefect looks into the parameters of tasks, and not into this."""

    def __init__(self, carry_out: Callable[[], Awaitable[TurnResult]]) -> None:
        self.carry_out = carry_out


@durable("ask-agent", "{step} by {agent}")
async def _ask_agent(step: str, agent: str, work: _Work) -> TurnResult:
    return await work.carry_out()


async def _show(turn: TurnSpec, model: str, result: TurnResult, *, content: bool) -> None:
    try:
        await acreate_markdown_artifact(
            described(turn, model, result, content=content),
            description=f"{turn.step} by {turn.agent.name}",
        )
    except Exception as error:  # Prefect's trouble is not the turn's: it is paid for, and in the journal
        logger.warning("The turn of step %r could not be shown on the dashboard: %s", turn.step, error)


def described(turn: TurnSpec, model: str, result: TurnResult, *, content: bool) -> str:
    """A turn as Markdown: what was asked and answered, what was called, what it cost, and the ids.

    Args:
        turn: what was asked.
        model: the model deployment.
        result: what came of it.
        content: whether texts are shown; secrets in them are left out in any case.
    """
    usage = result.usage
    rows = {
        "agent": turn.agent.name,
        "model": model,
        "tokens": f"{usage.prompt_tokens:,} in, {usage.completion_tokens:,} out",
        "attempts": result.attempts,
        "turn": result.turn_id,
        "conversation": result.conversation,
        "operation": result.key,
    }
    table = "\n".join(f"| {name} | {escape(str(value))} |" for name, value in rows.items())
    parts = [f"## {escape(turn.step)}", f"| | |\n| --- | --- |\n{table}"]
    if content:
        parts += ["### Prompt", quote(_shown(turn.prompt)), "### Answer", quote(_shown(result.text))]
    if result.tool_calls:
        parts += ["### Calls", "\n".join(_call(call, content) for call in result.tool_calls[:MAX_CALLS])]
        if len(result.tool_calls) > MAX_CALLS:
            parts.append(f"and {len(result.tool_calls) - MAX_CALLS} more")
    if result.citations:
        cited = sorted({c.file_name or c.url or c.file_id or "" for c in result.citations} - {""})
        parts += ["### Cited", "\n".join(f"- {escape(name)}" for name in cited[:MAX_CALLS])]
    return "\n\n".join(str(part) for part in parts)


def _call(call: ToolCallOutcome, content: bool) -> str:
    failed = f" ({escape(call.error_type)})" if call.error_type else ""
    if not content:
        return f"- {escape(call.name)}{failed}"
    arguments = f"({escape(redacted(call.arguments))})" if call.arguments else ""
    return f"- {escape(call.name)}{arguments}{failed}: {escape(redacted(call.output)[:_MAX_OUTPUT_CHARS])}"


def _shown(text: str) -> str:
    text = redacted(text)
    if len(text) <= MAX_TEXT_CHARS:
        return text
    return f"{text[:MAX_TEXT_CHARS]} ... ({len(text) - MAX_TEXT_CHARS:,} characters more)"
