"""What several parts of the journal do inside a transaction, in the words of each kind of database.

Statements are made once and kept: making one costs more than SQLite takes to carry it out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal.bodies import Row
from agent_tasks.journal.plain import Outcome, Plain, PostgresqlPlain, Single, SqlitePlain
from agent_tasks.journal.records import UNSETTLED, Operation, Taking, ToolCallState
from agent_tasks.journal.rows import operation_of
from agent_tasks.journal.schema import leases, operations, resources, tool_calls

T = TypeVar("T")
Work: TypeAlias = Callable[[sa.Connection], T]
"""What is done on a connection, in its transaction."""

_HERE = (operations.c.scope == sa.bindparam("its_scope"), operations.c.key == sa.bindparam("its_key"))
# Not `in_`, whose list is put into the statement's text anew each time.
IS_UNSETTLED = sa.or_(*(operations.c.state == state for state in UNSETTLED))
"""Whether an operation has not ended."""
_HELD = (operations.c.worker == sa.bindparam("its_worker"), IS_UNSETTLED)
_OPERATION = operations.select().where(*_HERE)
_LOCKED_OPERATION = _OPERATION.with_for_update()
LOCKED_LEASE = (
    leases.select()
    .where(leases.c.scope == sa.bindparam("its_scope"), leases.c.key == sa.bindparam("its_key"))
    .with_for_update()
)
"""A lease, which stays as it is until the transaction ends."""


_INTERRUPT = (
    tool_calls.update()
    .where(tool_calls.c.scope == sa.bindparam("its_scope"))
    .where(tool_calls.c.operation_key == sa.bindparam("its_key"))
    .where(tool_calls.c.state == ToolCallState.STARTED)
    .values(state=ToolCallState.UNKNOWN, finished_at=sa.bindparam("new_time"))
)


_TAKE = (
    resources.update()
    .where(resources.c.scope == sa.bindparam("its_scope"), resources.c.kind == sa.bindparam("taken_kind"))
    .where(resources.c.remote_id == sa.bindparam("taken_id"))
    .where(resources.c.operation_key == sa.bindparam("taken_from"), resources.c.state == "live")
    .values(
        operation_key=sa.bindparam("its_key"),
        owner=sa.bindparam("taken_owner"),
        name=sa.bindparam("taken_name"),
        expires_at=sa.bindparam("taken_until"),
    )
)
"""Let an operation have what another one made ahead, unless somebody has taken or deleted it."""


def _taken(values: Mapping[str, Any], taking: Taking) -> dict[str, Any]:
    return {
        "its_scope": values["scope"], "its_key": values["key"],
        "taken_kind": taking.spare.kind, "taken_id": taking.spare.remote_id,
        "taken_from": taking.spare.maker, "taken_owner": taking.owner, "taken_name": taking.name[:500],
        "taken_until": values["intended_at"] + taking.time_to_live,
    }  # fmt: skip


@cache
def _change(columns: tuple[str, ...]) -> sa.Update:
    """Change columns of an operation."""
    return operations.update().where(*_HERE).values({name: sa.bindparam(f"new_{name}") for name in columns})


@cache
def _change_held(columns: tuple[str, ...]) -> sa.Update:
    """Change columns of an operation that has not ended and is a worker's."""
    return _change(columns).where(*_HELD)


