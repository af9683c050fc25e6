"""What people are asked and what they decided: each question once, each decision once.

A time limit is over when its moment has passed, whether anything ran then or not: every method that changes
or lists questions commits first what the policies of passed limits say.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from agent_tasks.journal.bodies import as_written
from agent_tasks.journal.database import Database
from agent_tasks.journal.records import AtLimit, DecisionRecord, DecisionState, Question
from agent_tasks.journal.rows import decision_of
from agent_tasks.journal.schema import decisions, resources
from agent_tasks.journal.workers import Worker

__all__ = ["Decisions"]

_POLICIES = {
    AtLimit.APPROVE: DecisionState.APPROVED,
    AtLimit.REJECT: DecisionState.REJECTED,
    AtLimit.FAIL: DecisionState.EXPIRED,
}
"""What a question becomes when its time is over."""

_UNDECIDED = (DecisionState.WAITING, DecisionState.EXPIRED)
"""States in which another time limit counts: nobody has decided anything."""


class Decisions:
    """The questions to people; reached as `Journal.decisions`."""

    def __init__(self, database: Database, worker: Worker) -> None:
        self._database = database
        self._worker = worker

    async def ask(self, scope: str, question: Question, *, keep: float) -> DecisionRecord:
        """Commit that a person is asked, unless they were before, and that what waits for it is kept.

        One that was withdrawn is asked again. While nobody has decided, a changed time limit counts from when
        it was asked first.

        Args:
            scope: the service.
            question: what is asked.
            keep: seconds that the conversations of the owner and its parts may live at least from now on
                while the question waits.

        Returns:
            The question as it is now: waiting, or decided.
        """
        now = self._worker.clock()
        values = {
            "scope": scope, **asdict(question), "state": DecisionState.WAITING, "asked_at": now,
            "expires_at": _ends(now, question), **as_written(),
        }  # fmt: skip
        del values["time_limit"]

        def work(connection: sa.Connection) -> DecisionRecord:
            if not self._database.statements.insert_new(connection, decisions, values):
                self._ask_again(connection, scope, question, values, now)
            asked = self._locked(connection, scope, question.key)
            if asked is None:
                raise AssertionError("rows of decisions are never deleted")
            if asked.state is DecisionState.WAITING:
                _keep_conversations(connection, scope, asked.owner, now + keep)
            return asked

        return await self._database.write(work)

    def _ask_again(
        self, connection: sa.Connection, scope: str, question: Question, values: dict[str, Any], now: float
    ) -> None:
        _settle_passed(connection, scope, now, question.key)
        known = self._locked(connection, scope, question.key)
        if known is not None and known.state is DecisionState.WITHDRAWN:
            connection.execute(decisions.update().where(*_here(scope, question.key)).values(values))
        elif known is not None and known.state in _UNDECIDED:
            ends = _ends(known.asked_at, question)
            if (ends, question.at_limit) != (known.expires_at, known.at_limit):
                anew = {"state": DecisionState.WAITING, "decided_at": None, "taken_at": None}
                connection.execute(
                    decisions.update()
                    .where(*_here(scope, question.key))
                    .values(expires_at=ends, at_limit=question.at_limit, **anew)
                )
                _settle_passed(connection, scope, now, question.key)

    async def decide(
        self, scope: str, key: str, state: DecisionState, *, by: str, note: str | None = None
    ) -> tuple[DecisionRecord | None, bool]:
        """Commit a decision, if the question waits for one.

        Args:
            scope: the service.
            key: the question's key.
            state: APPROVED or REJECTED.
            by: who decides.
            note: what they say about it.

        Returns:
            The question as it is now (None: there is none), and whether this decision is the one that counts.
        """
        now = self._worker.clock()
        return await self._database.write(
            lambda connection: self.decide_within(connection, scope, key, state, by=by, note=note, now=now)
        )

    def decide_within(
        self,
        connection: sa.Connection,
        scope: str,
        key: str,
        state: DecisionState,
        *,
        by: str,
        note: str | None,
        now: float,
    ) -> tuple[DecisionRecord | None, bool]:
        """The same within a transaction, at the time `now`."""
        decided = {"state": state, "decided_at": now, "decided_by": by, "note": note, **as_written()}
        _settle_passed(connection, scope, now, key)
        changed = connection.execute(
            decisions.update()
            .where(*_here(scope, key), decisions.c.state == DecisionState.WAITING)
            .values(decided)
        )
        found = self._locked(connection, scope, key)
        # After a lost connection the decision may be this very one, committed unheard of.
        is_this = found is not None and (found.state, found.decided_at, found.decided_by) == (state, now, by)
        return found, changed.rowcount > 0 or is_this

    def withdraw_within(self, connection: sa.Connection, scope: str, keys: Collection[str]) -> None:
        """Ask these questions no more, as far as they wait, within a transaction."""
        connection.execute(
            decisions.update()
            .where(
                decisions.c.scope == scope,
                decisions.c.key.in_(keys),
                decisions.c.state == DecisionState.WAITING,
            )
            .values(state=DecisionState.WITHDRAWN)
        )

    def reopen_within(self, connection: sa.Connection, scope: str, keys: Collection[str]) -> bool:
        """Ask these questions again, within a transaction; False if a step has resumed with a decision."""
        query = sa.select(decisions.c.taken_at).where(decisions.c.scope == scope, decisions.c.key.in_(keys))
        if any(taken is not None for taken in connection.execute(query.with_for_update()).scalars()):
            return False
        connection.execute(
            decisions.update()
            .where(decisions.c.scope == scope, decisions.c.key.in_(keys))
            .values(state=DecisionState.WAITING, decided_at=None, decided_by=None, note=None)
        )
        return True

    async def take(self, scope: str, key: str) -> None:
        """Commit that the step that asked has resumed with the decision; the first time counts."""
        query = (
            decisions.update()
            .where(*_here(scope, key), decisions.c.taken_at.is_(None))
            .values(taken_at=self._worker.clock())
        )
        await self._database.write(lambda connection: connection.execute(query), alone=True)

    async def withdraw(
        self, scope: str, owner: str, *, keep: Collection[str] = (), parts: bool = False
    ) -> int:
        """Commit that an owner's questions that wait are no longer asked; returns how many those were.

        Args:
            scope: the service.
            owner: for whom they were asked.
            keep: keys of those that still are.
            parts: also those of the owner's parts.
        """
        query = (
            decisions.update()
            .where(decisions.c.scope == scope, decisions.c.state == DecisionState.WAITING)
            .where(_belongs(decisions.c.owner, owner, parts=parts), decisions.c.key.not_in(keep))
            .values(state=DecisionState.WITHDRAWN)
        )
        return await self._database.write(lambda connection: connection.execute(query).rowcount, alone=True)

    async def waiting(self, scope: str, keys: Collection[str]) -> set[str]:
        """Those of the questions that nobody has decided, and whose time is not over; nothing is changed."""
        query = sa.select(decisions.c.key).where(
            decisions.c.scope == scope,
            decisions.c.key.in_(keys),
            decisions.c.state == DecisionState.WAITING,
            sa.or_(decisions.c.expires_at.is_(None), decisions.c.expires_at > self._worker.clock()),
        )
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    async def open_owners(self, scope: str, owner: str) -> set[str]:
        """The owner and those of its parts that wait for a person, or whose decision was not taken yet.

        What is theirs is needed when the step resumes.
        """
        query = sa.select(decisions.c.owner).where(
            decisions.c.scope == scope,
            decisions.c.state != DecisionState.WITHDRAWN,
            decisions.c.taken_at.is_(None),
            _belongs(decisions.c.owner, owner, parts=True),
        )
        return await self._database.read(lambda connection: set(connection.execute(query).scalars()))

    async def of(
        self,
        scope: str,
        *,
        states: Collection[DecisionState] = (),
        key_start: str = "",
        is_taken: bool | None = None,
    ) -> list[DecisionRecord]:
        """The questions, the oldest first.

        Args:
            scope: the service.
            states: only those in one of these.
            key_start: only those whose key begins like this.
            is_taken: only those whose step has resumed with the decision, or only the others.
        """
        query = decisions.select().where(decisions.c.scope == scope)
        if is_taken is not None:
            query = query.where(decisions.c.taken_at.is_not(None) == is_taken)
        if states:
            query = query.where(decisions.c.state.in_(states))
        if key_start:
            query = query.where(sa.func.substr(decisions.c.key, 1, len(key_start)) == key_start)
        query = query.order_by(decisions.c.asked_at, decisions.c.key)
        now = self._worker.clock()
        address = self._database.address

        def work(connection: sa.Connection) -> list[DecisionRecord]:
            _settle_passed(connection, scope, now)
            return [decision_of(row, address) for row in connection.execute(query).mappings()]

        return await self._database.write(work)

    async def everywhere(self) -> list[DecisionRecord]:
        """What waits, or was decided and not taken yet, about whatever service; the oldest first.

        Nothing is changed: a passed time limit counts as passed when somebody works with its question.
        """
        query = decisions.select().where(
            decisions.c.state != DecisionState.WITHDRAWN, decisions.c.taken_at.is_(None)
        )
        return await self._database.rows(query.order_by(decisions.c.asked_at, decisions.c.key), decision_of)

    def _locked(self, connection: sa.Connection, scope: str, key: str) -> DecisionRecord | None:
        query = decisions.select().where(*_here(scope, key)).with_for_update()
        row = connection.execute(query).mappings().one_or_none()
        return decision_of(row, self._database.address) if row is not None else None


def _here(scope: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return decisions.c.scope == scope, decisions.c.key == key


def _ends(asked_at: float, question: Question) -> float | None:
    return None if question.time_limit is None else asked_at + question.time_limit


def _belongs(column: sa.Column[str], owner: str, *, parts: bool) -> sa.ColumnElement[bool]:
    """Whether it is the owner's, or (with `parts`) one of its parts'."""
    if not parts:
        return column == owner
    start = f"{owner}/"
    # Cut and compared, not LIKE: there SQLite does not tell upper case from lower case.
    return sa.or_(column == owner, sa.func.substr(column, 1, len(start)) == start)


def _settle_passed(connection: sa.Connection, scope: str, now: float, key: str | None = None) -> None:
    """Commit what the policies say of the questions whose time is over; of one, or of all."""
    passed = sa.select(decisions.c.key).where(
        decisions.c.scope == scope,
        decisions.c.state == DecisionState.WAITING,
        decisions.c.expires_at <= now,
        decisions.c.key == key if key is not None else sa.true(),
    )
    # Locked in one order, so that two workers who settle the same ones do not wait for each other.
    keys = connection.execute(passed.order_by(decisions.c.key).with_for_update()).scalars().all()
    if not keys:
        return
    connection.execute(
        decisions.update()
        .where(decisions.c.scope == scope, decisions.c.key.in_(keys))
        .values(
            state=sa.case(
                {policy.value: state.value for policy, state in _POLICIES.items()},
                value=decisions.c.at_limit,
                else_=DecisionState.EXPIRED.value,
            ),
            decided_at=decisions.c.expires_at,
        )
    )


def _keep_conversations(connection: sa.Connection, scope: str, owner: str, until: float) -> None:
    """Prolong the lives of an owner's conversations: a step that resumes continues them."""
    connection.execute(
        resources.update()
        .where(resources.c.scope == scope, resources.c.kind == "conversation", resources.c.state == "live")
        .where(_belongs(resources.c.owner, owner, parts=True), resources.c.expires_at < until)
        .values(expires_at=until)
    )
