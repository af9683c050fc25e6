"""Whatever workers, crashes and clocks do, in any order, the journal keeps its promises.

Promises: an operation that is done stays done, with its first result, until it is released. No two workers
hold one, or a lease, at the same time. Who lost an operation commits nothing. Attempts only grow, so no two
attempts share a mark. A tool call begins once, and its first outcome is its only one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import tempfile
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from agent_tasks.errors import LeaseLostError
from agent_tasks.journal import (
    Claim,
    DocumentRecord,
    Journal,
    LeaseKind,
    NewLease,
    NewResource,
    OperationState,
    ToolCallState,
)
from tests.journal.conftest import Clock
from tests.support.postgresql import PostgresServer

_Result = TypeVar("_Result")

SCOPE = "s"
WORKERS = st.integers(0, 2)
KEYS = st.sampled_from(["a", "b"])
LEASES = {key: NewLease(key, LeaseKind.DOCUMENT, "batch", f"{key}.txt") for key in ("a", "b")}
CALLS = st.sampled_from(["call_1", "call_2"])
LEASE = 60.0
OPEN = (OperationState.INTENDED, OperationState.ATTACHED)


@dataclass
class Model:
    """What an operation must look like."""

    state: OperationState
    worker: str
    lease_until: float
    attempt: int = 1
    result: Any = None
    remote: dict[str, Any] = field(default_factory=dict)


@dataclass
class Held:
    """What a lease must look like."""

    worker: str
    lease_until: float


class JournalMachine(RuleBasedStateMachine):
    """Three workers on one journal, and the model of it."""

    new_address: ClassVar[Any] = None
    """Makes an empty database; returns its address."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.numbers = itertools.count(1)
        self.model: dict[str, Model] = {}
        self.calls: dict[str, tuple[ToolCallState, str | None]] = {}
        self.dead: set[str] = set()
        self.leases: dict[str, Held] = {}
        self.live: dict[str, str] = {}
        """Live resources, and the key of the operation that made each."""

    def do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self.loop.run_until_complete(work)

    @initialize()
    def open(self) -> None:
        self.address = self.do(type(self).new_address())
        self.workers = [self.start() for _ in range(3)]

    def start(self) -> Journal:
        journal = Journal(self.address, lease_seconds=LEASE, clock=self.clock)
        return self.do(journal.__aenter__())

    # --- what may happen -------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE + 1]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(worker=WORKERS)
    def renews(self, worker: int) -> None:
        journal = self.workers[worker]
        held = [op for op in self.model.values() if op.state in OPEN and op.worker == journal.worker]
        leases = [lease for lease in self.leases.values() if lease.worker == journal.worker]
        assert self.do(journal.renew_leases()) == len(held) + len(leases)
        for one in (*held, *leases):
            one.lease_until = self.clock.now + LEASE

    @rule(worker=WORKERS)
    def is_killed_and_started_again(self, worker: int) -> None:
        journal = self.workers[worker]
        presence = journal._presence
        assert presence._descriptor is not None
        os.close(presence._descriptor)  # as the kernel does when a process dies
        presence._descriptor = None
        self.do(journal._database.close())
        self.dead.add(journal.worker)
        self.workers[worker] = self.start()

    @rule(worker=WORKERS)
    def leaves_in_good_order(self, worker: int) -> None:
        journal = self.workers[worker]
        self.do(journal.__aexit__(None, None, None))
        for operation in self.model.values():
            if operation.state in OPEN and operation.worker == journal.worker:
                operation.lease_until = self.clock.now
        for lease in self.leases.values():
            if lease.worker == journal.worker:
                lease.lease_until = self.clock.now
        self.workers[worker] = self.start()

    @rule(worker=WORKERS, key=KEYS)
    def claims(self, worker: int, key: str) -> None:
        journal = self.workers[worker]
        claimed = self.do(journal.operations.claim(SCOPE, key, "agent", {}))
        known = self.model.get(key)
        if known is None:
            assert claimed.claim is Claim.FRESH
            self.model[key] = Model(OperationState.INTENDED, journal.worker, self.clock.now + LEASE)
        elif known.state is OperationState.DONE:
            assert claimed.claim is Claim.DONE
            assert claimed.operation.result == known.result
        elif known.state in OPEN:
            is_others = known.worker != journal.worker
            if is_others and self.clock.now < known.lease_until and known.worker not in self.dead:
                assert claimed.claim is Claim.BUSY
                assert claimed.operation.worker == known.worker
            else:
                assert claimed.claim is Claim.ORPHAN
                assert claimed.operation.remote == known.remote
                known.worker, known.lease_until = journal.worker, self.clock.now + LEASE
        else:
            assert claimed.claim is Claim.FRESH
            self.model[key] = Model(
                OperationState.INTENDED, journal.worker, self.clock.now + LEASE, known.attempt + 1
            )

    def commit(self, worker: int, key: str, work: Coroutine[Any, Any, object]) -> Model | None:
        """Commit something; returns the operation if this worker held it, else sees it refused."""
        known = self.model.get(key)
        journal = self.workers[worker]
        if known is not None and known.state in OPEN and known.worker == journal.worker:
            self.do(work)
            return known
        with pytest.raises(LeaseLostError):
            self.do(work)
        return None

    @rule(worker=WORKERS, key=KEYS)
    def attaches(self, worker: int, key: str) -> None:
        remote = {"id": f"r{next(self.numbers)}"}
        made = NewResource("agent", remote["id"], "owner", "n", 60)
        if known := self.commit(
            worker, key, self.workers[worker].operations.attach(SCOPE, key, remote, [made])
        ):
            known.state = OperationState.ATTACHED
            known.remote = remote
            self.live[remote["id"]] = key

    @rule(worker=WORKERS, key=KEYS)
    def finishes(self, worker: int, key: str) -> None:
        known = self.model.get(key)
        if known is not None and known.state not in OPEN and known.worker == self.workers[worker].worker:
            return  # the same end again is a lost answer, which `test_journal.py` looks at
        result = next(self.numbers)
        if known := self.commit(worker, key, self.workers[worker].operations.finish(SCOPE, key, result)):
            known.state, known.result = OperationState.DONE, result

    @rule(worker=WORKERS, key=KEYS)
    def fails(self, worker: int, key: str) -> None:
        known = self.model.get(key)
        if known is not None and known.state not in OPEN and known.worker == self.workers[worker].worker:
            return
        if known := self.commit(
            worker, key, self.workers[worker].operations.fail(SCOPE, key, ValueError("no"))
        ):
            known.state = OperationState.FAILED

    @rule(worker=WORKERS, key=KEYS)
    def tries_again(self, worker: int, key: str) -> None:
        if known := self.commit(worker, key, self.workers[worker].operations.next_attempt(SCOPE, key)):
            known.state, known.remote = OperationState.INTENDED, {}
            known.attempt += 1

    @rule(worker=WORKERS)
    def deletes_a_resource(self, worker: int) -> None:
        if not self.live:
            return
        remote_id, key = self.live.popitem()
        self.do(self.workers[worker].resources.mark_deleted(SCOPE, "agent", remote_id))
        if self.model[key].state is OperationState.DONE:
            self.model[key].state = OperationState.RELEASED

    def has_the_turn(self, worker: int) -> bool:
        """Whether the turn of the calls, operation `a`, is this worker's."""
        turn = self.model.get("a")
        return turn is not None and turn.worker == self.workers[worker].worker

    @rule(worker=WORKERS, call=CALLS)
    def begins_a_call(self, worker: int, call: str) -> None:
        work = self.workers[worker].calls.begin(SCOPE, "a", "run_1", call, "look_up", "h")
        if not self.has_the_turn(worker):
            with pytest.raises(LeaseLostError):
                self.do(work)
            return
        found = self.do(work)
        known = self.calls.get(call)
        if known is None:
            assert found is None
            self.calls[call] = (ToolCallState.STARTED, None)
        else:
            assert found is not None
            assert (found.state, found.output) == known

    @rule(worker=WORKERS, call=CALLS, state=st.sampled_from([ToolCallState.DONE, ToolCallState.UNKNOWN]))
    def finishes_a_call(self, worker: int, call: str, state: ToolCallState) -> None:
        output = f"output {next(self.numbers)}"
        work = self.workers[worker].calls.finish(SCOPE, "run_1", call, output, state=state)
        known = self.calls.get(call)
        if known is not None and known[0] is ToolCallState.STARTED and self.has_the_turn(worker):
            self.do(work)
            self.calls[call] = (state, output)
        else:
            with pytest.raises(LeaseLostError):
                self.do(work)

    def takes(self, worker: int, key: str) -> bool:
        """Whether a worker gets a lease, which it has then."""
        name, known = self.workers[worker].worker, self.leases.get(key)
        if (
            known is not None
            and known.worker not in (name, *self.dead)
            and self.clock.now < known.lease_until
        ):
            return False
        self.leases[key] = Held(name, self.clock.now + LEASE)
        return True

    @rule(worker=WORKERS, key=KEYS)
    def wants_a_lease(self, worker: int, key: str) -> None:
        hold = self.do(self.workers[worker].leases.hold(SCOPE, LEASES[key]))
        assert hold.is_mine == self.takes(worker, key)
        assert hold.lease.worker == self.leases[key].worker

    @rule(worker=WORKERS)
    def wants_all_leases(self, worker: int) -> None:
        taken = self.do(self.workers[worker].leases.take(SCOPE, list(LEASES.values())))
        assert taken == {key for key in LEASES if self.takes(worker, key)}

    @rule(worker=WORKERS, key=KEYS)
    def gives_a_lease_up(self, worker: int, key: str) -> None:
        self.do(self.workers[worker].leases.give_up(SCOPE, [key]))
        if key in self.leases and self.leases[key].worker == self.workers[worker].worker:
            del self.leases[key]

    @rule(worker=WORKERS, key=KEYS)
    def puts_a_document(self, worker: int, key: str) -> None:
        record = DocumentRecord(key, "h", "f", f"by {worker}")
        work = self.workers[worker].documents.put(SCOPE, "b", record, held=key)
        if key in self.leases and self.leases[key].worker == self.workers[worker].worker:
            self.do(work)
            assert self.do(self.workers[worker].documents.get(SCOPE, "b", key)) == record
        else:
            with pytest.raises(LeaseLostError):
                self.do(work)

    # --- what must be true all the time ----------------------------------------------------------------

    @invariant()
    def the_journal_says_what_the_model_says(self) -> None:
        if not hasattr(self, "workers"):
            return
        journal = self.workers[0]
        for key, known in self.model.items():
            found = self.do(journal.operations.get(SCOPE, key))
            assert found is not None
            assert (found.state, found.worker, found.attempt) == (known.state, known.worker, known.attempt)
            if known.state is OperationState.DONE:
                assert found.result == known.result
        there = {
            lease.key: Held(lease.worker, lease.lease_until) for lease in self.do(journal.leases.of(SCOPE))
        }
        assert there == self.leases
        listed = self.do(journal.resources.live(SCOPE))
        assert {resource.remote_id for resource in listed} == set(self.live)

    def teardown(self) -> None:
        for journal in getattr(self, "workers", []):
            self.do(journal.__aexit__(None, None, None))
        self.loop.close()


def run(machine: type[JournalMachine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=40, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


@pytest.fixture
def sqlite_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[JournalMachine]]:
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()

        async def new_address() -> str:
            return f"sqlite+aiosqlite:///{Path(folder)}/{next(numbers)}/journal.db"

        monkeypatch.setattr(JournalMachine, "new_address", staticmethod(new_address))
        yield JournalMachine


@pytest.mark.timeout(300)
def test_any_interleaving_keeps_the_promises_on_sqlite(sqlite_machine: type[JournalMachine]) -> None:
    run(sqlite_machine, int(os.environ.get("AGENT_TASKS_JOURNAL_EXAMPLES", "25")))


@pytest.mark.timeout(300)
def test_any_interleaving_keeps_the_promises_on_postgresql(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JournalMachine, "new_address", staticmethod(postgresql.new_database))
    run(JournalMachine, int(os.environ.get("AGENT_TASKS_JOURNAL_EXAMPLES", "25")) // 4)
