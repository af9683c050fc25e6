"""Lists go through all pages, no further than they are read, and end."""

from typing import Any

import httpx
import pytest

from agent_tasks.errors import InvalidAnswerError
from tests.client.conftest import AGENT, Network


def page(*ids: str, has_more: bool | None, last_id: str | None = "") -> httpx.Response:
    body: dict[str, Any] = {"object": "list", "data": [{**AGENT, "id": id} for id in ids]}
    body["last_id"] = (ids[-1] if ids else None) if last_id == "" else last_id
    if has_more is not None:
        body["has_more"] = has_more
    return httpx.Response(200, json=body)


async def read(network: Network, **options: Any) -> list[str]:
    return [agent.id async for agent in network.client().agents.list(**options)]


def after(network: Network) -> list[str | None]:
    return [request.url.params.get("after") for request in network.requests]


async def test_all_pages_are_read_in_order(network: Network) -> None:
    network.answers = [page("a", "b", has_more=True), page("c", has_more=True), page("d", has_more=False)]
    assert await read(network, limit=2, order="asc", before="z") == ["a", "b", "c", "d"]
    assert after(network) == [None, "b", "c"]
    for request in network.requests:
        query = request.url.params
        assert (query["limit"], query["order"], query["before"]) == ("2", "asc", "z")


async def test_empty_list(network: Network) -> None:
    network.answers = [page(has_more=False)]
    assert await read(network) == []
    assert dict(network.requests[0].url.params) == {"api-version": "v1"}


async def test_page_without_data_ends_the_list_whatever_it_says(network: Network) -> None:
    network.answers = [page("a", has_more=True), page(has_more=True)]
    assert await read(network) == ["a"]
    assert len(network.requests) == 2


async def test_service_that_does_not_say_whether_there_is_more_is_asked_until_there_is_nothing(
    network: Network,
) -> None:
    network.answers = [page("a", has_more=None), page("b", has_more=None, last_id=None), page(has_more=None)]
    assert await read(network) == ["a", "b"]
    assert after(network) == [None, "a", "b"]


async def test_pages_that_do_not_go_on_are_an_error_not_a_loop(network: Network) -> None:
    network.answers = [page("a", has_more=True)]
    with pytest.raises(InvalidAnswerError, match="pages end after a"):
        await read(network)
    assert len(network.requests) == 2


async def test_list_is_lazy(network: Network) -> None:
    network.answers = [page("a", "b", has_more=True), page("c", has_more=False)]
    listed = network.client().agents.list()
    assert network.requests == []
    async for agent in listed:
        if agent.id == "b":
            break
    assert len(network.requests) == 1


async def test_failed_page_is_asked_for_again(network: Network) -> None:
    network.answers = [
        page("a", has_more=True),
        httpx.Response(502),
        httpx.ReadTimeout("slow"),
        page("b", has_more=False),
    ]
    assert await read(network) == ["a", "b"]
    assert after(network) == [None, "a", "a", "a"]
