"""What every driver is made to do: all operations and conveniences of a client, blocking or async.

The scenarios speak of a `Client`: our own client, or an adapter that gives the official one the same names.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.conformance.catalogue import PREVIEW
from tests.conformance.checks import Checks, every, settled
from tests.conformance.rules import ANSWER, COUNT, COUNTED, SLOW, STORAGE, stock_level

PACE = 0.02
"""Seconds between polls."""


@dataclass
class Seen:
    """What an event handler saw of a run."""

    called: list[str] = field(default_factory=list)
    text: str = ""
    status: str = ""


class Client(Protocol):
    """What a driver gives the scenarios. Of the resources, methods of either style (see `checks.settled`)."""

    agents: Any
    threads: Any
    messages: Any
    runs: Any
    run_steps: Any
    files: Any
    vector_stores: Any
    vector_store_files: Any
    file_batches: Any
    api_version: str
    not_found: type[Exception]
    refused: type[Exception]
    """Raised for status 404 and 400."""

    def functions(self) -> list[Any]:
        """Definitions of the function tool over `rules.stock_level`."""

    def is_a(self, value: Any, model: str) -> bool:
        """Whether a value is an instance of the client's model of this name."""

    def output(self, call_id: str, output: str) -> Any:
        """A tool output."""

    async def upload(self, path: Path) -> Any:
        """A file, uploaded from disk."""

    async def listed_files(self) -> list[Any]:
        """All files with the purpose `assistants`."""

    async def content(self, file_id: str) -> bytes:
        """The content of a file."""

    async def save(self, file_id: str, folder: Path, name: str) -> None:
        """Saves a file."""

    async def streamed(self, thread_id: str, assistant_id: str) -> tuple[list[str], str]:
        """Names of the events of a run, iterated over, and its text."""

    async def handled(self, thread_id: str, assistant_id: str, **fields: Any) -> Seen:
        """What a handler sees of a run; functions are called if that was enabled."""

    async def submit_streamed(self, run: Any, **answers: list[Any]) -> Seen:
        """Submits `tool_outputs` or `tool_approvals` and streams the rest of the run."""

    def call_functions(self) -> None:
        """From now on, `rules.stock_level` is called without being asked for."""

    async def process(self, thread_id: str, assistant_id: str) -> Any:
        """A run, followed to its end by the client."""

    async def process_thread(self, assistant_id: str, text: str) -> Any:
        """A run with its thread, followed to its end by the client."""

    async def last_text(self, thread_id: str) -> str:
        """The last text of the assistant."""

    async def upload_and_poll(self, path: Path) -> Any:
        """A file, waited for."""

    async def store_and_poll(self, file_ids: list[str]) -> Any:
        """A vector store, waited for."""

    async def store_file_and_poll(self, store_id: str, file_id: str) -> Any:
        """A file of a vector store, waited for."""

    async def batch_and_poll(self, store_id: str, file_ids: list[str]) -> Any:
        """A batch, waited for."""

    def data_source(self, uri: str) -> Any:
        """A file of the project's storage, as a data source."""

    def inline_search(self, source: Any) -> dict[str, Any]:
        """`tools` and `tool_resources` for searching a vector store that is described, not named."""

    def attachment(self, source: Any) -> Any:
        """An attachment of a message, for file search."""


def plain(value: Any) -> str:
    """The text of an enumeration's member, or the text itself."""
    return str(getattr(value, "value", value))


