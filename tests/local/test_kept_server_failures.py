"""Servers that stay, where something hangs, is killed, was replaced, or comes and goes at the same moment."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.file_locks import try_lock
from agent_tasks.local import embedded_server, kept_servers, responding
from agent_tasks.local.kept_servers import Ending, end_unused
from agent_tasks.local.state_folder import require_private_folder
from agent_tasks.local.supervisor import Record, process_mark, read_record
from tests.support.processor import alive

from .conftest import StandIn, until
from .test_kept_servers import starts, used_once
from .test_servers import answers, owner_process

GUEST = """
import random, time
from pathlib import Path
from tests.local.conftest import StandIn
from tests.local.test_servers import answers
chance = random.Random({seed})
stand_in = StandIn(Path({folder!r}))
for _ in range({times}):
    server = stand_in.server(start_timeout=60)
    with server as url:
        assert answers(url)
        server.keep(chance.choice([0, 0, 0.2, 30]))
        time.sleep(chance.random() * 0.05)
    print("used", flush=True)
"""


@pytest.fixture(autouse=True)
def nothing_stays(stand_in: StandIn) -> Iterator[None]:
    yield
    end_unused(stand_in.run_dir, "standin")


def guest(folder: Path, seed: int, times: int) -> subprocess.Popen[str]:
    """A process that joins and leaves again and again."""
    code = GUEST.format(folder=str(folder), seed=seed, times=times)
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe, text=True, cwd=root)


def record_of(stand_in: StandIn) -> Record:
    record = read_record(stand_in.run_dir / "standin.json")
    assert record is not None
    return record


def change_record(stand_in: StandIn, **values: object) -> None:
    path = stand_in.run_dir / "standin.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def kill_guardian(stand_in: StandIn) -> Record:
    record = record_of(stand_in)
    os.kill(record.guardian, signal.SIGKILL)
    assert until(lambda: not alive(record.guardian))
    return record


def freeze_guardian(stand_in: StandIn) -> None:
    """Stops it between two looks for users."""
    pid = record_of(stand_in).guardian
    with (stand_in.run_dir / "standin.users").open("r+") as users:
        while True:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)
            if try_lock(users.fileno(), fcntl.LOCK_SH):
                return
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.1)


def end_helpers(stand_in: StandIn) -> None:
    """Where the guardian was killed, the kernel ends the server alone."""
    for (helper,) in stand_in.noted("helper"):
        if alive(int(helper)):
            os.kill(int(helper), signal.SIGKILL)


@pytest.fixture
def bystander() -> Iterator[int]:
    """A process of somebody else, which has got the number of one that a record names."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))  # processes are told apart by the tick that they began in
    yield process.pid
    assert process.poll() is None, "somebody else's process was ended"
    process.kill()
    process.wait()


# --- what hangs ---


def test_one_that_hangs_is_ended_and_started_anew(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responding, "RESPONSE_SECONDS", 0.5)
    used_once(stand_in.server(stop_timeout=0.5))
    hung = record_of(stand_in).pid
    os.kill(hung, signal.SIGSTOP)
    begun = time.monotonic()
    with stand_in.server(stop_timeout=0.5) as url:
        assert time.monotonic() - begun < 6
        assert answers(url)
        assert not alive(hung)
        assert starts(stand_in) == 2


def test_one_that_hangs_and_is_in_use_is_refused_in_words(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responding, "RESPONSE_SECONDS", 0.5)
    with stand_in.server():
        os.kill(record_of(stand_in).pid, signal.SIGSTOP)
        with pytest.raises(EmbeddedServiceError, match="gives no answer, and another command uses it"):
            stand_in.server(start_timeout=1).__enter__()
        os.kill(record_of(stand_in).pid, signal.SIGCONT)


def test_one_in_use_that_is_slow_to_answer_is_waited_for(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responding, "RESPONSE_SECONDS", 0.2)
    with stand_in.server() as url:
        pid = record_of(stand_in).pid
        os.kill(pid, signal.SIGSTOP)
        soon = threading.Timer(1.5, os.kill, (pid, signal.SIGCONT))
        soon.start()
        with stand_in.server() as joined:
            assert joined == url
        soon.join()


