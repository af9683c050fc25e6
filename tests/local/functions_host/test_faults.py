"""Storage that is down or refuses, seen from the host: nothing is lost, and it goes on by itself."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.queue import AccountSasPermissions, ResourceTypes, generate_account_sas

from agent_tasks.local.azurite import ACCOUNT, ACCOUNT_KEY, Azurite, StorageAddresses
from agent_tasks.queues import Storage, StorageConnection
from tests.local.functions_host.conftest import App
from tests.support.azurite import STATE_DIR


async def test_storage_that_goes_down_and_comes_back(app: App, tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    server = Azurite(folder, state_dir=STATE_DIR)
    addresses = await server.__aenter__()
    app.settings["STORAGE"] = addresses.connection_string.get_secret_value()
    async with AsyncExitStack() as stack:
        connection = StorageConnection.from_string(addresses.connection_string)
        app.storage = await stack.enter_async_context(Storage(connection))
        host = await stack.enter_async_context(app.host())
        await app.send("c1", "sleep", seconds=3)
        await app.until(lambda: app.calls == ["c1 1"])
        await app.send("c2", "")
        assert json.loads(await app.answer()) == {"id": "c2"}
        await server.__aexit__(None, None, None)  # while the function is at work on c1
        await asyncio.sleep(4)
        async with Azurite(folder, state_dir=STATE_DIR) as again:
            assert again == addresses
            assert json.loads(await app.answer(60)) == {"id": "c1"}
            await app.send("c3", "")
            assert json.loads(await app.answer(60)) == {"id": "c3"}
            assert app.calls == ["c1 1", "c2 1", "c3 1"]
            assert host.worker.starts == 1
            await stack.aclose()  # before the storage is: the host writes to it


async def test_storage_that_refuses_is_logged_and_the_message_stays(
    app: App, azurite: StorageAddresses, caplog: pytest.LogCaptureFixture
) -> None:
    await app.queue("input").create()
    await app.send("c1", "")
    signature = generate_account_sas(
        *(ACCOUNT, ACCOUNT_KEY, ResourceTypes(object=True), AccountSasPermissions(read=True)),
        datetime.now(UTC) + timedelta(hours=1),
    )
    app.settings["STORAGE"] = f"QueueEndpoint={azurite.queue};SharedAccessSignature={signature}"
    with caplog.at_level(logging.WARNING, "agent_tasks.functions"):
        async with app.host():
            await app.until(lambda: "Access to the queue" in caplog.text and "work:" in caplog.text)
    assert signature not in caplog.text
    [message] = await app.queue("input").peek()
    assert message.dequeue_count == 0
    assert app.calls == []
