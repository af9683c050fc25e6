"""The desk's page without a browser: a client that is signed in, and forms as it would send them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from agent_tasks.review import Desk
from agent_tasks.review.web.access import Access
from agent_tasks.review.web.app import create_app

HOST = "127.0.0.1:8765"


@dataclass
class Browser:
    """A browser of a person."""

    http: httpx.AsyncClient
    csrf: str = ""

    async def get(self, path: str) -> str:
        answer = await self.http.get(path)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        if found := re.search(r'name="csrf" value="([^"]+)"', answer.text):
            self.csrf = found[1]
        return answer.text

    async def decide(self, key: str, what: str, page: str = "", **fields: str) -> httpx.Response:
        text = page or await self.get(f"/items/{key}")
        seen = re.search(r'name="seen" value="([^"]+)"', text)
        assert seen is not None
        data = {"csrf": self.csrf, "seen": seen[1], "do": what, **fields}
        return await self.http.post(f"/items/{key}/decide", data=data)


@asynccontextmanager
async def app_of(desk: Desk, access: Access) -> AsyncIterator[httpx.ASGITransport]:
    app = create_app(desk, access)
    async with app.router.lifespan_context(app):
        yield httpx.ASGITransport(app=app)


@asynccontextmanager
async def browser_of(desk: Desk, name: str = "Ann") -> AsyncIterator[Browser]:
    """A browser that has opened the one-time link."""
    access = Access({"127.0.0.1"}, person=name)
    async with (
        app_of(desk, access) as transport,
        httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http,
    ):
        assert (await http.get(access.link)).status_code == 303
        yield Browser(http)
