"""Fixtures for all tests."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import httpx
import pytest
import uvicorn.server

from agent_tasks.testing import preload
from agents_emulator.models import ChatModel
from agents_emulator.models.scripted import ScriptedModel
from agents_emulator.service import ServiceConfig
from tests.support.answers import ANSWERS
from tests.support.azurite import azurite, queue_prefix
from tests.support.postgresql import postgresql, postgresql_address
from tests.support.prefect_server import recorded_at, serving_prefect
from tests.support.service import (
    HELLO,
    ProcessService,
    Rules,
    RunningService,
    start_in_thread,
    start_process,
    write_rules,
)

os.environ["AGENT_TASKS_KEEP_SERVERS"] = "0"  # nothing that a test starts outlives it
os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"  # a flow without `prefect_server` starts no other

# Modules and tests stay to the end: a collector that looks at them again and again takes a tenth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Leave what has been collected out of garbage collection, which goes on from here, less often."""
    gc.freeze()  # with what little garbage there is: to look for it takes a second in each process
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """End a process of `-n` without three looks for garbage: two seconds, of which nobody is told."""
    if hasattr(config, "workerinput"):
        gc.freeze()


# Tests make thousands of clients, nearly all for addresses without TLS; each would read all certificates.
httpx._transports.default.create_ssl_context = functools.cache(httpx.create_ssl_context)  # type: ignore[attr-defined]
# They ask the same few addresses, which httpx takes apart anew for each request.
httpx._urls.urlparse = functools.lru_cache(1000)(httpx._urls.urlparse)  # type: ignore[attr-defined]
# They end a thousand servers, and Uvicorn pauses for a tenth of a second twice or three times while it ends.
uvicorn.server.asyncio = SimpleNamespace(**vars(asyncio) | {"sleep": lambda _: asyncio.sleep(0.02)})  # type: ignore[attr-defined]


preload("tests.support.children")


_TOGETHER = {
    "tests/conformance/": "conformance",  # one ledger tells of all that was checked
    "tests/packaging/": "packaging",  # one environment with the wheel
    "tests/emulator/tools/test_browser.py": "chromium",  # one browser at a time
    "tests/cli/test_dashboard.py": "dashboard",  # a server of the file's own
    "tests/security/test_secrets.py": "secrets",  # one run with secrets everywhere
    "tests/security/test_prefect_server.py": "own server",
    **dict.fromkeys(  # one Prefect server for all of them
        (
            "tests/docs/test_examples.py",
            "tests/docs/test_python.py",
            "tests/durability/test_cancelled_runs.py",
            "tests/durability/test_killed_run.py",
            "tests/durability/test_lost_workers.py",
            "tests/durability/test_ownership.py",
            "tests/examples/test_guide.py",
            "tests/flows/",
            "tests/prefect/test_batch_hooks.py",
            "tests/prefect/test_blocks.py",
            "tests/prefect/test_document_batch.py",
            "tests/prefect/test_notifications.py",
            "tests/prefect/test_operator_pages.py",
            "tests/prefect/test_operator_questions.py",
            "tests/prefect/test_project_flow.py",
            "tests/prefect/test_sessions.py",
            "tests/prefect/test_suspended_runs.py",
            "tests/prefect/test_sweep.py",
            "tests/security/test_pages.py",
        ),
        "prefect",
    ),
    **dict.fromkeys(  # one PostgreSQL server, and one process from which children are forked
        (
            "tests/batch/test_waiting.py",
            "tests/batch/test_workers.py",
            "tests/deployments/test_idle.py",
            "tests/durability/",  # the others of it
            "tests/journal/",
            "tests/operations/test_asking_people.py",
            "tests/review/test_questions.py",
        ),
        "journal",
    ),
    "tests/deployments/": "deployments",  # a server of its own
}