class Operations:
    """Scenarios over all operations and conveniences, in terms of a `Client`."""

    def __init__(self, client: Client, folder: Path, checks: Checks) -> None:
        self.client = client
        self.folder = folder
        self.checks = checks

    async def play(self) -> None:
        """Go through all scenarios."""
        for scenario in (
            *(self.agents, self.threads, self.messages, self.runs, self.cancelled, self.outputs),
            *(self.files, self.stores, self.store_files, self.batches, self.errors),
            *(self.streams, self.automatic_calls, self.polled, self.polled_files),
            self.data_sources,
        ):
            await self.checks.play(scenario)

    def operation(self, name: str) -> Any:
        """The check of an operation."""
        return self.checks.covered("operation", name)

    def convenience(self, name: str) -> Any:
        """The check of a convenience."""
        return self.checks.covered("convenience", name)

    async def agent(self, **fields: Any) -> Any:
        """An agent of the scripted model."""
        return await settled(self.client.agents.create(model="scripted", name="greeter", **fields))

    async def thread(self, text: str = "Hello") -> Any:
        """A thread with a question."""
        return await settled(self.client.threads.create(messages=[{"role": "user", "content": text}]))

    async def followed(self, run: Any, *ends: str) -> Any:
        """The run once it has one of these statuses."""
        for _ in range(500):
            run = await settled(self.client.runs.get(run.thread_id, run.id))
            if run.status in (ends or ("completed",)):
                return run
            assert run.status in ("queued", "in_progress", "cancelling"), (run.status, run.last_error)
            await asyncio.sleep(PACE)
        raise AssertionError(f"the run stayed {run.status}")

    async def agents(self) -> None:
        """Create, get, update, list, delete."""
        client = self.client
        with self.operation("agents.create"):
            made = await self.agent(
                description="Greets.",
                instructions="Greet.",
                tools=client.functions(),
                temperature=0.5,
                metadata={"kind": "test"},
            )
            assert made.id.startswith("asst_")
            assert client.is_a(made.tools[0], "FunctionToolDefinition")
            assert made.tools[0].function.name == "stock_level"
            assert (made.temperature, made.metadata) == (0.5, {"kind": "test"})
        with self.operation("agents.get"):
            assert await settled(client.agents.get(made.id)) == made
        with self.operation("agents.update"):
            changed = await settled(client.agents.update(made.id, instructions="Greet warmly."))
            assert (changed.instructions, changed.name) == ("Greet warmly.", "greeter")
        with self.operation("agents.list"):
            others = {(await self.agent()).id for _ in range(3)}
            assert others | {made.id} <= {agent.id for agent in await every(client.agents.list(limit=2))}
        with self.operation("agents.delete"):
            await settled(client.agents.delete(made.id))
            await self.gone(lambda: client.agents.get(made.id))

    async def gone(self, get: Any) -> None:
        """Fails unless getting it answers 404."""
        try:
            await settled(get())
        except self.client.not_found:
            return
        raise AssertionError("it is still there")

    async def threads(self) -> None:
        """Create, get, update, list, delete."""
        client = self.client
        with self.operation("threads.create"):
            thread = await settled(client.threads.create(metadata={"kind": "test"}))
            assert thread.id.startswith("thread_")
        with self.operation("threads.get"):
            assert await settled(client.threads.get(thread.id)) == thread
        with self.operation("threads.update"):
            changed = await settled(client.threads.update(thread.id, metadata={"kind": "changed"}))
            assert changed.metadata == {"kind": "changed"}
        with self.operation("threads.list"):
            others = {(await self.thread()).id for _ in range(3)}
            assert others | {thread.id} <= {item.id for item in await every(client.threads.list(limit=2))}
        with self.operation("threads.delete"):
            await settled(client.threads.delete(thread.id))
            await self.gone(lambda: client.threads.get(thread.id))

    async def messages(self) -> None:
        """Create, get, update, list, delete."""
        client = self.client
        thread = await settled(client.threads.create())
        with self.operation("messages.create"):
            first = await settled(client.messages.create(thread.id, role="user", content="one"))
            assert first.text_messages[0].text.value == "one"
            parts = [{"type": "text", "text": "two"}]
            second = await settled(client.messages.create(thread.id, role="user", content=parts))
            assert second.text_messages[0].text.value == "two"
        with self.operation("messages.get"):
            assert (await settled(client.messages.get(thread.id, first.id))).content == first.content
        with self.operation("messages.update"):
            changed = await settled(client.messages.update(thread.id, first.id, metadata={"seen": "yes"}))
            assert changed.metadata == {"seen": "yes"}
        with self.operation("messages.list"):
            listed = await every(client.messages.list(thread.id, order="asc", limit=1))
            assert [item.id for item in listed] == [first.id, second.id]
        if client.api_version == PREVIEW:
            with self.operation("messages.delete"):
                await settled(client.messages.delete(thread.id, first.id))
                assert [item.id for item in await every(client.messages.list(thread.id))] == [second.id]

    async def runs(self) -> None:
        """Create, get, list, update; steps; thread and run at once."""
        client = self.client
        agent, thread = await self.agent(instructions="Greet."), await self.thread()
        with self.operation("runs.create"):
            run = await settled(client.runs.create(thread.id, assistant_id=agent.id, metadata={"n": "1"}))
            assert (run.status, run.thread_id, run.metadata) == ("queued", thread.id, {"n": "1"})
        with self.operation("runs.get"):
            run = await self.followed(run)
            assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens > 0
        with self.operation("runs.update"):
            changed = await settled(client.runs.update(thread.id, run.id, metadata={"n": "2"}))
            assert changed.metadata == {"n": "2"}
        with self.operation("runs.list"):
            again = await self.followed(await settled(client.runs.create(thread.id, assistant_id=agent.id)))
            listed = await every(client.runs.list(thread.id, order="asc", limit=1))
            assert [item.id for item in listed] == [run.id, again.id]
        with self.operation("run_steps.list"):
            (step,) = await every(client.run_steps.list(thread.id, run.id))
            assert client.is_a(step.step_details, "RunStepMessageCreationDetails")
        with self.operation("run_steps.get"):
            assert await settled(client.run_steps.get(thread.id, run.id, step.id)) == step
        with self.operation("runs.create_thread_and_run"):
            thread = {"messages": [{"role": "user", "content": "Hello"}]}
            both = await settled(client.runs.create_thread_and_run(assistant_id=agent.id, thread=thread))
            await self.followed(both)
            texts = await self.texts(both.thread_id)
            assert texts == ["Hello", ANSWER]

    async def texts(self, thread_id: str) -> list[str]:
        """The texts of a thread, oldest first."""
        messages = await every(self.client.messages.list(thread_id, order="asc"))
        return [item.text_messages[0].text.value for item in messages]

    async def cancelled(self) -> None:
        """A run is cancelled at work."""
        agent, thread = await self.agent(), await self.thread(SLOW)
        with self.operation("runs.cancel"):
            run = await settled(self.client.runs.create(thread.id, assistant_id=agent.id))
            stopping = await settled(self.client.runs.cancel(thread.id, run.id))
            assert stopping.status in ("cancelling", "cancelled")
            await self.followed(run, "cancelled")

    async def outputs(self) -> None:
        """Outputs are submitted by hand, plainly and streamed."""
        client = self.client
        agent = await self.agent(tools=client.functions())
        with self.operation("runs.submit_tool_outputs"):
            run, outputs = await self.waiting(agent)
            submitted = await settled(
                client.runs.submit_tool_outputs(run.thread_id, run.id, tool_outputs=outputs)
            )
            assert submitted.status == "queued"
            await self.followed(run)
            assert (await self.texts(run.thread_id))[-1] == COUNTED
            (step,) = [
                step
                for step in await every(client.run_steps.list(run.thread_id, run.id))
                if step.type == "tool_calls"
            ]
            (call,) = step.step_details.tool_calls
            assert client.is_a(call, "RunStepFunctionToolCall")
            assert call.function.name == "stock_level"
        with self.convenience("streamed outputs"):
            run, outputs = await self.waiting(agent)
            seen = await client.submit_streamed(run, tool_outputs=outputs)
            assert (seen.text, seen.status) == (COUNTED, "completed")

    async def waiting(self, agent: Any) -> tuple[Any, list[Any]]:
        """A run that waits for outputs, and the outputs."""
        thread = await self.thread(COUNT)
        run = await settled(self.client.runs.create(thread.id, assistant_id=agent.id))
        run = await self.followed(run, "requires_action")
        assert self.client.is_a(run.required_action, "SubmitToolOutputsAction")
        (call,) = run.required_action.submit_tool_outputs.tool_calls
        output = stock_level(**json.loads(call.function.arguments))
        return run, [self.client.output(call.id, output)]

    def file_on_disk(self, name: str = "prices.md") -> Path:
        """The path of a file to upload."""
        path = self.folder / name
        path.write_text("# Prices\n\nOak boards cost 40 euros a square metre.\n", encoding="utf-8")
        return path

    async def upload(self, name: str = "prices.md") -> Any:
        """An uploaded file."""
        return await self.client.upload(self.file_on_disk(name))

    async def files(self) -> None:
        """Upload, list, get, content, delete."""
        client = self.client
        with self.operation("files.upload"):
            file = await self.upload()
            assert (file.filename, file.purpose, file.status) == ("prices.md", "assistants", "processed")
        with self.operation("files.list"):
            assert file.id in [item.id for item in await client.listed_files()]
        with self.operation("files.get"):
            assert await settled(client.files.get(file.id)) == file
        with self.operation("files.content"):
            content = await client.content(file.id)
            assert content == self.file_on_disk().read_bytes()
        with self.convenience("save"):
            await client.save(file.id, self.folder / "saved", "saved.md")
            assert (self.folder / "saved" / "saved.md").read_bytes() == content
        with self.operation("files.delete"):
            await settled(client.files.delete(file.id))
            await self.gone(lambda: client.files.get(file.id))

    async def stores(self) -> None:
        """Create, get, update, list, delete."""
        client = self.client
        with self.operation("vector_stores.create"):
            store = await settled(client.vector_stores.create(name="prices", metadata={"kind": "test"}))
            assert (store.name, store.metadata) == ("prices", {"kind": "test"})
        with self.operation("vector_stores.get"):
            assert (await settled(client.vector_stores.get(store.id))).id == store.id
        with self.operation("vector_stores.update"):
            changed = await settled(client.vector_stores.update(store.id, name="changed"))
            assert (changed.name, changed.metadata) == ("changed", {"kind": "test"})
        with self.operation("vector_stores.list"):
            others = {(await settled(client.vector_stores.create())).id for _ in range(3)}
            listed = {item.id for item in await every(client.vector_stores.list(limit=2))}
            assert others | {store.id} <= listed
        with self.operation("vector_stores.delete"):
            await settled(client.vector_stores.delete(store.id))
            await self.gone(lambda: client.vector_stores.get(store.id))

    async def store_files(self) -> None:
        """Create, list, get, delete."""
        client = self.client
        store, file = await settled(client.vector_stores.create()), await self.upload()
        with self.operation("vector_store_files.create"):
            added = await settled(client.vector_store_files.create(store.id, file_id=file.id))
            assert (added.id, added.vector_store_id) == (file.id, store.id)
        with self.operation("vector_store_files.get"):
            for _ in range(500):
                added = await settled(client.vector_store_files.get(store.id, file.id))
                if added.status != "in_progress":
                    break
                await asyncio.sleep(PACE)
            assert added.status == "completed"
        with self.operation("vector_store_files.list"):
            (listed,) = await every(client.vector_store_files.list(store.id, filter="completed"))
            assert listed == added
        with self.operation("vector_store_files.delete"):
            await settled(client.vector_store_files.delete(store.id, file.id))
            assert not await every(client.vector_store_files.list(store.id))

    async def batches(self) -> None:
        """Create, get, list files, cancel."""
        client = self.client
        batches = client.file_batches
        store, file = await settled(client.vector_stores.create()), await self.upload()
        with self.operation("file_batches.create"):
            batch = await settled(batches.create(store.id, file_ids=[file.id]))
            assert batch.vector_store_id == store.id
        with self.operation("file_batches.get"):
            for _ in range(500):
                batch = await settled(batches.get(store.id, batch.id))
                if batch.status != "in_progress":
                    break
                await asyncio.sleep(PACE)
            assert (batch.status, batch.file_counts.completed) == ("completed", 1)
        with self.operation("file_batches.list_files"):
            assert [item.id for item in await every(batches.list_files(store.id, batch.id))] == [file.id]
        with self.operation("file_batches.cancel"):
            # Whether it is cancelled or has been completed is a race; both are answers of the operation.
            second = await settled(batches.create(store.id, file_ids=[(await self.upload()).id]))
            try:
                answer = await settled(batches.cancel(store.id, second.id))
                assert answer.status in ("cancelling", "cancelled", "completed", "in_progress")
            except client.refused:
                pass

    async def errors(self) -> None:
        """The service's errors become the client's."""
        try:
            await self.agent(metadata={str(number): "v" for number in range(17)})
        except self.client.refused:
            return
        raise AssertionError("17 pairs of metadata were accepted")

    async def streams(self) -> None:
        """A stream is iterated over, and handed to a handler."""
        agent = await self.agent()
        with self.convenience("stream"):
            thread = await self.thread()
            names, text = await self.client.streamed(thread.id, agent.id)
            assert text == ANSWER
            assert (names[0], names[-2:]) == ("thread.run.created", ["thread.run.completed", "done"])
        with self.convenience("event handler"):
            seen = await self.client.handled((await self.thread()).id, agent.id)
            assert (seen.text, seen.status) == (ANSWER, "completed")
            assert set(seen.called) == {
                "on_message_delta", "on_thread_message", "on_thread_run", "on_run_step", "on_done",
            }  # fmt: skip

    async def automatic_calls(self) -> None:
        """The client calls functions by itself."""
        self.client.call_functions()
        agent = await self.agent(tools=self.client.functions())
        with self.convenience("automatic calls, polling"):
            thread = await self.thread(COUNT)
            run = await self.client.process(thread.id, agent.id)
            assert run.status == "completed", run.last_error
            assert (await self.texts(thread.id))[-1] == COUNTED
        with self.convenience("automatic calls, stream"):
            seen = await self.client.handled((await self.thread(COUNT)).id, agent.id)
            assert (seen.text, seen.status) == (COUNTED, "completed")
            assert "on_run_step_delta" in seen.called

    async def polled(self) -> None:
        """Runs are followed by the client."""
        client, agent = self.client, await self.agent()
        with self.convenience("polling"):
            thread = await self.thread()
            run = await client.process(thread.id, agent.id)
            assert run.status == "completed"
        with self.convenience("last message"):
            assert await client.last_text(thread.id) == ANSWER
        with self.convenience("thread and polling"):
            run = await client.process_thread(agent.id, "Hello")
            assert run.status == "completed"

    async def polled_files(self) -> None:
        """Files and stores are waited for by the client."""
        client = self.client
        with self.convenience("upload and poll"):
            file = await client.upload_and_poll(self.file_on_disk())
            assert file.status == "processed"
        with self.convenience("store and poll"):
            store = await client.store_and_poll([file.id])
            assert (store.status, store.file_counts.completed) == ("completed", 1)
        empty = await settled(client.vector_stores.create())
        with self.convenience("store file and poll"):
            added = await client.store_file_and_poll(empty.id, file.id)
            assert added.status == "completed"
        with self.convenience("file batch and poll"):
            batch = await client.batch_and_poll(empty.id, [(await self.upload("more.md")).id])
            assert (batch.status, batch.file_counts.completed) == ("completed", 1)

    async def data_sources(self) -> None:
        """Files are used where they lie."""
        client = self.client
        source = client.data_source(f"{STORAGE}/prices.md")
        with self.convenience("data sources"):
            store = await settled(client.vector_stores.create(name="prices"))
            await settled(client.vector_store_files.create(store.id, data_source=source))
            batch = await settled(client.file_batches.create(store.id, data_sources=[source]))
            assert batch.file_counts.total == 1
            agent = await self.agent(**client.inline_search(source))
            (inline,) = agent.tool_resources.file_search.vector_store_ids
            assert (await settled(client.vector_stores.get(inline))).name == "inline"
            thread = await settled(client.threads.create())
            message = await settled(
                client.messages.create(
                    thread.id, role="user", content="use file_search", attachments=[client.attachment(source)]
                )
            )
            assert message.attachments[0].data_source == source
            run = await client.process(thread.id, agent.id)
            assert run.status == "completed", run.last_error
            assert "†source】" in (await self.texts(thread.id))[-1], "nothing was found to cite"
