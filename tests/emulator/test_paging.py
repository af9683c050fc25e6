"""Lists: order, limits, cursors, and the page past the end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.helpers import get, post
from tests.support.service import RunningService


@pytest.fixture
def listing(shared: RunningService) -> Any:
    client = shared.http()
    thread = post(client, "/threads", {"messages": [{"role": "user", "content": str(n)} for n in range(5)]})
    path = f"/threads/{thread['id']}/messages"
    return lambda status=200, **query: get(client, path, status=status, **query)


def values(page: dict[str, Any]) -> list[str]:
    return [message["content"][0]["text"]["value"] for message in page["data"]]


def test_lists_are_newest_first_unless_asked_otherwise(listing: Any) -> None:
    assert values(listing()) == ["4", "3", "2", "1", "0"]
    assert values(listing(order="asc")) == ["0", "1", "2", "3", "4"]


def test_a_page_names_its_ends_and_whether_more_follow(listing: Any) -> None:
    page = listing(limit=2)
    assert list(page) == ["object", "data", "first_id", "last_id", "has_more"]
    assert page["has_more"] is True
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][1]["id"])
    following = listing(limit=3, after=page["last_id"])
    assert values(following) == ["2", "1", "0"]
    assert following["has_more"] is False


def test_the_page_past_the_end_has_null_ids(listing: Any) -> None:
    end = listing(after=listing()["last_id"])
    assert end == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


def test_before_gives_the_page_that_ends_at_the_cursor(listing: Any) -> None:
    everything = listing()["data"]
    page = listing(limit=2, before=everything[3]["id"])
    assert values(page) == ["3", "2"]
    assert page["has_more"] is True
    between = listing(after=everything[0]["id"], before=everything[3]["id"])
    assert values(between) == ["3", "2"]


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "x"}, {"limit": "1e9"}, {"limit": "²"}, {"order": "up"}],
)
def test_wrong_parameters_are_refused(listing: Any, query: dict[str, str]) -> None:
    error = listing(status=400, **query)["error"]
    assert error["param"] in query


def test_an_unknown_cursor_is_not_found(listing: Any) -> None:
    assert "msg_nowhere" in listing(status=404, after="msg_nowhere")["error"]["message"]


def test_every_list_has_pages(shared: RunningService) -> None:
    with shared.http() as client:
        thread = post(client, "/threads")
        store = post(client, "/vector_stores")
        for path in (
            "/assistants",
            "/threads",
            "/vector_stores",
            f"/threads/{thread['id']}/runs",
            f"/vector_stores/{store['id']}/files",
        ):
            assert list(get(client, path)) == ["object", "data", "first_id", "last_id", "has_more"]
