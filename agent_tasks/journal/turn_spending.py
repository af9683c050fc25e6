"""What the turns of an owner have cost, or may cost, summed in the journal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.database import Database
from agent_tasks.journal.records import UNSETTLED, OperationState
from agent_tasks.journal.schema import operations
from agent_tasks.journal.workers import Worker

__all__ = ["SpentTokens", "TurnSpending"]

_COUNTS = ("prompt_tokens", "cached_tokens", "completion_tokens")


@dataclass(frozen=True)
class SpentTokens:
    """Tokens of the turns of one model."""

    model: str
    """The model deployment; empty where the turns do not say which it was."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


class TurnSpending:
    """Sums over the turns of an owner; reached as `Journal.turn_spending`.

    A turn that has ended counts with what it cost. One whose outcome is not known counts with what was
    reserved for it (`reserved` in its fingerprint), and with what its attempts before have cost.
    """

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    def now(self) -> float:
        """Seconds since the epoch, by the clock that the rows have their times of."""
        return self._worker.clock()

    async def of(
        self, scope: str, owner: str, *, since: float, own_since: float, under_way: Collection[str] = ()
    ) -> list[SpentTokens]:
        """Sum the turns of an owner and its parts, by model.

        Args:
            scope: the service.
            owner: whose.
            since: turns that were last changed before are left out (seconds since the epoch).
            own_since: turns that this worker has finished since then are left out: it counts them itself.
            under_way: keys of turns that are left out: this worker carries them out, and has them reserved.
        """
        turns = operations.c
        is_done = turns.state == OperationState.DONE
        whose = turns.fingerprint["owner"].as_string()
        start = f"{owner}/"
        rows = (
            sa.select(
                sa.func.coalesce(turns.fingerprint["model"].as_string(), "").label("model"),
                *(_count(name, is_done).label(name) for name in _COUNTS),
            )
            .where(turns.scope == scope, turns.kind == "turn", turns.updated_at >= since)
            .where(sa.or_(whose == owner, sa.func.substr(whose, 1, len(start)) == start))
            .where(
                sa.not_(sa.and_(is_done, turns.worker == self._worker.name, turns.updated_at >= own_since))
            )
            .where(turns.key.not_in(under_way))
            .subquery()
        )
        query = sa.select(
            rows.c.model, *(sa.func.sum(rows.c[name]).label(name) for name in _COUNTS)
        ).group_by(rows.c.model)
        return await self._database.read(
            lambda connection: [_spent(row) for row in connection.execute(query).mappings()]
        )


def _count(name: str, is_done: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """One of the counts of a turn."""
    turns = operations.c

    def told(column: Any, place: str) -> sa.ColumnElement[int]:
        return sa.func.coalesce(column[(place, name)].as_integer(), 0)

    reserved = sa.case((turns.state.in_(UNSETTLED), told(turns.fingerprint, "reserved")), else_=0)
    return sa.case((is_done, told(turns.result, "usage")), else_=told(turns.remote, "usage") + reserved)


def _spent(row: Any) -> SpentTokens:
    return SpentTokens(row["model"], *(int(row[name] or 0) for name in _COUNTS))
