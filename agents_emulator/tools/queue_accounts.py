"""The storage accounts that `azure_function` tools use, while the service runs."""

from __future__ import annotations

from agent_tasks.errors import AgentTasksError
from agent_tasks.queues import AnswerReader, QueueAccount, Storage
from agents_emulator.tools.settings import ANY_ADDRESS, ToolSettings, ToolSettingsError


class AccountUnusableError(Exception):
    """The tools file has no such account, or what it says of it is not usable."""


class QueueAccounts:
    """The accounts of the tools file, opened at their first use, with one reader for each output queue."""

    def __init__(self, settings: ToolSettings) -> None:
        self._known = {_key(address): account for address, account in settings.storage.items()}
        self._open: dict[str, QueueAccount] = {}
        self.stopping = False
        """Whether the service stops: then its calls resume at its next start."""

    def storage(self, address: str) -> Storage:
        """The account whose queues are at an address. Raises `AccountUnusableError`."""
        return self._account(address).storage

    def reader(self, address: str, queue: str) -> AnswerReader:
        """The reader of an output queue, shared by all runs. Raises `AccountUnusableError`."""
        return self._account(address).reader(queue)

    async def close(self) -> None:
        """Stop reading and close the accounts."""
        for account in self._open.values():
            await account.close()

    def _account(self, address: str) -> QueueAccount:
        key = _key(address)
        if key not in self._open:
            account = self._known.get(key) or self._known.get(ANY_ADDRESS)
            if account is None:
                raise AccountUnusableError(
                    f"the local service has no access to the queues at {address}; name them under `storage` "
                    "in its tools file (--tools-file)"
                )
            try:
                self._open[key] = QueueAccount(Storage(account.connection(address)))
            except (ToolSettingsError, AgentTasksError) as error:
                raise AccountUnusableError(f"`storage` of the tools file, {address}: {error}") from error
        return self._open[key]


def _key(address: str) -> str:
    return address.rstrip("/").lower()
