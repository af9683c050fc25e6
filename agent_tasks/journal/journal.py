"""The journal: intents, results, tool calls, owned resources and documents in one SQL database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy import RowMapping

from agent_tasks.errors import JournalError, JournalUnreadableError, LeaseLostError
from agent_tasks.journal.calls import ToolCalls
from agent_tasks.journal.claims import Claims
from agent_tasks.journal.database import RECONNECT_SECONDS, database_at
from agent_tasks.journal.leases import Leases
from agent_tasks.journal.records import (
    UNSETTLED,
    Claim,
    Claimed,
    DocumentRecord,
    NewResource,
    Operation,
    OperationState,
    Resource,
)
from agent_tasks.journal.rows import document_of, operation_of, resource_of
from agent_tasks.journal.schema import documents, operations, resources
from agent_tasks.journal.workers import WorkerPresence, shared_folder, worker_name
from agent_tasks.logs import get_logger

T = TypeVar("T")

logger = get_logger("agent_tasks.journal")

LEASE_SECONDS = 60.0
"""How long a worker's claim holds without renewal; workers renew at a third of it."""

LOOK_SECONDS = RECONNECT_SECONDS
"""How long a request that is about to leave waits for the journal to say that it may."""

_AT_ONCE = 500  # leases that one statement renews
_LET_GO_SECONDS = 2.0  # for ending the lease of what is left unsettled