def test_one_that_hangs_with_its_guardian_is_killed(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responding, "RESPONSE_SECONDS", 0.5)
    monkeypatch.setattr(kept_servers, "HANGING_SECONDS", 0.5)
    monkeypatch.setattr(kept_servers, "LEFT_OVER_SECONDS", 0.5)
    used_once(stand_in.server())
    hung = record_of(stand_in)
    os.kill(hung.pid, signal.SIGSTOP)
    freeze_guardian(stand_in)
    with stand_in.server() as url:
        assert answers(url)
        assert not alive(hung.pid)
        assert not alive(hung.guardian)


def test_stop_kills_a_guardian_that_does_not_end(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_servers, "END_SECONDS", 0.5)
    used_once(stand_in.server())
    os.kill(record_of(stand_in).guardian, signal.SIGSTOP)
    assert end_unused(stand_in.run_dir, "standin") is Ending.ENDED
    assert not alive(record_of(stand_in).pid)
    end_helpers(stand_in)


# --- what is killed ---


def test_a_killed_guardian_takes_a_kept_server_with_it(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    record = kill_guardian(stand_in)
    assert until(lambda: not alive(record.pid), seconds=5)
    end_helpers(stand_in)
    assert stand_in.server().running() is None
    assert end_unused(stand_in.run_dir, "standin") is Ending.NOT_RUNNING
    with stand_in.server() as again:
        assert answers(again)
        assert starts(stand_in) == 2


@pytest.mark.parametrize("by", ["the next command", "stop"])
def test_a_server_that_outlives_its_killed_guardian_is_ended(
    stand_in: StandIn, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_servers, "LEFT_OVER_SECONDS", 0.5)
    used_once(stand_in.server("stubborn", stop_timeout=0.5))
    record = kill_guardian(stand_in)
    assert until(lambda: bool(stand_in.noted("told")))
    assert alive(record.pid)
    if by == "stop":
        assert end_unused(stand_in.run_dir, "standin") is Ending.ENDED
    else:
        with stand_in.server(stop_timeout=0.5) as url:
            assert answers(url)
    assert not alive(record.pid)


def test_a_command_killed_while_it_joins_holds_nothing(stand_in: StandIn) -> None:
    chance = random.Random(7)
    for seed in range(6):
        killed = guest(stand_in.folder, seed, 100)
        assert killed.stdout is not None
        killed.stdout.readline()
        time.sleep(chance.random() * 0.3)
        killed.kill()
        killed.communicate()
    owner = owner_process(stand_in.folder)
    with stand_in.server() as url:
        assert answers(url)
        owner.kill()
        owner.wait()
    assert end_unused(stand_in.run_dir, "standin") is not Ending.IN_USE
    assert until(stand_in.nothing_left)


# --- what was replaced ---


@pytest.mark.parametrize("mark", ["of an earlier start of the machine 4711", ""])
def test_a_record_of_before_a_restart_names_nobody(stand_in: StandIn, bystander: int, mark: str) -> None:
    used_once(stand_in.server())
    assert end_unused(stand_in.run_dir, "standin") is Ending.ENDED
    left = Record("t", "ready", "stand-in", "http://127.0.0.1:1", [1], bystander, mark=mark)
    (stand_in.run_dir / "standin.json").write_text(json.dumps(left.__dict__ | {"guardian": bystander}))
    (stand_in.run_dir / "standin.guardian").write_text("t")
    assert stand_in.server().running() is None
    assert end_unused(stand_in.run_dir, "standin") is Ending.NOT_RUNNING
    with stand_in.server() as url:
        assert answers(url)


def test_a_guardian_of_another_container_is_not_told(stand_in: StandIn, bystander: int) -> None:
    used_once(stand_in.server())
    own = record_of(stand_in).guardian
    change_record(stand_in, guardian=bystander)
    with pytest.raises(EmbeddedServiceError, match="another container"):
        end_unused(stand_in.run_dir, "standin")
    change_record(stand_in, guardian=own)


def test_one_whose_data_was_replaced_is_not_joined(stand_in: StandIn) -> None:
    data = stand_in.folder / "data.db"
    data.touch()
    used_once(stand_in.server(data=[data]))
    data.rename(stand_in.folder / "elsewhere.db")
    data.touch()
    with stand_in.server(data=[data]):
        assert starts(stand_in) == 2
        data.rename(stand_in.folder / "elsewhere.db")
        with pytest.raises(ConfigurationError, match="other data than"):
            stand_in.server(data=[data]).__enter__()


def test_one_whose_data_was_removed_ends_by_itself(stand_in: StandIn) -> None:
    data = stand_in.folder / "data.db"
    data.touch()
    used_once(stand_in.server(data=[data]))
    data.unlink()
    assert until(stand_in.nothing_left, seconds=6)


def test_an_old_guardian_leaves_the_record_of_the_next_one(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    first = record_of(stand_in)
    shutil.rmtree(stand_in.run_dir)
    with stand_in.server() as url:
        assert until(lambda: not alive(first.guardian), seconds=6)
        assert stand_in.server().running() == url


def test_a_wish_that_nobody_can_read_keeps_nothing(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    (stand_in.run_dir / "standin.users").write_text(f"{record_of(stand_in).token} soon")
    assert until(stand_in.nothing_left, seconds=6)


def test_a_full_disk_is_named_where_a_server_does_not_start(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_server.guardian, "__file__", "/dev/null")  # one that ends without a word
    server = stand_in.server()
    with pytest.raises(EmbeddedServiceError) as caught, server:
        pass
    assert "is full" not in str(caught.value)
    full = shutil.disk_usage("/")._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: full)
    with (
        pytest.raises(EmbeddedServiceError, match=r"ended without a word, and the disk of .* is full: free"),
        server,
    ):
        pass

    def gone(folder: Path) -> None:
        raise FileNotFoundError(folder)

    monkeypatch.setattr(shutil, "disk_usage", gone)
    with pytest.raises(EmbeddedServiceError, match=r"ended without a word\. The end of its log"), server:
        pass


def test_a_folder_that_was_open_to_others_is_not_believed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="could write to the folder"):
        require_private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    require_private_folder(folder)


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    process = subprocess.Popen(["sleep", "60"])
    first = process_mark(process.pid)
    assert first
    assert first == process_mark(process.pid)
    assert process_mark(os.getpid()) != first
    process.kill()
    assert until(lambda: process_mark(process.pid) == "")  # also before somebody has waited for it
    process.wait()


# --- what comes and goes at the same moment ---


def test_stop_leaves_a_server_that_starts_to_its_user(stand_in: StandIn) -> None:
    server = stand_in.server("never-ready").launch()
    assert until(lambda: bool(stand_in.noted("helper")))
    begun = time.monotonic()
    assert end_unused(stand_in.run_dir, "standin") is Ending.IN_USE
    assert time.monotonic() - begun < 3
    server.close()


def test_two_who_want_another_server_at_the_same_moment_share_the_next(stand_in: StandIn) -> None:
    used_once(stand_in.server(identity="before"))
    servers = [stand_in.server(), stand_in.server()]
    urls: list[str] = []
    threads = [threading.Thread(target=lambda s=s: urls.append(s.launch().wait())) for s in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(urls) == 2
    assert len(set(urls)) == 1
    assert starts(stand_in) == 2
    for server in servers:
        server.close()


def test_one_that_is_launched_and_not_yet_waited_for_stands_in_nobodys_way(stand_in: StandIn) -> None:
    used_once(stand_in.server(identity="before"))
    first, second = stand_in.server().launch(), stand_in.server().launch()
    assert second.wait() == first.wait()
    first.close()
    second.close()


def test_another_kind_in_use_is_refused_at_the_launch(stand_in: StandIn) -> None:
    with stand_in.server(), pytest.raises(ConfigurationError, match="in use by another command"):
        stand_in.server(identity="another").launch()


def test_commands_that_come_and_go_at_the_same_moment(stand_in: StandIn) -> None:
    guests = [guest(stand_in.folder, seed, 12) for seed in range(3)]
    for one in guests:
        said, complained = one.communicate(timeout=100)
        assert one.returncode == 0, complained
        assert said.count("used") == 12
    assert end_unused(stand_in.run_dir, "standin") is not Ending.IN_USE
    assert until(stand_in.nothing_left)


def test_keeping_for_no_time_ends_with_the_command(stand_in: StandIn) -> None:
    server = stand_in.server()
    with server:
        assert server.keep(60)
        assert not server.keep(0)
    assert stand_in.nothing_left()
