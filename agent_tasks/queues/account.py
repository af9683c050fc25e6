"""A storage account while calls use it, with one reader for each output queue."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from agent_tasks.queues.answers import AnswerReader, ReaderPolicy
from agent_tasks.queues.claim_check import ClaimCheck
from agent_tasks.queues.storage import Storage

__all__ = ["QueueAccount"]


class QueueAccount:
    """An open account and its readers: `async with`, or `close` at the end.

    Args:
        storage: the account.
        container: blob container of values too large for a message; None: references are not followed.
    """

    def __init__(self, storage: Storage, container: str | None = None) -> None:
        self.storage = storage
        self.claim_check = None if container is None else ClaimCheck(storage, container)
        self._readers: dict[str, AnswerReader] = {}

    def reader(self, output_queue: str, policy: ReaderPolicy | None = None) -> AnswerReader:
        """The reader of an output queue; the first caller's policy is everybody's."""
        if output_queue not in self._readers:
            self._readers[output_queue] = AnswerReader(
                self.storage.queue(output_queue),
                parked=self.storage.queue(f"{output_queue}-parked"),
                claim_check=self.claim_check,
                policy=policy or ReaderPolicy(),
            )
        return self._readers[output_queue]

    async def close(self) -> None:
        """Stop reading, and let go of the connections."""
        for reader in self._readers.values():
            await reader.close()
        await self.storage.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