class Journal:
    """The durable memory of one worker. Open it with `async with Journal(url)`.

    Every method is one transaction. Methods that change an operation check that this worker still holds it
    and raise `LeaseLostError` otherwise, so that a worker that was frozen past its lease can't overwrite what
    its successor did.

    Args:
        url: `sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://...`.
        lease_seconds: how long a claim holds without renewal.
        clock: seconds since the epoch; tests pass their own.
    """

    def __init__(
        self, url: str, *, lease_seconds: float = LEASE_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self.worker = worker_name()
        self.lease_seconds = lease_seconds
        self._database = database_at(url)
        self._statements = self._database.statements
        self._clock = clock
        path = self._database.path
        if path is None:
            self._presence = WorkerPresence(shared_folder(), self.worker, everybody=False)
        else:
            self._presence = WorkerPresence(Path(f"{path}.workers"), self.worker)
        self.leases = Leases(lease_seconds, clock)
        """What this worker holds, as far as it knows without asking."""
        self.claims = Claims(self._database, self._presence, self.worker, self.leases)
        """Claims of many things at once, such as documents."""
        self.calls = ToolCalls(self._database, self.worker, clock)
        """Tool calls, one by one."""

    @property
    def is_shared(self) -> bool:
        """Whether workers on several machines may use it together: PostgreSQL."""
        return self._database.is_shared

    async def __aenter__(self) -> Self:
        await self._database.open(was_there=self._presence.has_been_used)
        self._presence.announce()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._hand_over()
        except JournalError as refused:
            logger.warning("The leases of worker %s end by themselves: %s", self.worker, refused)
        finally:
            await self._database.close()
            self._presence.leave()

    async def _hand_over(self) -> None:
        """End this worker's leases: whoever takes its operations over need not wait for them."""
        query = (
            operations.update()
            .where(operations.c.worker == self.worker, operations.c.state.in_(UNSETTLED))
            .values(lease_until=self._clock())
        )
        await self._database.write(lambda connection: connection.execute(query), alone=True, patient=False)

    # --- operations ------------------------------------------------------------------------------------

    async def claim(self, scope: str, key: str, kind: str, fingerprint: dict[str, Any]) -> Claimed:
        """Ask for an operation, and commit the intent if it is this worker's to carry out.

        Args:
            scope: the service that the operation speaks to.
            key: what the operation is (`agent_tasks.operations.keys.operation_key`).
            kind: its kind, such as `turn` or `upload`.
            fingerprint: what the key was made of, for people who read the journal. No secrets.

        Returns:
            Whether to go ahead, to recover, to take the result or to wait, and the row.
        """
        since = self.leases.moment()
        claimed = await self._claim(scope, key, kind, fingerprint, since.wall)
        if claimed.claim in (Claim.FRESH, Claim.ORPHAN):
            self.leases.note(scope, [key], since)
        return claimed

    async def _claim(
        self, scope: str, key: str, kind: str, fingerprint: dict[str, Any], now: float
    ) -> Claimed:
        values = {
            "scope": scope, "key": key, "kind": kind, "fingerprint": fingerprint,
            "state": OperationState.INTENDED, "attempt": 1, "worker": self.worker,
            "lease_until": now + self.lease_seconds, "remote": {}, "result": None, "error": None,
            "intended_at": now, "updated_at": now,
        }  # fmt: skip
        while True:
            found = await self._database.write(
                lambda connection: self._statements.insert_or_read(connection, values), alone=True
            )
            if found is None:
                continue  # another worker inserts it in this very moment: there is something to read then
            is_new, operation = found
            if is_new:
                return Claimed(Claim.FRESH, operation)
            if (claim := self._known_claim(operation, now)) is not None:
                return Claimed(claim, operation)
            return await self._database.write(lambda connection: self._take_over(connection, scope, key, now))

    def _known_claim(self, found: Operation, now: float) -> Claim | None:
        """What a row says that is not this worker's to carry out; None if it is."""
        if found.state is OperationState.DONE:
            return Claim.DONE
        held = found.state in UNSETTLED and found.worker != self.worker and now < found.lease_until
        return Claim.BUSY if held and not self._presence.is_dead(found.worker) else None

    def _take_over(self, connection: sa.Connection, scope: str, key: str, now: float) -> Claimed:
        """Claim an operation that is there and that no living worker holds, unless that has just changed."""
        found = self._statements.locked_operation(connection, scope, key)
        claim = self._known_claim(found, now)
        if claim is not None:
            return Claimed(claim, found)
        changes: dict[str, Any] = {"worker": self.worker, "lease_until": now + self.lease_seconds}
        if found.state not in UNSETTLED:  # failed or released: a new attempt, with a mark of its own
            changes |= {
                "state": OperationState.INTENDED, "attempt": found.attempt + 1, "remote": {}, "result": None,
                "error": None, "intended_at": now,
            }  # fmt: skip
        self._statements.change(connection, scope, key, {**changes, "updated_at": now})
        claim = Claim.ORPHAN if found.state in UNSETTLED else Claim.FRESH
        return Claimed(claim, replace(found, **changes))

    async def attach(
        self, scope: str, key: str, remote: dict[str, Any], new_resources: Sequence[NewResource] = ()
    ) -> Operation:
        """Commit the remote ids as soon as they are known, and put what was created into the ledger.

        Args:
            scope: the service.
            key: the operation.
            remote: ids to add to those known before.
            new_resources: what the operation created.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """

        made, now = self._made(scope, key, new_resources), self._clock()
        attached = await self._database.write(
            lambda connection: self._statements.attach(
                connection, scope, key, self.worker, remote, now, made
            ),
            alone=True,
        )
        if attached is None:
            raise _lost(key)
        return attached

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
                "intended_at": self._clock(),
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
    ) -> None:
        """Commit the outcome: from now on the operation is never carried out again.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """
        changes: dict[str, Any] = {"state": OperationState.DONE, "result": result, "error": None}
        if remote is not None:
            changes["remote"] = remote
        values, made = self._values(changes), self._made(scope, key, new_resources)
        finished = await self._database.write(
            lambda connection: self._statements.change_held(
                connection, scope, key, self.worker, values, made
            ),
            alone=True,
        )
        if not finished:
            await self._database.write(
                lambda connection: self._require_committed(connection, scope, key, changes)
            )
        self.leases.drop(scope, [key])

    async def fail(self, scope: str, key: str, error: BaseException) -> None:
        """Commit that the operation ended without a result; the next claim may try again.

        Tool calls in the middle of which a turn ended are no longer under way.

        Raises:
            LeaseLostError: another worker has taken the operation over.
        """
        described = {"type": type(error).__name__, "message": str(error)[:2000]}

        def work(connection: sa.Connection) -> None:
            self._change(connection, scope, key, {"state": OperationState.FAILED, "error": described})
            self._statements.interrupt_calls(connection, scope, key, self._clock())

        await self._database.write(work)
        self.leases.drop(scope, [key])

    async def release(self, scope: str, key: str) -> None:
        """Commit that what a finished operation made is gone, so that the next claim makes it anew."""
        await self._database.write(
            lambda connection: connection.execute(
                operations.update()
                .where(operations.c.scope == scope, operations.c.key == key)
                .where(operations.c.state == OperationState.DONE)
                .values(state=OperationState.RELEASED, updated_at=self._clock())
            ),
            alone=True,
        )

    async def make_sure(self, scope: str, key: str) -> None:
        """Make sure, right before a request leaves, that an operation or claim is still this worker's.

        Costs nothing while a lease that was committed a moment ago holds. After that (a worker that stood
        still, or whose journal does not answer) it is prolonged, unless another worker has taken it over.

        Raises:
            LeaseLostError: another worker has it, or had it; nothing may be sent.
            JournalUnreadableError: the journal did not tell within `LOOK_SECONDS`; nothing may be sent.
        """
        if self.leases.is_sure(scope, key):
            return
        looking = asyncio.create_task(self._prolong_until_sure(scope, key))
        # A server that stands still would hold up a cancelled query too: it is left behind, not waited for.
        looking.add_done_callback(_retrieved)
        try:
            done, _ = await asyncio.wait({looking}, timeout=LOOK_SECONDS)
        finally:
            looking.cancel()
        if not done:
            raise JournalUnreadableError(
                f"The journal {self._database.address} did not say within {LOOK_SECONDS:g} s whether "
                f"{key} is still this worker's, so nothing was sent for it. Check the server and the "
                "connection to it, and start again."
            )
        looking.result()

    async def _prolong_until_sure(self, scope: str, key: str) -> None:
        """An answer that took longer than the lease says nothing: then it is asked once more."""
        while not self.leases.is_sure(scope, key):
            if not await self._prolong(scope, [key]):
                raise LeaseLostError(
                    f"Another worker has taken over {key}, so nothing is sent for it any more. This worker "
                    "was silent for longer than its lease.",
                    key=key,
                )

    async def _prolong(self, scope: str, keys: Sequence[str]) -> int:
        """Prolong those leases that are still this worker's; returns how many."""
        since = self.leases.moment()
        query = (
            operations.update()
            .where(operations.c.scope == scope, operations.c.key.in_(keys))
            .where(operations.c.worker == self.worker, operations.c.state.in_(UNSETTLED))
            .values(lease_until=since.wall + self.lease_seconds)
            .returning(operations.c.key)
        )
        kept = await self._database.write(
            lambda connection: set(connection.execute(query).scalars()), alone=True
        )
        self.leases.drop(scope, set(keys) - kept)
        self.leases.note(scope, kept, since)
        return len(kept)

    async def renew_leases(self) -> int:
        """Prolong all claims that this worker carries out; returns how many there are."""
        return sum(
            [
                await self._prolong(scope, keys[start : start + _AT_ONCE])
                for scope, keys in self.leases.held().items()
                for start in range(0, len(keys), _AT_ONCE)
            ]
        )

    async def let_go(self, scope: str, key: str) -> None:
        """End the lease of an operation that this worker leaves unsettled: others need not wait for it.

        A journal that does not answer is not waited for. The lease is not renewed then, and ends by itself.
        """
        self.leases.drop(scope, [key])
        query = (
            operations.update()
            .where(operations.c.scope == scope, operations.c.key == key)
            .where(operations.c.worker == self.worker, operations.c.state.in_(UNSETTLED))
            .values(lease_until=self._clock())
        )

        ending = asyncio.create_task(
            self._database.write(lambda connection: connection.execute(query), alone=True, patient=False)
        )
        ending.add_done_callback(_retrieved)
        try:
            await asyncio.wait({ending}, timeout=_LET_GO_SECONDS)
        finally:
            ending.cancel()

    async def operation(self, scope: str, key: str) -> Operation | None:
        """The row of an operation, or None."""
        return await self._database.read(
            lambda connection: self._statements.operation(connection, scope, key)
        )

    async def unsettled(self, scope: str) -> list[Operation]:
        """Operations that were intended and did not end, the oldest first."""
        return await self._all(
            operations.select()
            .where(operations.c.scope == scope, operations.c.state.in_(UNSETTLED))
            .order_by(operations.c.intended_at),
            operation_of,
        )

    async def operations_of(self, scope: str, kind: str) -> list[Operation]:
        """All operations of a kind, the latest first; for kinds of which there are few."""
        return await self._all(
            operations.select()
            .where(operations.c.scope == scope, operations.c.kind == kind)
            .order_by(operations.c.updated_at.desc()),
            operation_of,
        )

    async def operations_marked(self, scope: str, key_start: str) -> list[Operation]:
        """Operations whose key begins like this; names of files hold only the beginning of a key."""
        return await self._all(
            operations.select().where(
                operations.c.scope == scope, operations.c.key.startswith(key_start, autoescape=True)
            ),
            operation_of,
        )

    def is_held(self, operation: Operation) -> bool:
        """Whether an unsettled operation belongs to a living worker, this one included."""
        if operation.state not in UNSETTLED:
            return False
        is_leased = self._clock() < operation.lease_until
        return operation.worker == self.worker or (is_leased and not self._presence.is_dead(operation.worker))

    # --- the ledger of resources -----------------------------------------------------------------------

    async def live_resources(
        self, scope: str, *, owner: str | None = None, kind: str | None = None, parts: bool = False
    ) -> list[Resource]:
        """Resources that are not known to be deleted, oldest first; of one owner or kind if named.

        Args:
            scope: the service.
            owner: for whom they were made.
            kind: their kind.
            parts: also those of the owner's parts, such as `papers/a.txt` of `papers`.
        """
        query = resources.select().where(resources.c.scope == scope, resources.c.state == "live")
        if owner is not None:
            # Cut and compared, not LIKE: there SQLite does not tell upper case from lower case.
            start = f"{owner}/"
            is_part = sa.func.substr(resources.c.owner, 1, len(start)) == start
            is_own = resources.c.owner == owner
            query = query.where(sa.or_(is_own, is_part) if parts else is_own)
        if kind is not None:
            query = query.where(resources.c.kind == kind)
        return await self._all(query.order_by(resources.c.created_at), resource_of)

    async def resource_states(self, scope: str, kind: str, remote_ids: Sequence[str]) -> dict[str, str]:
        """What the ledger says of these resources: `live`, `deleted`, or nothing."""
        return await self._of_resources(resources.c.state, scope, kind, remote_ids)

    async def names(self, scope: str, kind: str, remote_ids: Sequence[str]) -> dict[str, str]:
        """The names that people know resources by (a file's own name), as far as the ledger has them."""
        return await self._of_resources(resources.c.name, scope, kind, remote_ids)

    async def _of_resources(
        self, column: sa.Column[str], scope: str, kind: str, remote_ids: Sequence[str]
    ) -> dict[str, str]:
        query = sa.select(resources.c.remote_id, column).where(
            resources.c.scope == scope, resources.c.kind == kind, resources.c.remote_id.in_(remote_ids)
        )
        return await self._database.read(
            lambda connection: {row[0]: row[1] for row in connection.execute(query)}
        )

    async def mark_deleted(self, scope: str, kind: str, remote_id: str) -> None:
        """Commit that a resource is gone; the operation that made it is released in the same transaction.

        Turns stay done: their conversation is gone, their result is not.
        """
        now = self._clock()
        where = (
            resources.c.scope == scope, resources.c.kind == kind, resources.c.remote_id == remote_id,
        )  # fmt: skip

        def work(connection: sa.Connection) -> None:
            gone = connection.execute(
                resources.update()
                .where(*where, resources.c.state != "deleted")
                .values(state="deleted", deleted_at=now)
            )
            if not gone.rowcount:
                return  # known already; what made it may have made another one since
            makers = sa.select(resources.c.operation_key).where(*where)
            connection.execute(
                operations.update()
                .where(operations.c.scope == scope, operations.c.key.in_(makers))
                .where(operations.c.state == OperationState.DONE, operations.c.kind != "turn")
                .values(state=OperationState.RELEASED, updated_at=now)
            )

        await self._database.write(work)

    # --- documents -------------------------------------------------------------------------------------

    async def get_document(self, scope: str, batch: str, name: str) -> DocumentRecord | None:
        """The latest outcome of a document of a batch, or None."""
        found = await self._all(documents.select().where(*_document_key(scope, batch, name)), document_of)
        return found[0] if found else None

    async def documents_since(
        self, scope: str, batch: str, names: Collection[str], since: float
    ) -> list[DocumentRecord]:
        """Those of the named documents whose outcome was committed at `since` or later."""
        return await self._all(
            documents.select().where(
                documents.c.scope == scope,
                documents.c.batch == batch,
                documents.c.name.in_(names),
                documents.c.updated_at >= since,
            ),
            document_of,
        )

    async def put_document(
        self, scope: str, batch: str, record: DocumentRecord, *, held: str | None = None
    ) -> None:
        """Commit a document's outcome in place of the one before.

        Args:
            scope: the service.
            batch: the batch.
            record: the outcome.
            held: the key of an operation or claim that this worker must still hold; None: of none.

        Raises:
            LeaseLostError: another worker has taken it over; nothing is committed.
        """
        values = {
            "content_hash": record.content_hash, "fingerprint": record.fingerprint, "status": record.status,
            "body": record.body, "updated_at": self._clock(),
        }  # fmt: skip
        key = {"scope": scope, "batch": batch, "name": record.name}

        def work(connection: sa.Connection) -> None:
            if held is not None:
                self._statements.require_held(connection, scope, held, self.worker)
            if not self._statements.insert_new(connection, documents, key | values):
                where = _document_key(scope, batch, record.name)
                connection.execute(documents.update().where(*where).values(values))

        await self._database.write(work)

    async def drop_document(self, scope: str, batch: str, name: str) -> None:
        """Forget a document that is no longer part of its batch."""
        query = documents.delete().where(*_document_key(scope, batch, name))
        await self._database.write(lambda connection: connection.execute(query), alone=True)

    async def documents(
        self, scope: str, batch: str, *, page_size: int = 500
    ) -> AsyncIterator[DocumentRecord]:
        """The documents of a batch by name, read in pages so that memory does not grow with their number."""
        after = ""
        by_name = self._statements.by_name(documents.c.name)
        while True:
            page = await self._all(
                documents.select()
                .where(documents.c.scope == scope, documents.c.batch == batch, by_name > after)
                .order_by(by_name)
                .limit(page_size),
                document_of,
            )
            for record in page:
                yield record
            if len(page) < page_size:
                return
            after = page[-1].name

    async def document_counts(self, scope: str, batch: str) -> dict[str, int]:
        """How many documents of a batch are in which status."""
        query = (
            sa.select(documents.c.status, sa.func.count().label("documents"))
            .where(documents.c.scope == scope, documents.c.batch == batch)
            .group_by(documents.c.status)
        )
        return await self._database.read(
            lambda connection: {row.status: row.documents for row in connection.execute(query)}
        )

    async def _all(self, query: sa.Select[Any], record: Callable[[RowMapping], T]) -> list[T]:
        return await self._database.read(
            lambda connection: [record(row) for row in connection.execute(query).mappings()]
        )

    # --- inside a transaction --------------------------------------------------------------------------

    def _change(
        self,
        connection: sa.Connection,
        scope: str,
        key: str,
        changes: dict[str, Any],
    ) -> None:
        """Change an operation of this worker that has not ended. Raises LeaseLostError if it is not that."""
        values = self._values(changes)
        if not self._statements.change_held(connection, scope, key, self.worker, values):
            self._require_committed(connection, scope, key, changes)

    def _require_committed(
        self, connection: sa.Connection, scope: str, key: str, changes: dict[str, Any]
    ) -> None:
        """Raises LeaseLostError unless this worker has committed this end before, and the answer to that was
        lost."""
        found = self._statements.locked_operation(connection, scope, key)
        ended = changes.get("state") in (OperationState.DONE, OperationState.FAILED)
        same = (found.worker, found.state, found.result) == (
            self.worker,
            changes.get("state"),
            changes.get("result"),
        )
        if not (ended and same):
            raise _lost(key)

    def _values(self, changes: dict[str, Any]) -> dict[str, Any]:
        return {**changes, "worker": self.worker, "updated_at": self._clock()}

    def _made(self, scope: str, key: str, new_resources: Sequence[NewResource]) -> list[dict[str, Any]]:
        now = self._clock()
        return [
            {
                "scope": scope, "kind": new.kind, "remote_id": new.remote_id, "operation_key": key,
                "owner": new.owner, "name": new.name[:500], "state": "live", "created_at": now,
                "expires_at": now + new.time_to_live, "deleted_at": None,
            }
            for new in new_resources
        ]  # fmt: skip


def _retrieved(task: asyncio.Task[Any]) -> None:
    """Look at a task's error, so that one that nobody waits for any more is not complained of."""
    if not task.cancelled():
        task.exception()


def _lost(key: str) -> LeaseLostError:
    return LeaseLostError(
        f"Another worker has taken over operation {key}; this worker's outcome is not committed. "
        "It was silent for longer than its lease."
    )


def _document_key(scope: str, batch: str, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return documents.c.scope == scope, documents.c.batch == batch, documents.c.name == name