class Statements:
    """What both kinds of database do alike, in SQLite's words where they differ.

    Args:
        address: The database, fit for messages.
    """

    plain: type[Plain] = SqlitePlain
    """How statements are given to the driver."""
    insert: Callable[[sa.Table], Any] = staticmethod(sqlite.insert)

    @staticmethod
    def one_of(column: sa.Column[str], name: str) -> sa.ColumnElement[bool]:
        """Whether a column has one of the values of a list that is given by this name.

        Not `in_`, whose list is put into the statement's text anew each time.
        """
        listed = sa.func.json_each(sa.bindparam(name, type_=sa.JSON)).table_valued("value")
        return column.in_(sa.select(listed.c.value))

    def __init__(self, address: str) -> None:
        self._address = address
        self._insert_new = cache(lambda table: self.insert(table).on_conflict_do_nothing())
        self._put = cache(self._putting)
        self._plain = cache(self.plain)

    def carry_out(self, connection: sa.Connection, statement: Any, given: Mapping[str, Any]) -> Outcome:
        """Carry out a statement that was made once, without SQLAlchemy's part in that."""
        names = tuple(given) if isinstance(statement, sa.Insert) else ()
        return self._plain(statement, names, connection.dialect).execute(connection, given)

    def insert_new(self, connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless there is one with its key; returns whether it was inserted.

        On PostgreSQL this waits for another worker's transaction that inserts the same key, so that a read
        afterwards finds the row.
        """
        return self.carry_out(connection, self._insert_new(table), values).rowcount > 0

    def put(self, connection: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> None:
        """Insert a row, or put it in place of the one with its key."""
        self.carry_out(connection, self._put(table), values)

    def put_held(self, table: sa.Table, values: Mapping[str, Any], lease: str, worker: str) -> Work[bool]:
        """Do the same if a lease of the row's scope is this worker's; one statement on a server.

        Returns:
            What does it. It gives False, and nothing is changed, if it is not.
        """
        given = {"its_scope": values["scope"], "its_key": lease}

        def work(connection: sa.Connection) -> bool:
            rows = self.carry_out(connection, LOCKED_LEASE, given).rows
            if not rows or rows[0]["worker"] != worker:
                return False
            self.put(connection, table, values)
            return True

        return work

    def _putting(self, table: sa.Table) -> Any:
        insert = self.insert(table)
        key = [column.name for column in table.primary_key]
        others = {column.name: insert.excluded[column.name] for column in table.c if not column.primary_key}
        return insert.on_conflict_do_update(index_elements=key, set_=others)

    def operation(self, connection: sa.Connection, scope: str, key: str) -> Operation | None:
        """The row of an operation, or None."""
        rows = self.carry_out(connection, _OPERATION, {"its_scope": scope, "its_key": key}).rows
        return operation_of(rows[0], self._address) if rows else None

    def locked_operation(self, connection: sa.Connection, scope: str, key: str) -> Operation:
        """The row of an operation, which stays as it is until the transaction ends.

        Raises:
            LeaseLostError: there is none.
        """
        rows = self.carry_out(connection, _LOCKED_OPERATION, {"its_scope": scope, "its_key": key}).rows
        if not rows:
            raise LeaseLostError(
                f"Operation {key} is no longer in the journal, so its outcome can't be committed. "
                "Was the journal replaced while this worker ran?"
            )
        return operation_of(rows[0], self._address)

    def require_held(self, connection: sa.Connection, scope: str, key: str, worker: str) -> None:
        """Make sure that an operation is this worker's; it stays so until the transaction ends.

        Raises:
            LeaseLostError: it is not.
        """
        rows = self.carry_out(connection, _LOCKED_OPERATION, {"its_scope": scope, "its_key": key}).rows
        if not rows or rows[0]["worker"] != worker:
            raise LeaseLostError(
                f"Another worker has taken over {key}; what this one did is not committed. "
                "It was silent for longer than its lease."
            )

    def insert_or_read(
        self, values: Mapping[str, Any], taking: Taking | None = None
    ) -> Work[tuple[bool, Operation] | None]:
        """Insert an operation unless there is one; one statement on a server.

        Args:
            values: its row.
            taking: what it takes if it is new. It has those remote ids then if it could take it.

        Returns:
            What does it. It gives whether it was inserted, and the row; None if another worker inserts it in
            this very moment.
        """
        with_it = values if taking is None else {**values, "remote": taking.remote}

        def work(connection: sa.Connection) -> tuple[bool, Operation] | None:
            # Most are new: then one statement is enough here too.
            if self.insert_new(connection, operations, with_it):
                if taking is None or self.carry_out(connection, _TAKE, _taken(values, taking)).rowcount:
                    return True, operation_of(dict(with_it), self._address)
                self.change(connection, values["scope"], values["key"], {"remote": values["remote"]})
                return True, operation_of(dict(values), self._address)
            found = self.operation(connection, values["scope"], values["key"])
            return (False, found) if found is not None else None

        return work

    def interrupt_calls(self, connection: sa.Connection, scope: str, key: str, now: float) -> None:
        """Commit, of a turn that has ended, that its open calls will never be asked about again."""
        self.carry_out(connection, _INTERRUPT, {"its_scope": scope, "its_key": key, "new_time": now})

    def change(self, connection: sa.Connection, scope: str, key: str, values: Mapping[str, Any]) -> None:
        """Change an operation, whoever holds it."""
        given = {"its_scope": scope, "its_key": key, **{f"new_{name}": one for name, one in values.items()}}
        self.carry_out(connection, _change(tuple(values)), given)

    def change_held(
        self,
        scope: str,
        key: str,
        worker: str,
        values: Mapping[str, Any],
        made: Sequence[Mapping[str, Any]] = (),
    ) -> Work[bool]:
        """Change an operation that has not ended and is this worker's; one statement on a server.

        What it has made is put into the ledger.

        Returns:
            What does it. It gives False, and nothing is changed, if it is not this worker's.
        """
        given = {
            "its_scope": scope, "its_key": key, "its_worker": worker,
            **{f"new_{name}": one for name, one in values.items()},
        }  # fmt: skip

        def work(connection: sa.Connection) -> bool:
            if not self.carry_out(connection, _change_held(tuple(values)), given).rowcount:
                return False
            for one in made:
                self.insert_new(connection, resources, one)
            return True

        return work


@cache
def _insert_or_read(columns: tuple[str, ...]) -> sa.CompoundSelect[Any]:
    given: dict[str, sa.BindParameter[Any]] = {name: sa.bindparam(f"new_{name}") for name in columns}
    return _or_read(postgresql.insert(operations).values(given))


@cache
def _insert_taking_or_read(columns: tuple[str, ...]) -> sa.CompoundSelect[Any]:
    is_there = sa.exists(sa.select(operations.c.key).where(*_HERE))
    taken = _TAKE.where(~is_there).returning(resources.c.remote_id).cte("taken")
    given: dict[str, sa.ColumnElement[Any]] = {
        name: sa.bindparam(f"new_{name}", type_=operations.c[name].type) for name in columns
    }
    with_it = sa.bindparam("taken_remote", type_=operations.c.remote.type)
    given["remote"] = sa.case((sa.exists(sa.select(taken.c.remote_id)), with_it), else_=given["remote"])
    return _or_read(postgresql.insert(operations).from_select(list(given), sa.select(*given.values())))


def _or_read(insert: postgresql.Insert) -> sa.CompoundSelect[Any]:
    inserted = insert.on_conflict_do_nothing().returning(*operations.c).cte("inserted")
    return sa.union_all(
        sa.select(sa.true().label("is_new"), *inserted.c),
        sa.select(sa.false(), *operations.c).where(*_HERE),
    )


@cache
def _change_held_and_own(columns: tuple[str, ...], made: int) -> sa.Select[Any]:
    return _owning(_change_held(columns).returning(operations.c.key), made)


def _owning(change: Any, made: int) -> sa.Select[Any]:
    """A change of an operation that gives back its row, and with it `made` rows of the ledger."""
    changed = change.cte("changed")
    answer = sa.select(*changed.c)
    for number in range(made):
        row = sa.select(
            *(sa.bindparam(f"made_{number}_{column.name}", type_=column.type) for column in resources.c)
        ).where(sa.exists(sa.select(changed.c.key)))
        insert = postgresql.insert(resources).from_select([column.name for column in resources.c], row)
        answer = answer.add_cte(insert.on_conflict_do_nothing().cte(f"made_{number}"))
    return answer


def _named(made: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"made_{number}_{column.name}": one.get(column.name)
        for number, one in enumerate(made)
        for column in resources.c
    }


@cache
def _put_held(table: sa.Table, columns: tuple[str, ...]) -> sa.Select[Any]:
    held = (
        sa.select(leases.c.key)
        .where(leases.c.scope == sa.bindparam("its_scope"), leases.c.key == sa.bindparam("its_key"))
        .where(leases.c.worker == sa.bindparam("its_worker"))
        .with_for_update()
        .cte("held")
    )
    row = sa.select(*(sa.bindparam(f"new_{name}", type_=table.c[name].type) for name in columns))
    insert = postgresql.insert(table).from_select(columns, row.where(sa.exists(sa.select(held.c.key))))
    key = [column.name for column in table.primary_key]
    others = {name: insert.excluded[name] for name in columns if name not in key}
    put = insert.on_conflict_do_update(index_elements=key, set_=others)
    return sa.select(put.returning(table.c.scope).cte("put").c.scope)


class PostgresqlStatements(Statements):
    """PostgreSQL's words: several statements in one."""

    plain = PostgresqlPlain
    insert = staticmethod(postgresql.insert)

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self._plain_of_single = cache(PostgresqlPlain)

    @staticmethod
    def one_of(column: sa.Column[str], name: str) -> sa.ColumnElement[bool]:
        """See `Statements`."""
        return column == sa.any_(sa.bindparam(name, type_=postgresql.ARRAY(sa.Text)))

    def put_held(self, table: sa.Table, values: Mapping[str, Any], lease: str, worker: str) -> Work[bool]:
        """See `Statements`."""
        given = {
            "its_scope": values["scope"], "its_key": lease, "its_worker": worker,
            **{f"new_{name}": one for name, one in values.items()},
        }  # fmt: skip
        return self._single(_put_held(table, tuple(values)), given, bool)

    def insert_or_read(
        self, values: Mapping[str, Any], taking: Taking | None = None
    ) -> Work[tuple[bool, Operation] | None]:
        """See `Statements`. Of two workers that insert the same key at once each may take something."""
        given = {"its_scope": values["scope"], "its_key": values["key"]}
        given |= {f"new_{name}": one for name, one in values.items()}
        statement: sa.CompoundSelect[Any] = _insert_or_read(tuple(values))
        if taking is not None:
            given |= {**_taken(values, taking), "taken_remote": taking.remote}
            statement = _insert_taking_or_read(tuple(values))
        return self._single(statement, given, self._inserted_or_read)

    def _inserted_or_read(self, rows: Sequence[Row]) -> tuple[bool, Operation] | None:
        return (rows[0]["is_new"], operation_of(rows[0], self._address)) if rows else None

    def change_held(
        self,
        scope: str,
        key: str,
        worker: str,
        values: Mapping[str, Any],
        made: Sequence[Mapping[str, Any]] = (),
    ) -> Work[bool]:
        """See `Statements`."""
        given = {
            "its_scope": scope, "its_key": key, "its_worker": worker,
            **{f"new_{name}": one for name, one in values.items()},
            **_named(made),
        }  # fmt: skip
        return self._single(_change_held_and_own(tuple(values), len(made)), given, bool)

    def _single(
        self, statement: Any, given: Mapping[str, Any], read: Callable[[Sequence[Row]], T]
    ) -> Single[T]:
        return Single(partial(self._plain_of_single, statement, ()), given, read)
