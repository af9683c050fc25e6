"""A client of a Prefect server's API that is patient with a busy server."""

from __future__ import annotations

import time

import httpx

from agent_tasks.local.server_access import basic

_PAUSES = (0.5, 1.0, 2.0, 4.0)


class _Patient(httpx.HTTPTransport):
    """Asks again where the server answers 503, as Prefect's own client does: its database is locked."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for pause in _PAUSES:
            answer = super().handle_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                return answer
            answer.close()
            time.sleep(pause)
        return super().handle_request(request)


def prefect_api(url: str, auth: str = "") -> httpx.Client:
    """A client of the API at an address; `auth` is the server's auth string."""
    headers = {"Authorization": basic(auth)} if auth else {}
    return httpx.Client(base_url=url, timeout=30, transport=_Patient(), trust_env=False, headers=headers)
