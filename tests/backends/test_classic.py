"""What the backend of the Agents service makes of its answers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import httpx

from agent_tasks.backends.base import (
    FoundTurn,
    Mark,
    TurnEnded,
    TurnRequest,
    TurnUpdate,
)
from agent_tasks.backends.classic import AgentsBackend
from agent_tasks.backends.classic.answers import content_of, usage_of
from agent_tasks.backends.marks import ATTEMPT_FIELD, KEY_FIELD
from agent_tasks.backends.usage import Usage
from agent_tasks.client import AsyncAgentsClient
from agent_tasks.wire import RunCompletionUsage, ThreadMessage, ThreadRun
from tests.conftest import ServiceFactory


def test_citations_of_later_parts_point_into_the_joined_text() -> None:
    mark = "【4:0†source】"
    cited = {
        "type": "file_citation",
        "text": mark,
        "start_index": 4,
        "end_index": 4 + len(mark),
        "file_citation": {"file_id": "assistant-1"},
    }
    part = {"type": "text", "text": {"value": f"Oak.{mark}", "annotations": [cited]}}
    message = ThreadMessage.model_validate(
        {"id": "msg_1", "created_at": 1, "thread_id": "t", "role": "assistant", "content": [part, part]}
    )
    text, citations = content_of(message)
    assert [text[citation.start : citation.end] for citation in citations] == [mark, mark]
    assert citations[0].start != citations[1].start


def test_cached_tokens_are_counted() -> None:
    """As recorded: the specification does not have them."""
    told = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    details = {"prompt_token_details": {"cached_tokens": 4}}
    run = ThreadRun.model_construct(usage=RunCompletionUsage.model_validate({**told, **details}))
    assert usage_of(run) == Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=2, total_tokens=11)
    run = ThreadRun.model_construct(usage=RunCompletionUsage.model_validate(told))
    assert usage_of(run).cached_tokens == 0


class Deleting(httpx.AsyncHTTPTransport):
    """Deletes the thread after which a page is to begin, right before that page is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        if after is not None and request.url.path.endswith("/threads") and len(self.deleted) < 3:
            self.deleted.append(after)
            url = request.url.copy_with(path=f"{request.url.path}/{after}", params={"api-version": "v1"})
            async with httpx.AsyncClient() as other:
                (await other.delete(url)).raise_for_status()
        return await super().handle_async_request(request)


async def test_a_turn_is_looked_for_through_a_list_from_which_others_delete(service: ServiceFactory) -> None:
    running = service()
    mark = Mark("f" * 40, 1)
    transport = Deleting()
    async with AsyncAgentsClient(running.endpoint, None, transport=transport) as client:
        backend = AgentsBackend(client)
        metadata = {KEY_FIELD: mark.key, ATTEMPT_FIELD: "1"}
        message = {"role": "user", "content": "?", "metadata": metadata}
        ours = await client.threads.create(messages=[message], metadata=metadata)
        await asyncio.gather(*(client.threads.create() for _ in range(250)))
        found = await backend.find_turn(mark, conversation=None, since=0.0)
        assert await backend.find_turn(Mark("e" * 40, 1), conversation=None, since=0.0) is None
    assert len(transport.deleted) == 3
    assert found == FoundTurn(ours.id, None, prompt_posted=True)


async def test_a_turn_that_is_left_at_its_end_leaves_nothing_to_the_garbage_collector(
    service: ServiceFactory,
) -> None:
    """Which would wake the loop to close each stream."""
    left: list[object] = []
    finalizer = sys.get_asyncgen_hooks().finalizer
    async with AsyncAgentsClient(service().endpoint, None) as client:
        agent = await client.agents.create(model="test-model")
        started = AgentsBackend(client).start_turn(TurnRequest(agent.id, "Hello"), Mark("f" * 40, 1))
        turn = cast("AsyncGenerator[TurnUpdate, None]", started)
        sys.set_asyncgen_hooks(finalizer=left.append)
        try:
            async with aclosing(turn):
                while not isinstance(await anext(turn), TurnEnded):
                    pass
        finally:
            sys.set_asyncgen_hooks(finalizer=finalizer)
    assert left == []
