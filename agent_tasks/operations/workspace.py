"""What every operation works in: one service, one journal, and the claims of this process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from azure.core.credentials import TokenCredential
from azure.core.credentials_async import AsyncTokenCredential
from pydantic import SecretStr

from agent_tasks.backends.base import Backend, ResourceKind
from agent_tasks.backends.opening import open_backend
from agent_tasks.backends.other_side import OtherSide
from agent_tasks.backends.owned import is_of_other
from agent_tasks.backends.responses.live import LiveAnswers
from agent_tasks.client import current_gate, guarded_by
from agent_tasks.errors import AgentTasksError, JournalError
from agent_tasks.journal import LEASE_SECONDS, Claim, Journal, Operation, Taking
from agent_tasks.logs import get_logger
from agent_tasks.operations.gate import ClaimGate
from agent_tasks.operations.prices import NO_PRICES, Prices
from agent_tasks.operations.transcript_rules import NO_TRANSCRIPTS, TranscriptRules
from agent_tasks.pauses import Pauses
from agent_tasks.settings import ServiceKind
from agent_tasks.telemetry import instrument_unless_watched

logger = get_logger("agent_tasks.operations")

_BUSY_POLL = (0.2, 3.0)  # seconds between looks at what another worker holds: the first, and the longest


@dataclass
class _Flight:
    lock: asyncio.Lock
    users: int = 0


@dataclass(frozen=True)
class Held:
    """An operation that this worker may carry out now, or whose result is there already."""

    operation: Operation
    claim: Claim

    @property
    def is_done(self) -> bool:
        """Whether an earlier call finished it."""
        return self.claim is Claim.DONE

    @property
    def is_orphan(self) -> bool:
        """Whether an effect may exist already and has to be reconciled."""
        return self.claim is Claim.ORPHAN


class Workspace:
    """One service and one journal, opened together.

    Args:
        backend: the service.
        journal: the durable memory, open.
        scope: the name under which the journal keeps what it knows of this service; the backend's identity if
            not given. A local service whose port changes from run to run has a scope of its own.
        other: the project's other service, which the journal may have been begun with.
    """

    def __init__(
        self, backend: Backend, journal: Journal, *, scope: str | None = None, other: OtherSide | None = None
    ) -> None:
        self.backend = backend
        self.journal = journal
        self.scope = scope or backend.identity
        self.prices: Prices = NO_PRICES
        """What tokens cost; whoever opens a workspace by settings puts their table here."""
        self.transcripts: TranscriptRules = NO_TRANSCRIPTS
        """What is kept of what was said in turns; likewise."""
        self._other = other
        self._flights: dict[str, _Flight] = {}
        self._sides: dict[str, Workspace] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        endpoint: str,
        credential: AsyncTokenCredential | TokenCredential | SecretStr | None,
        journal_url: str,
        *,
        scope: str | None = None,
        lease_seconds: float = LEASE_SECONDS,
        service: ServiceKind = ServiceKind.CLASSIC,
        told: LiveAnswers | None = None,
    ) -> AsyncIterator[Self]:
        """Open the Agents service and the journal, and keep this worker's leases.

        Args:
            endpoint: the project's address (`PROJECT_ENDPOINT`).
            credential: any azure-identity credential, a token, or None for a local service on loopback.
            journal_url: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://...`.
            scope: see the class.
            lease_seconds: how long a claim of this worker holds when nothing is heard of it.
            service: which service the endpoint is.
            told: what a project has told of itself.

        Raises:
            ConfigurationError: the endpoint or the journal's address can't be used.
            JournalError: the journal can't be read.
        """
        async with (
            Journal(journal_url, lease_seconds=lease_seconds) as journal,
            cls.over(journal, endpoint, credential, scope=scope, service=service, told=told) as workspace,
        ):
            yield workspace

    @classmethod
    @asynccontextmanager
    async def over(
        cls,
        journal: Journal,
        endpoint: str,
        credential: AsyncTokenCredential | TokenCredential | SecretStr | None,
        *,
        scope: str | None = None,
        service: ServiceKind = ServiceKind.CLASSIC,
        told: LiveAnswers | None = None,
    ) -> AsyncIterator[Self]:
        """Open the Agents service over a journal that is open, and keep this worker's leases.

        Args:
            journal: the durable memory.
            endpoint: as for `open`, like all that follows.
            credential: see there.
            scope: see there.
            service: see there.
            told: see there.

        Raises:
            ConfigurationError: the endpoint can't be used.
        """
        instrument_unless_watched()
        async with open_backend(endpoint, credential, ServiceKind(service), told) as backend:
            can = backend.capabilities
            if not can.turns_once:
                logger.warning("%s (%s): %s", backend.identity, can.service, can.guarantee)
            async with OtherSide(endpoint, credential, can.in_keys, told) as other:
                workspace = cls(backend, journal, scope=scope, other=other)
                heartbeat = asyncio.create_task(workspace._keep_leases(), name="journal-heartbeat")
                try:
                    yield workspace
                finally:
                    heartbeat.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await heartbeat

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self.journal.lease_seconds / 3)
            try:
                await self.journal.renew_leases()
            except JournalError as error:
                # The claims may be lost now; each operation finds out for itself when it commits.
                logger.warning("The leases could not be renewed: %s", error)

    async def side(self, service: str) -> Workspace | None:
        """This workspace over another service of the project, with the same journal and claims.

        Args:
            service: what tells it from others in keys (`Capabilities.in_keys`); of this one it is this.

        Returns:
            None: the project has no such service, or not any more.

        Raises:
            ServiceError: the project fails, or refuses the caller.
            TransportError: it could not be reached.
        """
        if service == self.backend.capabilities.in_keys:
            return self
        if service not in self._sides:
            backend = await self._other.backend(service) if self._other is not None else None
            if backend is None:
                return None
            there = Workspace(backend, self.journal, scope=self.scope)
            there._flights = self._flights
            there._sides = self._sides
            self._sides |= {self.backend.capabilities.in_keys: self, service: there}
        there = self._sides[service]
        there.prices, there.transcripts = self.prices, self.transcripts
        return there

    async def delete(self, kind: ResourceKind, remote_id: str) -> None:
        """Delete a resource on the service that made it; one that is gone already counts as deleted.

        Raises:
            OtherServiceError: a service made it that is not there; it stays as it is.
            ServiceError: the service refused.
            TransportError: it could not be reached.
        """
        await (await self._maker_of(kind, remote_id)).delete(kind, remote_id)

    async def exists(self, kind: ResourceKind, remote_id: str) -> bool:
        """Whether a resource is still there, on the service that made it.

        Raises:
            OtherServiceError: a service made it that is not there.
            ServiceError: the service refused.
            TransportError: it could not be reached.
        """
        return await (await self._maker_of(kind, remote_id)).exists(kind, remote_id)

    async def _maker_of(self, kind: ResourceKind, remote_id: str) -> Backend:
        """The service that a resource is of: this one, unless its id says otherwise and that is there."""
        here = self.backend.capabilities.in_keys
        if not is_of_other(kind, remote_id, here):
            return self.backend
        there = await self.side("" if here else "agents")
        return self.backend if there is None else there.backend

    @asynccontextmanager
    async def hold(
        self,
        key: str,
        kind: str,
        fingerprint: dict[str, Any],
        *,
        wait: float | None = 3600.0,
        taking: Taking | None = None,
    ) -> AsyncIterator[Held]:
        """Hold an operation: nobody else, in this process or another, carries it out meanwhile.

        What is sent inside passes the gate: it leaves only while the operation, and what is held around it,
        is still this worker's. One that is left with an error and has not ended is free for others at once.

        Args:
            key: what the operation is.
            kind: its kind.
            fingerprint: what the key was made of, for people. No secrets.
            wait: seconds to wait for another living worker that holds it; None means not at all.
            taking: what it takes with its intent, if it is new and that is still there.

        Raises:
            LeaseLostError: what it is done for has been taken over by another worker.
            JournalError: another worker held it for longer than `wait`.
        """
        async with self.alone(key):
            await self.make_sure()  # nothing is begun for what is no longer this worker's
            held = await self._claim(key, kind, fingerprint, wait, taking)
            if held.is_done:
                yield held
                return
            with self.guarded(key):
                try:
                    yield held
                except BaseException:
                    await self.journal.operations.let_go(self.scope, key)
                    raise

    def guarded(self, key: str) -> AbstractContextManager[None]:
        """What is sent inside, and each function that is called, is done on behalf of an operation.

        It is done only while that is this worker's, and what is around it: the operation's document, the name
        that is held exclusively.

        Args:
            key: the operation's.
        """
        return guarded_by(ClaimGate(self.journal.operations.held, self.scope, key, current_gate()))

    def guarded_by_lease(self, key: str) -> AbstractContextManager[None]:
        """The same on behalf of what a lease is for: a document, a name.

        Args:
            key: the lease's.
        """
        return guarded_by(ClaimGate(self.journal.leases.held, self.scope, key, current_gate()))

    async def make_sure(self) -> None:
        """Make sure that all on whose behalf something is done here is still this worker's.

        Raises:
            LeaseLostError: another worker has taken it over; nothing may be done for it.
            JournalUnreadableError: the journal does not tell; likewise.
        """
        gate = current_gate()
        if gate is not None and not gate.is_open():
            await gate.enter()

    @asynccontextmanager
    async def alone(self, key: str) -> AsyncIterator[None]:
        """Keep the other tasks of this process off an operation; other processes don't notice."""
        flight = self._flights.setdefault(key, _Flight(asyncio.Lock()))
        flight.users += 1
        try:
            async with flight.lock:
                yield
        finally:
            flight.users -= 1
            if not flight.users:
                self._flights.pop(key, None)

    async def _claim(
        self, key: str, kind: str, fingerprint: dict[str, Any], wait: float | None, taking: Taking | None
    ) -> Held:
        async for _ in Pauses(*_BUSY_POLL, within=wait or 0.0):
            claimed = await self.journal.operations.claim(self.scope, key, kind, fingerprint, taking=taking)
            if claimed.claim is not Claim.BUSY:
                return Held(claimed.operation, claimed.claim)
        raise JournalError(
            f"The {kind} {key} is held by worker {claimed.operation.worker}, which is alive. "
            "Wait for it, or end it and try again."
        )

    async def fail(self, key: str, error: BaseException) -> None:
        """Commit a failure; a journal that refuses is logged, so that it does not hide the failure itself."""
        try:
            await self.journal.operations.fail(self.scope, key, error)
        except AgentTasksError as refused:
            logger.warning("The failure of %s could not be journaled: %s", key, refused)
