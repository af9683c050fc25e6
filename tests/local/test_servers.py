"""Shared servers: one for all who need it, gone with the last of them, however that one ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.local import embedded_server
from agent_tasks.local.supervisor import Settle
from tests.support.processor import alive

from .conftest import StandIn, until

OWNER = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from tests.local.conftest import StandIn
server = StandIn(Path({folder!r})).server({behaviour!r})
print(server.launch().wait(), flush=True)
time.sleep(60)
"""


def owner_process(folder: Path, behaviour: str = "") -> subprocess.Popen[str]:
    """Another process that uses the server and would do so for a minute."""
    root = str(Path(__file__).parents[2])
    code = OWNER.format(tests=root, folder=str(folder), behaviour=behaviour)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    return process


def answers(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310
        return bool(answer.status == 200)


def test_server_answers_while_used_and_is_gone_afterwards(stand_in: StandIn) -> None:
    with stand_in.server() as url:
        assert answers(url)
        assert all(alive(pid) for pid in stand_in.pids)
    assert stand_in.nothing_left()
    assert not (stand_in.run_dir / "standin.json").exists()


def test_second_user_joins_and_the_last_one_ends_the_server(stand_in: StandIn) -> None:
    first, second = stand_in.server(), stand_in.server()
    url = first.launch().wait()
    assert second.launch().wait() == url
    first.close()
    assert answers(url)
    second.close()
    assert stand_in.nothing_left()
    assert len(stand_in.noted("started")) == 1


def test_many_starters_at_once_start_one_server(stand_in: StandIn) -> None:
    servers = [stand_in.server() for _ in range(8)]
    urls: list[str] = []
    threads = [threading.Thread(target=lambda s=s: urls.append(s.launch().wait())) for s in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 8
    assert len(set(urls)) == 1
    assert len(stand_in.noted("started")) == 1
    for server in servers:
        server.close()


def test_killed_owner_takes_the_server_with_it(stand_in: StandIn) -> None:
    owner = owner_process(stand_in.folder)
    assert all(alive(pid) for pid in stand_in.pids)
    owner.kill()
    owner.wait()
    assert until(stand_in.nothing_left, seconds=5)


def test_killed_owner_leaves_the_server_to_those_who_joined(stand_in: StandIn) -> None:
    owner = owner_process(stand_in.folder)
    with stand_in.server() as url:
        owner.kill()
        owner.wait()
        assert not until(stand_in.nothing_left, seconds=0.5)
        assert answers(url)
    assert stand_in.nothing_left()


def test_killed_guardian_leaves_nothing_and_the_next_user_starts_anew(stand_in: StandIn) -> None:
    server = stand_in.server()
    server.launch().wait()
    guardian = server._guardian
    assert guardian is not None
    guardian.kill()
    guardian.wait()
    server_pid = int(stand_in.noted("started")[0][0])
    assert until(lambda: not alive(server_pid), seconds=5)
    # The stale record still names the old server.
    assert (stand_in.run_dir / "standin.json").exists()
    with stand_in.server() as url:
        assert answers(url)
        assert len(stand_in.noted("started")) == 2
    server.close()
    os.kill(int(stand_in.noted("helper")[0][0]), signal.SIGKILL)  # the kernel ends the server alone


def test_interrupt_of_the_terminal_reaches_the_owner_only(stand_in: StandIn) -> None:
    owner = owner_process(stand_in.folder)
    server_pid = int(stand_in.noted("started")[0][0])
    assert os.getsid(server_pid) != os.getsid(owner.pid)
    assert os.getpgid(server_pid) != os.getpgid(owner.pid)
    owner.kill()
    owner.wait()


def test_server_that_cannot_start_is_reported_with_the_end_of_its_log(stand_in: StandIn) -> None:
    with pytest.raises(EmbeddedServiceError, match=r"exit code 3.*\n.*port taken") as caught:
        stand_in.server("dies").__enter__()
    assert str(stand_in.folder / "logs" / "standin.log") in str(caught.value)


def test_clash_of_ports_is_tried_again(stand_in: StandIn) -> None:
    with stand_in.server("fail-once") as url:
        assert answers(url)
    assert len(stand_in.noted("started")) == 2


def test_preferred_port_is_used_unless_somebody_listens_there(stand_in: StandIn) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        free = taken.getsockname()[1]
    with stand_in.server(port=free) as url:
        assert url.endswith(f":{free}")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with stand_in.server(port=taken.getsockname()[1]) as url:
            assert not url.endswith(f":{taken.getsockname()[1]}")
            assert answers(url)


def test_server_that_never_becomes_ready_ends_at_the_deadline(stand_in: StandIn) -> None:
    with pytest.raises(EmbeddedServiceError, match=r"not ready after 0\.4 seconds"):
        stand_in.server("never-ready", start_timeout=0.4).__enter__()


def test_server_is_given_up_when_nobody_waits_for_it_any_more(stand_in: StandIn) -> None:
    server = stand_in.server("never-ready").launch()
    assert until(lambda: bool(stand_in.noted("helper")))
    server.close()
    assert until(stand_in.nothing_left, seconds=5)


def test_server_that_ignores_sigterm_is_killed(stand_in: StandIn) -> None:
    with stand_in.server("stubborn", stop_timeout=0.3):
        pass
    assert stand_in.nothing_left()
    assert stand_in.noted("told")


def test_server_is_stopped_only_after_it_has_settled(stand_in: StandIn) -> None:
    settle = Settle(requests=[("/count", "{}")], quiet=0.2, limit=10)
    server = stand_in.server("busy=0.6", settle=settle)
    server.launch().wait()
    closed = time.monotonic()
    server.close()
    assert float(stand_in.noted("told")[0][0]) - closed >= 0.8


def test_server_that_never_settles_is_stopped_at_the_limit(stand_in: StandIn) -> None:
    settle = Settle(requests=[("/count", "{}")], quiet=0.2, limit=0.5)
    with stand_in.server("busy=60", settle=settle):
        pass
    assert stand_in.nothing_left()


def test_server_of_another_kind_is_not_joined(stand_in: StandIn) -> None:
    with stand_in.server(identity="smollm2"):
        other = stand_in.server(identity="scripted:rules.yaml")
        with pytest.raises(ConfigurationError, match=r"AGENT_TASKS_STATE_DIR"):
            other.__enter__()


def test_new_user_waits_until_the_server_before_has_stopped(stand_in: StandIn) -> None:
    settle = Settle(requests=[("/count", "{}")], quiet=0.2, limit=10)
    server = stand_in.server(settle=settle)
    server.launch().wait()
    assert server._hold is not None
    os.close(server._hold)  # lets go without waiting
    server._hold = None
    time.sleep(0.05)
    with stand_in.server() as url:
        assert answers(url)
        assert len(stand_in.noted("started")) == 2


def test_folder_without_file_locks_is_refused(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_server, "try_lock", lambda descriptor, kind: True)
    with pytest.raises(ConfigurationError, match="does not lock files"):
        stand_in.server().launch()


async def test_async_use_and_cancellation_let_go(stand_in: StandIn) -> None:
    entered = asyncio.Event()

    async def use() -> None:
        async with stand_in.server() as url:
            assert await asyncio.to_thread(answers, url)
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(use())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stand_in.nothing_left()


def test_log_of_the_start_before_is_kept(stand_in: StandIn) -> None:
    with pytest.raises(EmbeddedServiceError):
        stand_in.server("dies").__enter__()
    with stand_in.server():
        pass
    assert "port taken" in (stand_in.folder / "logs" / "standin.log.1").read_text()


def test_one_server_is_entered_again_and_again(stand_in: StandIn) -> None:
    server = stand_in.server()
    for _ in range(3):
        with server as url:
            assert answers(url)
        assert stand_in.nothing_left()
