"""Runs of batches: when each began and ended, and with what; and for whom flow runs of Prefect work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import BaseModel

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.bodies import Row, Written, as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.records import Hold, LeaseKind, NewLease, Run
from agent_tasks.journal.rows import run_of
from agent_tasks.journal.schema import flow_runs, leases, past_runs, runs
from agent_tasks.journal.workers import Worker

__all__ = ["FlowRuns", "Joined", "PastRun", "Runs"]

_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class PastRun:
    """A row of `past_runs`: what a run came to, in short."""

    number: int
    """Counts the batch's runs from 1 on."""
    started_at: float
    ended_at: float
    body: dict[str, Any]
    written: Written = field(default_factory=lambda: Written("a past run", "(none)"), compare=False)

    def read(self, model: type[_Model]) -> _Model:
        """The body as a model. Raises JournalVersionError where it is not one."""
        return self.written.read(model, self.body)


@dataclass(frozen=True)
class Joined:
    """What a worker is told that takes part in a batch."""

    run: Run
    """The run that is under way, or that it has begun."""
    hold: Hold
    """The leader's lease: this worker's, or that of the one that leads."""


class Runs:
    """The runs of batches, seen by one worker; reached as `Journal.runs`."""

    def __init__(self, database: Database, worker: Worker, held: Leases) -> None:
        self._database = database
        self._worker = worker
        self._leases = held

    async def join(self, scope: str, lead: NewLease, *, resume_within: float) -> Joined:
        """Take the leader's lease of a batch if nobody has it, and begin a run or join the one under way.

        Args:
            scope: the service.
            lead: the leader's lease, for the batch.
            resume_within: seconds for which a leader may have been silent so that its run is resumed; after
                that, and where it gave up, a new one begins.
        """
        since = self._leases.held.moment()

        def work(connection: sa.Connection) -> Joined:
            now = since.wall
            hold = self._leases.hold_within(connection, scope, lead, now)
            last = self._last(connection, scope, lead.owner)
            is_under_way = last is not None and last.ended_at is None
            if not hold.is_mine:
                if last is not None and is_under_way:
                    return Joined(last, hold)
                # Its holder has not begun one (it cleans up, say): the next one is joined.
                return Joined(self._next(last, lead.owner, hold.lease.taken_at), hold)
            silent = now - hold.before.lease_until if hold.before is not None else float("inf")
            if last is not None and is_under_way and silent <= resume_within:
                return Joined(last, hold)
            return Joined(self._begin(connection, scope, self._next(last, lead.owner, now)), hold)

        joined = await self._database.write(work)
        if joined.hold.is_mine:
            self._leases.held.note(scope, [lead.key], since)
        return joined

    async def lead(self, scope: str, lead: NewLease, run: Run) -> Run | None:
        """Take the leader's lease of a run whose leader is gone; None: another worker has it, or it is over.

        Args:
            scope: the service.
            lead: the leader's lease, for the batch.
            run: the run that this worker takes part in.

        Returns:
            The run that it leads now: this one, or a later one that has begun since.
        """
        since = self._leases.held.moment()

        def work(connection: sa.Connection) -> Run | None:
            if not self._leases.hold_within(connection, scope, lead, since.wall).is_mine:
                return None
            last = self._last(connection, scope, lead.owner)
            if last is None or last.number < run.number:
                return self._begin(connection, scope, run)
            if last.ended_at is None:
                return last
            connection.execute(leases.delete().where(leases.c.scope == scope, leases.c.key == lead.key))
            return None

        led = await self._database.write(work)
        if led is not None:
            self._leases.held.note(scope, [lead.key], since)
        return led

    async def end(
        self,
        scope: str,
        lead: NewLease,
        run: Run,
        body: dict[str, Any],
        *,
        in_short: dict[str, Any] | None = None,
    ) -> None:
        """Commit that a run is at its end; all leases of its batch are free then.

        Args:
            scope: the service.
            lead: the leader's lease, which this worker must still hold.
            run: the run.
            body: what it came to.
            in_short: the same in short, kept when the next run has taken its place.

        Raises:
            LeaseLostError: another worker has taken the lead over; nothing is committed.
        """
        ended = replace(run, worker=self._worker.name, ended_at=self._worker.clock(), body=body)
        of_members = (leases.c.owner == lead.owner, leases.c.kind.in_((LeaseKind.DOCUMENT, LeaseKind.MEMBER)))

        def work(connection: sa.Connection) -> None:
            if not self._leases.is_mine(connection, scope, lead.key):
                self._require_ended(connection, scope, ended)
                return
            self._put(connection, scope, ended)
            if in_short is not None:
                self._keep(connection, scope, ended, in_short)
            connection.execute(
                leases.delete().where(
                    leases.c.scope == scope, sa.or_(leases.c.key == lead.key, sa.and_(*of_members))
                )
            )

        await self._database.write(work)
        self._leases.held.drop(scope, [lead.key])

    async def get(self, scope: str, owner: str) -> Run | None:
        """The last run of a batch, or None."""
        found = await self._database.rows(
            runs.select().where(runs.c.scope == scope, runs.c.owner == owner), run_of
        )
        return found[0] if found else None

    async def ended(self, scope: str) -> list[Run]:
        """Each batch's last run, if it came to its end; the latest first."""
        return await self._database.rows(
            runs.select()
            .where(runs.c.scope == scope, runs.c.ended_at.is_not(None))
            .order_by(runs.c.ended_at.desc()),
            run_of,
        )

    async def past(self, scope: str, owner: str, *, limit: int) -> list[PastRun]:
        """The last runs of a batch that came to their ends, the latest last."""
        query = (
            past_runs.select()
            .where(past_runs.c.scope == scope, past_runs.c.owner == owner)
            .order_by(past_runs.c.ended_at.desc())
            .limit(limit)
        )
        return (await self._database.rows(query, _past_run_of))[::-1]

    # --- inside a transaction --------------------------------------------------------------------------

    def _keep(self, connection: sa.Connection, scope: str, run: Run, body: dict[str, Any]) -> None:
        values = {
            "scope": scope, "owner": run.owner, "number": run.number, "started_at": run.started_at,
            "ended_at": run.ended_at, "body": body, **as_written(),
        }  # fmt: skip
        self._database.statements.put(connection, past_runs, values)

    def _next(self, last: Run | None, owner: str, started_at: float) -> Run:
        return Run(owner, last.number + 1 if last is not None else 1, self._worker.name, started_at)

    def _begin(self, connection: sa.Connection, scope: str, run: Run) -> Run:
        begun = replace(run, worker=self._worker.name)
        self._put(connection, scope, begun)
        return begun

    def _put(self, connection: sa.Connection, scope: str, run: Run) -> None:
        values = {
            "scope": scope, "owner": run.owner, "number": run.number, "worker": run.worker,
            "started_at": run.started_at, "ended_at": run.ended_at, "body": run.body, **as_written(),
        }  # fmt: skip
        self._database.statements.put(connection, runs, values)

    def _last(self, connection: sa.Connection, scope: str, owner: str) -> Run | None:
        query = runs.select().where(runs.c.scope == scope, runs.c.owner == owner)
        row = connection.execute(query).mappings().one_or_none()
        return run_of(row, self._database.address) if row is not None else None

    def _require_ended(self, connection: sa.Connection, scope: str, ended: Run) -> None:
        """Make sure that this worker has committed this end before, and the answer to that was lost."""
        last = self._last(connection, scope, ended.owner)
        if last is None or (last.number, last.worker, last.body) != (ended.number, ended.worker, ended.body):
            raise LeaseLostError(
                f"Another worker leads {ended.owner} now; the end of its run is not committed by this one. "
                "It was silent for longer than its lease."
            )


def _past_run_of(row: Row, address: str) -> PastRun:
    return PastRun(
        row["number"], row["started_at"], row["ended_at"], row["body"],
        Written.of(row, f"run {row['number']} of {row['owner']}", address),
    )  # fmt: skip


class FlowRuns:
    """For whom flow runs work, whatever service they speak to; reached as `Journal.flow_runs`.

    A hook that ends a flow run has to know nothing else, and need not reach a service for it.
    """

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    async def note(self, flow_run_id: str, owner: str) -> None:
        """Commit, before it makes anything, for whom a flow run works; one that starts again may say anew.

        Raises:
            JournalError: the journal can't be written.
        """
        values = {"id": flow_run_id, "owner": owner, "noted_at": self._worker.clock()}
        await self._database.write(
            lambda connection: self._database.statements.put(connection, flow_runs, values), alone=True
        )

    async def owner(self, flow_run_id: str) -> str | None:
        """For whom a flow run works; None if it came to nothing before it could make anything.

        Raises:
            JournalError: the journal can't be read.
        """
        query = sa.select(flow_runs.c.owner).where(flow_runs.c.id == flow_run_id)
        return await self._database.read(lambda connection: connection.execute(query).scalar_one_or_none())