_LONGEST = (  # more than half a minute each, as `make test --durations=0` tells
    "prefect",
    "journal",
    "deployments",
    "packaging",
    "tests/cli/test_run.py",
    "tests/prefect/test_interrupted_scripts.py",
    "tests/review/test_accessibility.py",
    "conformance",
    "dashboard",
    "chromium",
    "own server",
    "tests/local/test_prefect_server.py",
    "tests/batch/test_run.py",
    "tests/batch/test_mixed_documents.py",
    "tests/steps/test_kinds.py",
    "tests/batch/test_fork.py",
    "tests/operations/test_attempts.py",
    "tests/functions/test_faults.py",
    "tests/documents/test_grounding_bounds.py",
    "tests/security/test_bombs.py",
    "tests/local/functions_host/test_host.py",
    "tests/review/test_browser.py",
    "tests/prefect/test_entrypoints.py",
    "tests/cli/test_newer_journal.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Spread files over processes, those of `_TOGETHER` in one process each; the longest come first.

    By path, since pytest-xdist 3.8 does not see its own group markers under pytest 9.2. Were tests spread one
    by one, each process would wait for its next one, and set up anew what a file shares.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _together(nodeid)

    config.option.loadscopereorder = False  # it would put those first that have most tests
    return Together(config, log)


def _together(nodeid: str) -> str:
    """The group of a test, or its file."""
    groups = (group for path, group in _TOGETHER.items() if nodeid.startswith(path))
    return next(groups, nodeid.partition("::")[0])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process works alone at the end."""
    rank = {group: place for place, group in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(_together(item.nodeid), len(rank)))


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the Prefect server with its group, since it takes a share of a processor while it does nothing."""
    if nextitem is None or _together(item.nodeid) != _together(nextitem.nodeid):
        while _SERVERS:
            _SERVERS.pop()()


_SERVERS: list[Callable[[], None]] = []
"""What ends the servers that a group of tests shares; a fixture that is asked for again starts anew."""


@pytest.fixture(scope="session")
def prefect_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server for all flow runs of a group, started on first use; gives its origin."""
    _SERVERS.append(functools.partial(request._fixturedef.finish, request))  # type: ignore[attr-defined]
    with serving_prefect(tmp_path_factory.mktemp("prefect") / "home") as origin, recorded_at(origin):
        yield origin


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """Begin each test with the usual modes of new files, whatever the shell or a test before has set."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def answers_follow_the_published_schemas() -> Iterator[None]:
    """Fail the test during which a local service gave an answer that the published schemas do not allow."""
    yield
    violations = ANSWERS.violations()
    if violations:
        pytest.fail("the local service's answers:\n" + "\n".join(dict.fromkeys(violations)), pytrace=False)


class ServiceFactory(Protocol):
    """Starts a local Agents service; see `tests.support.service`."""

    def __call__(
        self,
        *,
        rules: Rules | None = None,
        model: ChatModel | str | None = None,
        process: bool = False,
        options: Sequence[str] = (),
        config: ServiceConfig | None = None,
        data_dir: Path | None = None,
    ) -> Any: ...


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceFactory]:
    """Starter of local Agents services, in a thread or (`process=True`) a process; all are stopped.

    Give `rules` of the scripted model, or a `model` (object, or specification for a process). `config` is for
    threads, `options` (command line) for processes.
    """
    started: list[RunningService] = []

    def start(
        *,
        rules: Rules | None = None,
        model: ChatModel | str | None = None,
        process: bool = False,
        options: Sequence[str] = (),
        config: ServiceConfig | None = None,
        data_dir: Path | None = None,
    ) -> RunningService:
        folder = tmp_path_factory.mktemp("service")
        said = HELLO if rules is None else rules
        running: RunningService
        if process:
            chosen = write_rules(folder, said) if model is None else model
            assert isinstance(chosen, str), "a process takes a model specification"
            running = start_process(data_dir or folder / "data", chosen, options)
        else:
            playing = ScriptedModel.from_data(dict(said)) if model is None else model  # no file to be parsed
            running = start_in_thread(data_dir or folder / "data", playing, config)
        started.append(running)
        return running

    yield start
    for running in started:
        running.stop()


__all__ = [
    "ProcessService",
    "RunningService",
    "ServiceFactory",
    "azurite",
    "postgresql",
    "postgresql_address",
    "prefect_server",
    "queue_prefix",
    "service",
]
