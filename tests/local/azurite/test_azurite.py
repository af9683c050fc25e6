"""Azurite as a child process: installed once, ready when it says so, gone with the last of its users."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.local.azurite import AZURITE_VERSION, Azurite, StorageAddresses, installation
from tests.local.conftest import processes_of, until
from tests.support.azurite import STATE_DIR
from tests.support.processor import alive

OWNER = """
import sys, time
from pathlib import Path
from agent_tasks.local.azurite import Azurite
print(Azurite(Path(sys.argv[1]), state_dir=Path(sys.argv[2])).launch().wait().queue, flush=True)
time.sleep(60)
"""


def test_queues_blobs_and_tables_answer(azurite: StorageAddresses, queue_prefix: str) -> None:
    account = azurite.connection_string.get_secret_value()
    QueueServiceClient.from_connection_string(account).create_queue(queue_prefix)
    BlobServiceClient.from_connection_string(account).create_container(queue_prefix)
    TableServiceClient.from_connection_string(account).create_table(queue_prefix)
    assert all(
        address.startswith("http://127.0.0.1:") for address in (azurite.queue, azurite.blob, azurite.table)
    )


def test_key_is_not_in_the_text_of_the_addresses(azurite: StorageAddresses) -> None:
    assert "AccountKey" not in f"{azurite} {azurite!r} {azurite.connection_string}"


def test_data_and_ports_stay_between_starts(tmp_path: Path) -> None:
    with Azurite(tmp_path / "storage", state_dir=STATE_DIR) as storage:
        queues = QueueServiceClient.from_connection_string(storage.connection_string.get_secret_value())
        queues.create_queue("kept").send_message("still here")
        first = storage
    assert until(lambda: not processes_of(tmp_path))
    with Azurite(tmp_path / "storage", state_dir=STATE_DIR) as storage:
        queues = QueueServiceClient.from_connection_string(storage.connection_string.get_secret_value())
        assert queues.get_queue_client("kept").receive_message().content == "still here"
        assert storage == first


def test_a_port_that_is_taken_is_another_one(tmp_path: Path) -> None:
    with Azurite(tmp_path / "storage", state_dir=STATE_DIR) as usual:
        pass
    taken = socket.create_server(("127.0.0.1", _port_of(usual.queue)))
    with taken, Azurite(tmp_path / "storage", state_dir=STATE_DIR) as storage:
        account = storage.connection_string.get_secret_value()
        QueueServiceClient.from_connection_string(account).create_queue("made")
    assert (storage.blob, storage.table) == (usual.blob, usual.table)
    assert storage.queue != usual.queue


def test_temporary_folder_is_gone_at_the_end() -> None:
    server = Azurite(state_dir=STATE_DIR)
    with server:
        home = server.folder
        assert "successfully listening" in server.log.read_text()
        assert processes_of(home)
    assert not home.exists()
    assert until(lambda: not processes_of(home))


def test_it_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path / "storage"), str(STATE_DIR)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("http://127.0.0.1:")
    assert len(processes_of(tmp_path)) >= 2  # owner, Azurite
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait(10)
    assert until(lambda: not processes_of(tmp_path))


def test_azurite_that_dies_is_gone_for_all(tmp_path: Path) -> None:
    server = Azurite(tmp_path / "storage", state_dir=STATE_DIR)
    with server as storage:
        assert server.running() == storage
        [azurite_pid] = [
            int(entry.name)
            for entry in Path("/proc").glob("[0-9]*")
            if (line := _command_line(entry)).startswith(_node()) and str(tmp_path) in line
        ]
        os.kill(azurite_pid, signal.SIGKILL)
        assert until(lambda: not alive(azurite_pid))
        assert until(lambda: server.running() is None)
        queues = QueueServiceClient.from_connection_string(
            storage.connection_string.get_secret_value(), retry_total=0
        )
        with pytest.raises(ServiceRequestError):
            queues.create_queue("gone")


def test_missing_node_names_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(installation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'prefect-azure-agents\[functions\]'"):
        installation.install(tmp_path)


def test_failed_installation_leaves_nothing_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    with pytest.raises(
        EmbeddedServiceError, match=rf"(?s)Azurite {AZURITE_VERSION}.*npm.*ECONNREFUSED"
    ) as caught:
        installation.install(tmp_path)
    assert caught.value.log_file is not None
    assert sorted(path.name for path in (tmp_path / "azurite").iterdir()) == ["install.lock", "install.log"]


def test_pinned_packages_name_no_address_of_a_registry() -> None:
    pins = Path(installation.__file__).parent
    for name in ("package.json", "package-lock.json"):
        text = (pins / name).read_text(encoding="utf-8")
        assert '"resolved"' not in text
    assert '"integrity"' in text


def _node() -> str:
    return installation._node()[0].as_posix()


def _command_line(process: Path) -> str:
    try:
        return process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _port_of(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port
