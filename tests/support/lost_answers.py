"""A storage account whose answers get lost on their way: the request is carried out, and then repeated.

    async with losing_answers(azurite, "PUT", "/values/") as (addresses, lost):
        ...                                 # `addresses` instead of azurite's
    assert lost                             # the request whose answer was dropped: its first line

It passes everything on to Azurite and back, but for the first success of such a request: there it hangs up.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from agent_tasks.local.azurite import StorageAddresses


@asynccontextmanager
async def losing_answers(
    azurite: StorageAddresses, method: str, path: str
) -> AsyncIterator[tuple[StorageAddresses, list[str]]]:
    """Blobs and tables by way of a server that loses the first answer to `method` on `...path...`."""
    lost: list[str] = []
    async with _before(azurite.blob, method, path, lost) as blob:  # noqa: SIM117 - one line would be too long
        async with _before(azurite.table, method, path, lost) as table:
            yield replace(azurite, blob=blob, table=table), lost


@asynccontextmanager
async def _before(address: str, method: str, path: str, lost: list[str]) -> AsyncIterator[str]:
    port = re.search(r":(\d+)/", address)
    assert port is not None

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", int(port[1]))
        asked = ""

        async def requests() -> None:
            nonlocal asked
            while data := await reader.read(65_536):
                first, _, _ = data.partition(b"\r\n")
                if first.endswith(b" HTTP/1.1"):  # else it is more of a body
                    asked = first.decode()
                back.write(data)

        async def answers() -> None:
            while data := await there.read(65_536):
                is_such = asked.startswith(f"{method} ") and path in asked
                if is_such and not lost and data.startswith(b"HTTP/1.1 2"):
                    lost.append(asked)
                    return
                writer.write(data)

        tasks = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for end in (writer, back):
                end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield address.replace(f":{port[1]}/", f":{server.sockets[0].getsockname()[1]}/")
    finally:
        server.close()
