"""The operations: each effect on the service with its intent, its remote ids and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.held import Held, prolonging, retrieve_error
from agent_tasks.journal.records import (
    UNSETTLED,
    Claim,
    Claimed,
    NewResource,
    Operation,
    OperationState,
    Taking,
)
from agent_tasks.journal.rows import operation_of
from agent_tasks.journal.schema import operations
from agent_tasks.journal.statements import IS_UNSETTLED
from agent_tasks.journal.workers import Worker

__all__ = ["Operations"]

_LET_GO_SECONDS = 2.0  # for ending the lease of what is left unsettled


class Operations:
    """The operations of one worker; reached as `Journal.operations`.

    Methods that change an operation check that this worker still holds it and raise `LeaseLostError`
    otherwise, so that a worker that was frozen past its lease can't overwrite what its successor did.
    """

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._statements = database.statements
        self._worker = worker
        self.held = Held(database, worker, prolonging(database.statements, operations, among=IS_UNSETTLED))
        """What this worker carries out, as far as it knows without asking."""

    # --- claiming --------------------------------------------------------------------------------------

    async def claim(
        self, scope: str, key: str, kind: str, fingerprint: dict[str, Any], *, taking: Taking | None = None
    ) -> Claimed:
        """Ask for an operation, and commit the intent if it is this worker's to carry out.

        Args:
            scope: the service that the operation speaks to.
            key: what the operation is (`agent_tasks.operations.keys.operation_key`).
            kind: its kind, such as `turn` or `upload`.
            fingerprint: what the key was made of, for people who read the journal. No secrets.
            taking: what the operation takes if it is new; its row tells whether it has.

        Returns:
            Whether to go ahead, to recover, to take the result or to wait, and the row.
        """
        since = self.held.moment()
        claimed = await self._claim(scope, key, kind, fingerprint, since.wall, taking)
        if claimed.claim in (Claim.FRESH, Claim.ORPHAN):
            self.held.note(scope, [key], since)
        return claimed

    async def _claim(
        self,
        scope: str,
        key: str,
        kind: str,
        fingerprint: dict[str, Any],
        now: float,
        taking: Taking | None,
    ) -> Claimed:
        values = {
            "scope": scope, "key": key, "kind": kind, "fingerprint": fingerprint,
            "state": OperationState.INTENDED, "attempt": 1, "worker": self._worker.name,
            "lease_until": now + self._worker.lease_seconds, "remote": {}, "result": None, "error": None,
            "intended_at": now, "updated_at": now, **as_written(),
        }  # fmt: skip
        while True:
            found = await self._database.write(self._statements.insert_or_read(values, taking), alone=True)
            if found is None:
                continue  # another worker inserts it in this very moment: there is something to read then
            is_new, operation = found
            if is_new:
                return Claimed(Claim.FRESH, operation)
            if (claim := self._known_claim(operation, now)) is not None:
                return Claimed(claim, operation)
            return await self._database.write(
                lambda connection: self._take_over(connection, scope, key, fingerprint, now)
            )

    def _known_claim(self, found: Operation, now: float) -> Claim | None:
        """What a row says that is not this worker's to carry out; None if it is."""
        if found.state is OperationState.DONE:
            return Claim.DONE
        is_open = found.state in UNSETTLED
        return (
            Claim.BUSY
            if is_open and not self._worker.may_take(found.worker, found.lease_until, now)
            else None
        )

    def _take_over(
        self, connection: sa.Connection, scope: str, key: str, fingerprint: dict[str, Any], now: float
    ) -> Claimed:
        """Claim an operation that is there and that no living worker holds, unless that has just changed."""
        found = self._statements.locked_operation(connection, scope, key)
        claim = self._known_claim(found, now)
        if claim is not None:
            return Claimed(claim, found)
        changes: dict[str, Any] = {
            "worker": self._worker.name, "lease_until": now + self._worker.lease_seconds,
        }  # fmt: skip
        if found.state not in UNSETTLED:  # failed or released: a new attempt, with a mark of its own
            changes |= {
                "state": OperationState.INTENDED, "attempt": found.attempt + 1, "remote": {}, "result": None,
                "error": None, "intended_at": now, "fingerprint": fingerprint,
            }  # fmt: skip
        self._statements.change(connection, scope, key, {**changes, "updated_at": now})
        claim = Claim.ORPHAN if found.state in UNSETTLED else Claim.FRESH
        return Claimed(claim, replace(found, **changes))

    async def let_go(self, scope: str, key: str) -> None:
        """End the lease of an operation that this worker leaves unsettled: others need not wait for it.

        A journal that does not answer is not waited for. The lease is not renewed then, and ends by itself.
        """
        self.held.drop(scope, [key])
        query = (
            operations.update()
            .where(operations.c.scope == scope, operations.c.key == key)
            .where(operations.c.worker == self._worker.name, operations.c.state.in_(UNSETTLED))
            .values(lease_until=self._worker.clock())
        )
        ending = asyncio.create_task(
            self._database.write(lambda connection: connection.execute(query), alone=True, patient=False)
        )
        ending.add_done_callback(retrieve_error)
        try:
            await asyncio.wait({ending}, timeout=_LET_GO_SECONDS)
        finally:
            ending.cancel()

    # --- carrying out ----------------------------------------------------------------------------------

    async def attach(
        self, scope: str, key: str, remote: dict[str, Any], new_resources: Sequence[NewResource] = ()
    ) -> None:
        """Commit the remote ids as soon as they are known, and put what was created into the ledger.

        Args:
            scope: the service.
            key: the operation.
            remote: all ids that are known now, those known before included.
            new_resources: what the operation created.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """
        values = self._values({"state": OperationState.ATTACHED, "remote": remote})
        made = _made(scope, key, new_resources, self._worker.clock())
        change = self._statements.change_held(scope, key, self._worker.name, values, made)
        if not await self._database.write(change, alone=True):
            raise _lost(key)

    async def next_attempt(
        self, scope: str, key: str, *, keep: Sequence[str] = (), note: dict[str, Any] | None = None
    ) -> Operation:
        """Commit the intent to send once more under the same key, after an attempt that provably ended.

        Args:
            scope: the service.
            key: the operation.
            keep: names of remote ids that stay valid (a conversation that goes on).
            note: what else to remember of the attempts so far (what they cost).

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """

        def work(connection: sa.Connection) -> Operation:
            found = self._statements.locked_operation(connection, scope, key)
            remote = {name: found.remote[name] for name in keep if name in found.remote} | (note or {})
            changes: dict[str, Any] = {
                "state": OperationState.INTENDED, "attempt": found.attempt + 1, "remote": remote,
                "intended_at": self._worker.clock(),
            }  # fmt: skip
            self._change(connection, scope, key, changes)
            return replace(found, **changes)

        return await self._database.write(work)

    async def finish(
        self,
        scope: str,
        key: str,
        result: Any,
        new_resources: Sequence[NewResource] = (),
        *,
        remote: dict[str, Any] | None = None,
        also: Callable[[sa.Connection], None] | None = None,
    ) -> None:
        """Commit the outcome: from now on the operation is never carried out again.

        Args:
            scope: the service.
            key: the operation.
            result: what came of it.
            new_resources: what it created.
            remote: remote ids in place of those known before.
            also: what else is committed with it, or not at all.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """
        changes: dict[str, Any] = {"state": OperationState.DONE, "result": result, "error": None}
        if remote is not None:
            changes["remote"] = remote
        values = self._values(changes)
        made = _made(scope, key, new_resources, self._worker.clock())
        change = self._statements.change_held(scope, key, self._worker.name, values, made)

        def with_more(connection: sa.Connection) -> bool:
            done = change(connection)
            if done and also is not None:
                also(connection)
            return done

        is_alone = also is None
        if not await self._database.write(change if is_alone else with_more, alone=is_alone):
            await self._database.write(
                lambda connection: self._require_committed(connection, scope, key, changes)
            )
        self.held.drop(scope, [key])

    async def fail(self, scope: str, key: str, error: BaseException) -> None:
        """Commit that the operation ended without a result; the next claim may try again.

        Tool calls in the middle of which a turn ended are no longer under way.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """
        described = {"type": type(error).__name__, "message": str(error)[:2000]}

        def work(connection: sa.Connection) -> None:
            self._change(connection, scope, key, {"state": OperationState.FAILED, "error": described})
            self._statements.interrupt_calls(connection, scope, key, self._worker.clock())

        await self._database.write(work)
        self.held.drop(scope, [key])

    async def release(self, scope: str, key: str) -> None:
        """Commit that what a finished operation made is gone, so that the next claim makes it anew."""
        await self._database.write(
            lambda connection: connection.execute(
                operations.update()
                .where(operations.c.scope == scope, operations.c.key == key)
                .where(operations.c.state == OperationState.DONE)
                .values(state=OperationState.RELEASED, updated_at=self._worker.clock())
            ),
            alone=True,
        )

    # --- looking ---------------------------------------------------------------------------------------

    async def get(self, scope: str, key: str) -> Operation | None:
        """The row of an operation, or None."""
        return await self._database.read(
            lambda connection: self._statements.operation(connection, scope, key)
        )

    async def unsettled(self, scope: str) -> list[Operation]:
        """Operations that were intended and did not end, the oldest first."""
        return await self._database.rows(
            operations.select()
            .where(operations.c.scope == scope, operations.c.state.in_(UNSETTLED))
            .order_by(operations.c.intended_at),
            operation_of,
        )

    async def marked(self, scope: str, key_start: str) -> list[Operation]:
        """Operations whose key begins like this; names of files hold only the beginning of a key."""
        return await self._database.rows(
            operations.select().where(
                operations.c.scope == scope, operations.c.key.startswith(key_start, autoescape=True)
            ),
            operation_of,
        )

    def is_held(self, operation: Operation) -> bool:
        """Whether an unsettled operation belongs to a living worker, this one included."""
        return operation.state in UNSETTLED and self._worker.is_alive(operation.worker, operation.lease_until)

    # --- inside a transaction --------------------------------------------------------------------------

    def hand_over(self, connection: sa.Connection) -> None:
        """End all of this worker's leases: whoever takes its operations over need not wait for them."""
        connection.execute(
            operations.update()
            .where(operations.c.worker == self._worker.name, operations.c.state.in_(UNSETTLED))
            .values(lease_until=self._worker.clock())
        )

    def _change(self, connection: sa.Connection, scope: str, key: str, changes: dict[str, Any]) -> None:
        """Change an operation of this worker that has not ended.

        Raises:
            LeaseLostError: it is not that.
        """
        values = self._values(changes)
        if not self._statements.change_held(scope, key, self._worker.name, values)(connection):
            self._require_committed(connection, scope, key, changes)

    def _require_committed(
        self, connection: sa.Connection, scope: str, key: str, changes: dict[str, Any]
    ) -> None:
        """Make sure that this worker has committed this end before, and the answer to that was lost.

        Raises:
            LeaseLostError: it has not.
        """
        found = self._statements.locked_operation(connection, scope, key)
        ended = changes.get("state") in (OperationState.DONE, OperationState.FAILED)
        same = (found.worker, found.state, found.result) == (
            self._worker.name,
            changes.get("state"),
            changes.get("result"),
        )
        if not (ended and same):
            raise _lost(key)

    def _values(self, changes: dict[str, Any]) -> dict[str, Any]:
        return {**changes, "worker": self._worker.name, "updated_at": self._worker.clock(), **as_written()}


def _made(scope: str, key: str, new_resources: Sequence[NewResource], now: float) -> list[dict[str, Any]]:
    """Rows of the ledger for what an operation made."""
    return [
        {
            "scope": scope, "kind": new.kind, "remote_id": new.remote_id, "operation_key": key,
            "owner": new.owner, "name": new.name[:500], "state": "live", "created_at": now,
            "expires_at": now + new.time_to_live, "deleted_at": None,
        }
        for new in new_resources
    ]  # fmt: skip


def _lost(key: str) -> LeaseLostError:
    return LeaseLostError(
        f"Another worker has taken over operation {key}; this worker's outcome is not committed. "
        "It was silent for longer than its lease."
    )
