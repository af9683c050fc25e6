"""What the openai client is made to do, 2.x and 3.x, blocking and async: all operations below `/openai/v1`.

Its answers are asked for what its own classes say of them, see `validated`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.conformance.checks import Checks, entered, every, settled
from tests.conformance.rules import ANSWER, COUNT, COUNTED, SLOW

MODEL = "scripted"
ENDED = ("completed", "failed", "cancelled", "incomplete")
FUNCTION = {
    "type": "function",
    "name": "stock_level",
    "description": "Tells how many pieces are in stock.",
    "parameters": {
        "type": "object",
        "properties": {"item": {"type": "string"}},
        "required": ["item"],
        "additionalProperties": False,
    },
    "strict": True,
}


def said(text: str) -> dict[str, str]:
    """A user message."""
    return {"type": "message", "role": "user", "content": text}


class OpenAIOperations:
    """Scenarios over all operations of conversations, responses, files, stores and containers."""

    def __init__(self, client: Any, module: Any, folder: Path, checks: Checks, **answers: Any) -> None:
        self.client = client
        self.openai = module
        self.folder = folder
        self.checks = checks
        self.answers = answers or {"model": MODEL}
        """What every response is made by: a model, or an agent (`extra_body`)."""

    async def play(self) -> None:
        """Go through all scenarios."""
        for scenario in (
            self.conversations,
            self.responses,
            self.background,
            self.functions,
            self.conveniences,
            self.refusals,
            self.files,
            self.containers,
        ):
            await self.checks.play(scenario)

    def covered(self, name: str) -> Any:
        """Check an operation."""
        return self.checks.covered("operation", name)

    async def respond(self, **fields: Any) -> Any:
        """Create a response."""
        return await settled(self.client.responses.create(**{**self.answers, **fields}))

    async def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """A page of a list that the client has no method for."""
        options = {"params": query}
        page: Any = await settled(self.client.get(path, cast_to=object, options=options))
        return list(page["data"])

    async def conversations(self) -> None:
        client = self.client.conversations
        with self.covered("conversations.create"):
            made = await settled(client.create(metadata={"a": "b"}, items=[said("one")]))
            assert made.object == "conversation"
            assert made.metadata == {"a": "b"}
        with self.covered("conversations.list"):
            newest = (await self.listed("/conversations", limit=1))[0]
            assert newest["id"] == made.id
        with self.covered("conversations.update"):
            await settled(client.update(made.id, metadata={"c": "d"}))
        with self.covered("conversations.get"):
            assert (await settled(client.retrieve(made.id))).metadata == {"c": "d"}
        with self.covered("conversation_items.create"):
            added = await settled(client.items.create(made.id, items=[said("two"), said("three")]))
            assert [item.content[0].text for item in added.data] == ["two", "three"]
        with self.covered("conversation_items.list"):
            items = await every(client.items.list(made.id, order="asc", limit=2))
            assert [item.content[0].text for item in items] == ["one", "two", "three"]
        with self.covered("conversation_items.get"):
            item = await settled(client.items.retrieve(items[1].id, conversation_id=made.id))
            assert item.content[0].text == "two"
        with self.covered("conversation_items.delete"):
            left = await settled(client.items.delete(item.id, conversation_id=made.id))
            assert left.id == made.id
            assert len(await every(client.items.list(made.id))) == 2
        with self.covered("conversations.delete"):
            assert (await settled(client.delete(made.id))).deleted
            await self.fails(self.openai.NotFoundError, client.retrieve, made.id)

    async def fails(self, error: type[Exception], method: Any, *given: Any, **fields: Any) -> Any:
        """Call a method that has to fail; returns the error."""
        try:
            await settled(method(*given, **fields))
        except error as raised:
            return raised
        raise AssertionError(f"{method} did not raise {error.__name__}")

    async def responses(self) -> None:
        client = self.client.responses
        conversation = await settled(self.client.conversations.create(items=[said("Hello")]))
        with self.covered("responses.create"):
            made = await self.respond(conversation=conversation.id, metadata={"round": "1"})
            assert made.status == "completed"
            assert made.output_text == ANSWER
            assert made.conversation.id == conversation.id
            assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
            names, text = await self.streamed(input="Hello")
            assert text == ANSWER
            assert names[:2] == ["response.created", "response.in_progress"]
            assert names[-1] == "response.completed"
        with self.covered("responses.get"):
            again = await settled(client.retrieve(made.id))
            assert again.output_text == ANSWER
            assert again.metadata == {"round": "1"}
        with self.covered("responses.list"):
            found = await self.listed("/responses", conversation_id=conversation.id)
            assert [one["id"] for one in found] == [made.id]
            assert found[0]["metadata"] == {"round": "1"}
        with self.covered("responses.input_items"):
            items = await every(client.input_items.list(made.id))
            assert [item.content[0].text for item in items] == ["Hello"]
        with self.covered("responses.delete"):
            await settled(client.delete(made.id))
            await self.fails(self.openai.BadRequestError, client.retrieve, made.id)
        chained = await self.respond(input="Hello")
        following = await self.respond(input="And now?", previous_response_id=chained.id)
        assert following.previous_response_id == chained.id
        assert len(await every(client.input_items.list(following.id))) == 3

    async def streamed(self, **fields: Any) -> tuple[list[str], str]:
        """Names of the events of a response, and its text."""
        names, text = [], ""
        for event in await every(await self.respond(stream=True, **fields)):
            names.append(event.type)
            text += event.delta if event.type == "response.output_text.delta" else ""
        return names, text

    async def background(self) -> None:
        client = self.client.responses
        made = await self.respond(input="Hello", background=True)
        assert made.status == "queued"
        assert (await self.ended(made.id)).output_text == ANSWER
        with self.covered("responses.cancel"):
            slow = await self.respond(input=SLOW, background=True)
            assert (await settled(client.cancel(slow.id))).status == "cancelled"
            assert (await settled(client.retrieve(slow.id))).status == "cancelled"
        with self.checks.covered("convenience", "resumed stream"):
            first = await every(await self.respond(input="Hello", background=True, stream=True))
            identifier = first[0].response.id
            again = await every(
                await settled(
                    client.retrieve(identifier, stream=True, starting_after=first[3].sequence_number)
                )
            )
            assert [event.to_dict() for event in again] == [event.to_dict() for event in first[4:]]

    async def ended(self, identifier: str) -> Any:
        """A response, polled to its end."""
        for _ in range(200):
            found = await settled(self.client.responses.retrieve(identifier))
            if found.status in ENDED:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"the response stayed {found.status}")

    async def functions(self) -> None:
        conversation = await settled(self.client.conversations.create())
        tools = {"tools": [FUNCTION]} if "model" in self.answers else {}
        first = await self.respond(conversation=conversation.id, input=COUNT, **tools)
        [call] = [item for item in first.output if item.type == "function_call"]
        assert (call.name, call.arguments) == ("stock_level", '{"item": "oak"}')
        open_call = await self.fails(
            self.openai.BadRequestError,
            self.client.responses.create,
            **{**self.answers, "conversation": conversation.id, "input": "Hello", **tools},
        )
        assert f"No tool output found for function call {call.call_id}." in str(open_call)
        output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"pieces": 7}'}
        second = await self.respond(conversation=conversation.id, input=[output], **tools)
        assert second.output_text == COUNTED

    async def conveniences(self) -> None:
        if "model" not in self.answers:
            return  # both want a model by themselves, and an agent has its own
        with self.checks.covered("convenience", "stream helper"):
            manager = self.client.responses.stream(**self.answers, input="Hello")
            async with entered(manager) as stream:
                names = [event.type for event in await every(stream)]
                final = await settled(stream.get_final_response())
            assert "response.output_text.delta" in names
            assert final.output_text == ANSWER
        with self.checks.covered("convenience", "parsed answer"):
            parsed = await settled(
                self.client.responses.parse(**self.answers, input="price as JSON", text_format=price_class())
            )
            assert parsed.output_parsed.euros == 40

    async def refusals(self) -> None:
        bad = self.openai.BadRequestError
        create = self.client.responses.create
        slow = await settled(self.client.conversations.create())
        running = await self.respond(conversation=slow.id, input=SLOW, background=True)
        locked = await self.fails(bad, create, **self.answers, conversation=slow.id, input="Hello")
        assert locked.code == "conversation_locked"
        await settled(self.client.responses.cancel(running.id))
        wrong = await self.fails(bad, create, **self.answers, conversation="conv_mine", input="Hello")
        assert "Malformed identifier" in str(wrong)
        missing = await self.fails(bad, create, **self.answers, input="x", previous_response_id="resp_none")
        assert missing.code == "previous_response_not_found"
        metadata = {str(number): "x" for number in range(17)}
        await self.fails(bad, create, **self.answers, input="x", metadata=metadata)

    async def files(self) -> None:
        path = self.folder / "oak.md"
        path.write_text("# Prices\n\nOak boards cost 40 euros a square metre.\n", encoding="utf-8")
        client, stores = self.client.files, self.client.vector_stores
        with self.covered("files.upload"):
            file = await settled(client.create(file=path, purpose="assistants"))
            assert file.status == "processed"
        with self.covered("files.get"):
            assert (await settled(client.retrieve(file.id))).filename == "oak.md"
        with self.covered("files.content"):
            assert (await settled(client.content(file.id))).content == path.read_bytes()
        with self.covered("files.list"):
            assert file.id in [one.id for one in await every(client.list(purpose="assistants"))]
        with self.covered("vector_stores.create"):
            store = await settled(stores.create(name="prices", metadata={"a": "b"}))
            assert store.metadata == {"a": "b"}
        with self.covered("vector_stores.get"):
            assert (await settled(stores.retrieve(store.id))).name == "prices"
        with self.covered("vector_stores.update"):
            assert (await settled(stores.update(store.id, name="new"))).name == "new"
        with self.covered("vector_stores.list"):
            assert store.id in [one.id for one in await every(stores.list())]
        await self._store_files(store.id, file.id)
        await self._batches(file.id)
        with self.covered("vector_stores.search"):
            [hit] = await every(stores.search(store.id, query="oak"))
            assert (hit.file_id, hit.filename) == (file.id, "oak.md")
        with self.covered("vector_store_files.delete"):
            assert (await settled(stores.files.delete(file.id, vector_store_id=store.id))).deleted
        with self.covered("vector_stores.delete"):
            assert (await settled(stores.delete(store.id))).deleted
            await self.fails(self.openai.NotFoundError, stores.retrieve, store.id)
        with self.covered("files.delete"):
            assert (await settled(client.delete(file.id))).deleted
            await self.fails(self.openai.NotFoundError, client.retrieve, file.id)

    async def _store_files(self, store_id: str, file_id: str) -> None:
        files = self.client.vector_stores.files
        with self.covered("vector_store_files.create"):
            made = await settled(files.create(store_id, file_id=file_id))
            assert made.vector_store_id == store_id
            polled = await settled(files.poll(file_id, vector_store_id=store_id, poll_interval_ms=20))
            assert polled.status == "completed"
        with self.covered("vector_store_files.get"):
            assert (await settled(files.retrieve(file_id, vector_store_id=store_id))).id == file_id
        with self.covered("vector_store_files.list"):
            assert [one.id for one in await every(files.list(store_id))] == [file_id]
        with self.checks.covered("convenience", "upload and poll"):
            path = self.folder / "elm.md"
            path.write_text("All about elm.", encoding="utf-8")
            done = await settled(
                files.upload_and_poll(vector_store_id=store_id, file=path, poll_interval_ms=20)
            )
            assert done.status == "completed"

    async def _batches(self, file_id: str) -> None:
        store = await settled(self.client.vector_stores.create(name="batches"))
        batches = self.client.vector_stores.file_batches
        with self.covered("file_batches.create"):
            batch = await settled(batches.create(store.id, file_ids=[file_id]))
        with self.covered("file_batches.get"):
            batch = await settled(batches.poll(batch.id, vector_store_id=store.id, poll_interval_ms=20))
            assert batch.status == "completed"
            assert batch.file_counts.completed == 1
        with self.covered("file_batches.list_files"):
            files = await every(batches.list_files(batch.id, vector_store_id=store.id))
            assert [one.id for one in files] == [file_id]
        with self.covered("file_batches.cancel"):
            cancelled = await settled(batches.cancel(batch.id, vector_store_id=store.id))
            assert cancelled.status == "completed"
        await settled(self.client.vector_stores.delete(store.id))

    async def containers(self) -> None:
        client = self.client.containers
        with self.covered("containers.create"):
            made = await settled(client.create(name="work"))
            assert made.status == "running"
        with self.covered("containers.get"):
            assert (await settled(client.retrieve(made.id))).name == "work"
        with self.covered("containers.list"):
            assert made.id in [one.id for one in await every(client.list())]
        with self.covered("container_files.create"):
            file = await settled(client.files.create(made.id, file=("a.txt", b"inside")))
            assert file.path == "/mnt/data/a.txt"
        with self.covered("container_files.get"):
            assert (await settled(client.files.retrieve(file.id, container_id=made.id))).bytes == 6
        with self.covered("container_files.content"):
            content = await settled(client.files.content.retrieve(file.id, container_id=made.id))
            assert content.content == b"inside"
        with self.covered("container_files.list"):
            assert [one.id for one in await every(client.files.list(made.id))] == [file.id]
        with self.covered("container_files.delete"):
            await settled(client.files.delete(file.id, container_id=made.id))
            assert await every(client.files.list(made.id)) == []
        with self.covered("containers.delete"):
            await settled(client.delete(made.id))
            await self.fails(self.openai.NotFoundError, client.retrieve, made.id)


def price_class() -> type[Any]:
    """A model class of the kind that the client takes; pydantic comes with it."""
    from pydantic import BaseModel

    class Price(BaseModel):
        euros: int

    return Price
