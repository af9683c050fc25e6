# Made from _async/connections.py by `make generate`: change that one.
"""Connections in small groups: a large pool of httpx looks at each of its connections for each request.

A pool of fifty costs several milliseconds of processor time a request (it compares each connection with each,
and asks the system about each idle one); twelve pools of four cost next to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx

from agent_tasks.client._sync import _runtime

__all__ = ["Connections"]

IN_A_GROUP: Final = 4
"""Requests that a group carries at the same time, each on a connection of its own."""
AT_MOST: Final = 200
"""Requests under way; further ones wait for as long as a request may wait for a connection."""


class Connections:
    """Sends requests, each on the first group that has room: a few requests stay on a few connections.

    Args:
        make: makes a client with connections of its own.
        grouped: whether there is more than one; a transport that a test gives has no connections.
    """

    def __init__(self, make: Callable[[], httpx.Client], *, grouped: bool = True) -> None:
        self._make = make
        self._room = IN_A_GROUP if grouped else AT_MOST
        self._groups = [_Group(make())]
        self._free = _runtime.Semaphore(AT_MOST)
        self._choosing = threading.Lock()

    def send(self, method: str, url: str, *, limits: httpx.Timeout, **parts: Any) -> httpx.Response:
        """Send a request; gives its answer unread. Its connection is free again when that is closed.

        Args:
            method: its method.
            url: where to.
            limits: its timeouts; that of the pool is how long it waits for a connection.
            **parts: as `httpx.Client.build_request` takes them.

        Raises:
            httpx.HTTPError: what httpx raises.
        """
        _runtime.acquired(self._free, limits.pool)
        group = self._chosen()
        try:
            request = group.http.build_request(method, url, timeout=limits, **parts)
            response = group.http.send(request, stream=True)
        except BaseException:
            self._give_back(group)
            raise
        if response.is_closed:  # one that a test made
            self._give_back(group)
            return response
        response.stream = _Body(response.stream, lambda: self._give_back(group))
        return response

    def _chosen(self) -> _Group:
        with self._choosing:
            group = next((one for one in self._groups if one.busy < self._room), None)
            if group is None:
                group = _Group(self._make())
                self._groups.append(group)
            group.busy += 1
            return group

    def _give_back(self, group: _Group) -> None:
        with self._choosing:
            group.busy -= 1
        self._free.release()

    def close(self) -> None:
        """Close all connections."""
        for group in self._groups:
            group.http.close()


class _Group:
    """A client with a few connections, and how many of them are in use."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.busy = 0


class _Body(httpx.SyncByteStream):
    """An answer's body that tells when it is closed."""

    def __init__(self, inner: Any, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed: Callable[[], None] | None = closed

    def __iter__(self) -> Iterator[bytes]:
        pieces: Iterator[bytes] = iter(self._inner)
        return pieces

    def close(self) -> None:
        closed, self._closed = self._closed, None
        try:
            self._inner.close()
        finally:
            if closed is not None:
                closed()
