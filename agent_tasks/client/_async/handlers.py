"""Handlers of the events of a run: override what is of interest."""

from __future__ import annotations

from agent_tasks.errors import AgentTasksError
from agent_tasks.wire import (
    AgentStreamEvent,
    MessageDeltaChunk,
    RunStep,
    RunStepDeltaChunk,
    StreamEvent,
    ThreadMessage,
    ThreadRun,
)


class AsyncAgentEventHandler:
    """Base class: each method is called with the typed data of one kind of event, in the order of the stream.

    Give one to `runs.stream(..., event_handler=...)`, then call `until_done()` of the stream or iterate over
    it. `event` is the event at hand: its name, and whether it is `synthetic`, made from what was read of the
    run after the stream had broken (then text that was not yet written comes in `on_thread_message`, whole,
    and not in deltas). What a method raises ends the stream.
    """

    event: StreamEvent | None = None
    """The event that is being handled."""

    async def on_message_delta(self, delta: MessageDeltaChunk) -> None:
        """More of a message; `delta.text` is the text."""

    async def on_thread_message(self, message: ThreadMessage) -> None:
        """A message was created, is in progress, or ended (`event.event` says which)."""

    async def on_thread_run(self, run: ThreadRun) -> None:
        """The run changed its status (`run.status`)."""

    async def on_run_step(self, step: RunStep) -> None:
        """A step of the run changed its status."""

    async def on_run_step_delta(self, delta: RunStepDeltaChunk) -> None:
        """More of a step: the code of a code interpreter, for example."""

    async def on_error(self, error: AgentTasksError) -> None:
        """The run reported an error, or the stream broke for good; it is raised after this."""

    async def on_done(self) -> None:
        """The last event."""

    async def on_unhandled_event(self, event: StreamEvent) -> None:
        """Any other event: `thread.created`, and those that this version does not know."""

    async def handle(self, event: StreamEvent) -> None:
        """Calls the method for an event."""
        self.event = event
        match event.data:
            case MessageDeltaChunk() as delta:
                await self.on_message_delta(delta)
            case ThreadMessage() as message:
                await self.on_thread_message(message)
            case ThreadRun() as run:
                await self.on_thread_run(run)
            case RunStep() as step:
                await self.on_run_step(step)
            case RunStepDeltaChunk() as step_delta:
                await self.on_run_step_delta(step_delta)
            case _ if event.event == AgentStreamEvent.DONE:
                await self.on_done()
            case _:
                await self.on_unhandled_event(event)
