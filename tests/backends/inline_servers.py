"""Servers of responses with less than the local service has, made of it: paths that are not there are 404."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

_LISTS = re.compile(r"/openai/v1/(responses|conversations)$")
_KEPT = re.compile(r"/openai/v1/(conversations(/.*)?|responses/.+)$")


class Lesser(httpx.AsyncHTTPTransport):
    """A way to the local service on which some of it is not there.

    Args:
        lists: whether responses and conversations are listed.
        keeps: whether conversations and responses are kept.
    """

    def __init__(self, *, lists: bool, keeps: bool = True) -> None:
        super().__init__()
        self._lists = lists
        self._keeps = keeps
        self.sent: list[dict[str, Any]] = []
        """Bodies of all responses that were asked for."""
        self.lose: int = 0
        """So many of the coming answers to `POST /responses` are lost."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        is_list = request.method == "GET" and _LISTS.search(path)
        if (is_list and not self._lists) or (not self._keeps and _KEPT.search(path)):
            return httpx.Response(404, json={"detail": "Not Found"}, request=request)
        if request.method == "POST" and path.endswith("/responses"):
            body = json.loads(await request.aread())
            self.sent.append(body)
            if not self._keeps:
                assert "conversation" not in body
                assert "background" not in body
            if self.lose:
                self.lose -= 1
                answer = await super().handle_async_request(request)
                await answer.aread()
                await answer.aclose()
                raise httpx.ReadError("the answer was lost", request=request)
        return await super().handle_async_request(request)
