"""The ledger: what was made on the service, for whom, and until when it may live."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from agent_tasks.journal.database import Database
from agent_tasks.journal.records import OperationState, Resource
from agent_tasks.journal.rows import resource_of
from agent_tasks.journal.schema import operations, resources
from agent_tasks.journal.workers import Worker

__all__ = ["Resources"]


class Resources:
    """The ledger of resources; reached as `Journal.resources`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker
        one_of = database.statements.one_of
        self._gone = (
            resources.update()
            .where(
                resources.c.scope == sa.bindparam("its_scope"), resources.c.kind == sa.bindparam("its_kind")
            )
            .where(one_of(resources.c.remote_id, "ids"), resources.c.state != "deleted")
            .values(state="deleted", deleted_at=sa.bindparam("new_time"))
            .returning(resources.c.operation_key)
        )
        self._released = (
            operations.update()
            .where(operations.c.scope == sa.bindparam("its_scope"), one_of(operations.c.key, "keys"))
            .where(operations.c.state == OperationState.DONE, operations.c.kind != "turn")
            .values(state=OperationState.RELEASED, updated_at=sa.bindparam("new_time"))
        )

    async def live(
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
        return await self._database.rows(query.order_by(resources.c.created_at), resource_of)

    async def live_of(self, scope: str, owners: Collection[str]) -> list[Resource]:
        """Resources of these owners, not of their parts, that are not known to be deleted; oldest first."""
        query = resources.select().where(
            resources.c.scope == scope, resources.c.state == "live", resources.c.owner.in_(owners)
        )
        return await self._database.rows(query.order_by(resources.c.created_at), resource_of)

    async def states(self, scope: str, kind: str, remote_ids: Sequence[str]) -> dict[str, str]:
        """What the ledger says of these resources: `live`, `deleted`, or nothing."""
        return await self._column(resources.c.state, scope, kind, remote_ids)

    async def names(self, scope: str, kind: str, remote_ids: Sequence[str]) -> dict[str, str]:
        """The names that people know resources by (a file's own name), as far as the ledger has them."""
        return await self._column(resources.c.name, scope, kind, remote_ids)

    async def _column(
        self, column: sa.Column[str], scope: str, kind: str, remote_ids: Sequence[str]
    ) -> dict[str, str]:
        query = sa.select(resources.c.remote_id, column).where(
            resources.c.scope == scope, resources.c.kind == kind, resources.c.remote_id.in_(remote_ids)
        )
        return await self._database.read(
            lambda connection: {row[0]: row[1] for row in connection.execute(query)}
        )

    async def mark_deleted(self, scope: str, kind: str, *remote_ids: str) -> None:
        """Commit that resources are gone; the operations that made them are released in the same transaction.

        Turns stay done: their conversation is gone, their result is not.
        """
        statements, now = self._database.statements, self._worker.clock()
        given = {"its_scope": scope, "its_kind": kind, "ids": list(remote_ids), "new_time": now}

        def work(connection: sa.Connection) -> None:
            makers = [
                row["operation_key"] for row in statements.carry_out(connection, self._gone, given).rows
            ]
            # What was known already has no makers here: they may have made another one since.
            statements.carry_out(
                connection, self._released, {"its_scope": scope, "keys": makers, "new_time": now}
            )

        await self._database.write(work)
