"""Servers that stay for the next command: joined if they are the same, ended otherwise, and not for ever."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError
from agent_tasks.local import state_folder
from agent_tasks.local.embedded_server import UrlServer
from agent_tasks.local.kept_servers import Ending, end_unused
from agent_tasks.local.servers import local_service
from agent_tasks.local.surroundings import settled, surroundings
from agent_tasks.settings import Settings

from .conftest import StandIn, until
from .test_servers import answers, owner_process


@pytest.fixture(autouse=True)
def nothing_stays(stand_in: StandIn) -> Iterator[None]:
    yield
    end_unused(stand_in.run_dir, "standin")


def used_once(server: UrlServer, seconds: float = 60.0) -> str:
    """Uses a server, keeps it, and lets go of it; its address."""
    with server as url:
        server.keep(seconds)
    return url


def starts(stand_in: StandIn) -> int:
    return len(stand_in.noted("started"))


def test_a_kept_server_is_joined_by_the_next_user(stand_in: StandIn) -> None:
    begun = time.monotonic()
    url = used_once(stand_in.server())
    assert time.monotonic() - begun < 5
    assert answers(url)
    assert stand_in.server().running() == url
    with stand_in.server() as again:
        assert again == url
    assert answers(url)  # a user that keeps nothing takes nothing from who has
    assert starts(stand_in) == 1


def test_a_kept_server_ends_when_its_time_is_over(stand_in: StandIn) -> None:
    used_once(stand_in.server(), 0.5)
    assert not stand_in.nothing_left()
    assert until(stand_in.nothing_left, seconds=5)


def test_each_use_begins_the_time_anew(stand_in: StandIn) -> None:
    url = used_once(stand_in.server(), 2.5)
    time.sleep(1.5)
    used_once(stand_in.server(), 2.5)
    time.sleep(1.5)
    assert answers(url)
    assert until(stand_in.nothing_left, seconds=6)
    assert starts(stand_in) == 1


def test_a_killed_user_leaves_a_kept_server_for_the_kept_time_only(stand_in: StandIn) -> None:
    used_once(stand_in.server(), 5.0)
    owner = owner_process(stand_in.folder)
    time.sleep(5.5)
    assert not stand_in.nothing_left()  # it is in use
    owner.kill()
    owner.wait()
    assert until(stand_in.nothing_left, seconds=5)
    assert starts(stand_in) == 1


def test_a_kept_server_ends_with_its_state_folder(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    pids = stand_in.pids
    assert pids
    shutil.rmtree(stand_in.run_dir)
    assert until(stand_in.nothing_left, seconds=6)


def test_the_wish_of_an_earlier_server_keeps_no_other(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    assert end_unused(stand_in.run_dir, "standin") is Ending.ENDED
    with stand_in.server():
        pass
    assert stand_in.nothing_left()


@pytest.mark.parametrize(
    "other", [{"identity": "another model"}, {"variables": {"HTTPS_PROXY": "http://127.0.0.1:9"}}], ids=str
)
def test_a_kept_server_that_is_not_the_same_is_ended_and_started_anew(
    stand_in: StandIn, other: dict[str, object]
) -> None:
    used_once(stand_in.server())
    with stand_in.server(**other) as url:  # type: ignore[arg-type]
        assert answers(url)
        assert starts(stand_in) == 2
        assert len(stand_in.noted("told")) == 1


def test_one_in_use_with_other_surroundings_is_refused_in_words(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    with stand_in.server() as url:
        other = {"HTTPS_PROXY": "http://user:pa55@127.0.0.1:9", "SSL_CERT_FILE": "/none"}
        with pytest.raises(ConfigurationError, match="with other SSL_CERT_FILE, environment than") as caught:
            stand_in.server(variables=other).__enter__()
        assert "AGENT_TASKS_STATE_DIR" in str(caught.value)
        assert "pa55" not in str(caught.value)
        assert answers(url)
    assert starts(stand_in) == 1


def test_one_of_another_kind_in_use_is_refused_also_where_it_was_kept(stand_in: StandIn) -> None:
    used_once(stand_in.server())
    with (
        stand_in.server(),
        pytest.raises(ConfigurationError, match="AGENT_TASKS_STATE_DIR"),
    ):
        stand_in.server(identity="another model").__enter__()
    assert starts(stand_in) == 1


def test_stop_ends_what_nobody_uses_and_nothing_else(stand_in: StandIn) -> None:
    assert end_unused(stand_in.run_dir, "standin") is Ending.NOT_RUNNING
    with stand_in.server() as url:
        assert end_unused(stand_in.run_dir, "standin") is Ending.IN_USE
        assert answers(url)
    used_once(stand_in.server())
    assert end_unused(stand_in.run_dir, "standin") is Ending.ENDED
    assert stand_in.nothing_left()
    assert end_unused(stand_in.run_dir, "standin") is Ending.NOT_RUNNING


def test_files_of_a_kept_server_hold_no_secret_and_are_the_owners_alone(stand_in: StandIn) -> None:
    used_once(stand_in.server(variables={"SECRET_OF_THIS": "t0p-secret"}))
    assert stat.S_IMODE(stand_in.run_dir.stat().st_mode) == 0o700
    for path in stand_in.run_dir.iterdir():
        assert "t0p-secret" not in path.read_text()
    named = json.loads((stand_in.run_dir / "standin.json").read_text())["surroundings"]
    assert {"environment", "interpreter", "packages", "command"} <= set(named)
    assert "SECRET_OF_THIS" not in named


def test_a_folder_of_another_user_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ConfigurationError, match="belongs to another user"):
        state_folder.require_private_folder(tmp_path)


def test_terminals_do_not_differ_and_what_has_effect_does() -> None:
    own = str(Path(sys.executable).parent)
    here = {"PATH": f"{own}:/bin", "TERM": "xterm", "LANG": "nb_NO.UTF-8", "VIRTUAL_ENV": "/v", "USER": "me"}
    there = {"PATH": "/bin", "LOGNAME": "me", "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1"}
    assert settled(here) == settled(there)
    for name in ("PATH", "NO_PROXY", "SSL_CERT_FILE", "HTTPS_PROXY", "PYTHONPATH", "HOME"):
        assert surroundings(settled(here)) != surroundings(settled({**here, name: "/other"}))
    assert surroundings(settled(here), ["--tls"]) != surroundings(settled(here))


def test_a_replaced_certificate_tells_servers_apart(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_text("one")
    before = surroundings({"SSL_CERT_FILE": str(trusted)})
    trusted.write_text("another")
    assert surroundings({"SSL_CERT_FILE": str(trusted)}) != before


def test_what_imports_from_folders_of_ones_own_is_not_kept(stand_in: StandIn) -> None:
    with stand_in.server(variables={"PYTHONPATH": str(stand_in.folder)}) as url:
        assert answers(url)
        assert not stand_in.server(variables={"PYTHONPATH": "/x"}).keep(60)
    server = stand_in.server(variables={"PYTHONPATH": str(stand_in.folder)})
    with server:
        assert not server.keep(60)
    assert stand_in.nothing_left()


def test_content_of_rules_and_tools_file_tells_services_apart(tmp_path: Path) -> None:
    rules, tools = tmp_path / "rules.yaml", tmp_path / "tools.yaml"
    rules.write_text("rules: []\n")
    tools.write_text("{}\n")

    def identity() -> str:
        settings = Settings(
            local_model=f"scripted:{rules}", local_tools_file=tools, state_dir=tmp_path / "state"
        )
        return local_service(settings).spec.identity

    seen = {identity()}
    rules.write_text("rules: []\n# changed\n")
    seen.add(identity())
    tools.write_text("{}\n# changed\n")
    seen.add(identity())
    assert len(seen) == 3
