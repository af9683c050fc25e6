"""What every local server is to those who use it: launched, waited for, talked to, let go of.

    with prefect_server(settings) as api_url, Azurite() as storage:
        ...

To start several at the same time, and do something else meanwhile:

    server, service = prefect_server(settings).launch(), local_service(settings).launch()
    ...
    api_url = server.wait()
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Generic, Self, TypeVar

__all__ = ["Server"]

Address = TypeVar("Address")
"""What its users need to reach it."""


class Server(ABC, Generic[Address]):
    """A server to talk to. `with` and `async with` give its address and let go of it at the end."""

    def launch(self) -> Self:
        """Begins to start the server, without waiting for it."""
        return self

    @abstractmethod
    def wait(self) -> Address:
        """Waits until the server is ready; returns its address.

        Raises:
            EmbeddedServiceError: it did not start; the message holds the end of its log.
        """

    @abstractmethod
    def close(self) -> None:
        """Lets go of the server; the last one to do so waits until it has ended. Safe to call twice."""

    def running(self) -> Address | None:
        """The address of the server if it runs now, whoever has started it; None if it does not."""
        return self.wait()

    def keep(self, seconds: float) -> bool:
        """Has the server stay after `close` for the next command, if it is ours.

        Args:
            seconds: how long it stays with nobody using it; 0: it ends, as it does without this call.

        Returns:
            Whether it will stay.
        """
        return False

    @abstractmethod
    def hand_over(self) -> None:
        """Has the program that this process becomes (`os.exec...`) hold the server in its place."""

    def __enter__(self) -> Address:
        try:
            return self.launch().wait()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Address:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Shielded: a cancelled task must not leave the server held.
        await asyncio.shield(asyncio.to_thread(self.close))
