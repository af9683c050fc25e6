"""The storage account's tables and blobs, by the same app settings that the queue triggers use.

`STORAGE` (or `AzureWebJobsSTORAGE`) is a connection string; or, with an identity, `STORAGE__queueServiceUri`
with `STORAGE__credential` = `managedidentity` (and `STORAGE__clientId` for a user-assigned one). Tables and
blobs are then at `STORAGE__tableServiceUri` and `STORAGE__blobServiceUri`, by default those of the same
account.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app_settings import CONNECTION, SettingError

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob.aio import BlobServiceClient

# The account that every Azurite has; name and key are published.
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1"
)

_PATIENCE: dict[str, Any] = {"retry_total": 3, "connection_timeout": 5, "read_timeout": 20}
"""A call waits: whatever takes longer is left to the queue, which delivers it again."""


class Storage:
    """Clients of one event loop, opened when they are first used."""

    def __init__(self) -> None:
        self._tables: TableServiceClient | None = None
        self._blobs: BlobServiceClient | None = None
        self._credential: Any = None

    def tables(self) -> TableServiceClient:
        """The account's tables. Raises SettingError."""
        if self._tables is None:
            from azure.data.tables.aio import TableServiceClient

            connection = _connection_string()
            if connection is not None:
                self._tables = TableServiceClient.from_connection_string(connection, **_PATIENCE)
            else:
                self._tables = TableServiceClient(_address("table"), credential=self._identity(), **_PATIENCE)
        return self._tables

    def blobs(self) -> BlobServiceClient:
        """The account's blobs. Raises SettingError."""
        if self._blobs is None:
            from azure.storage.blob.aio import BlobServiceClient

            connection = _connection_string()
            if connection is not None:
                self._blobs = BlobServiceClient.from_connection_string(connection, **_PATIENCE)
            else:
                self._blobs = BlobServiceClient(_address("blob"), credential=self._identity(), **_PATIENCE)
        return self._blobs

    async def close(self) -> None:
        """Close what was opened."""
        for client in (self._tables, self._blobs, self._credential):
            if client is not None:
                await client.close()
        self._tables = self._blobs = self._credential = None

    def _identity(self) -> Any:
        if self._credential is None:
            from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

            kind = _setting("credential").lower()
            client_id = _setting("clientId") or None
            if kind == "managedidentity":
                self._credential = ManagedIdentityCredential(client_id=client_id)
            elif kind:
                raise SettingError(
                    f"{CONNECTION}__credential is {kind!r}; leave it out, or set it to managedidentity"
                )
            else:
                self._credential = DefaultAzureCredential(managed_identity_client_id=client_id)
        return self._credential


def storage() -> Storage:
    """The clients of the running event loop: the worker has one loop, tests have one each."""
    return _of_loop(asyncio.get_running_loop())


@cache
def _of_loop(loop: asyncio.AbstractEventLoop) -> Storage:
    return Storage()


def _setting(name: str) -> str:
    for prefix in (CONNECTION, f"AzureWebJobs{CONNECTION}"):
        value = os.environ.get(f"{prefix}__{name}", "").strip()
        if value:
            return value
    return ""


def _connection_string() -> str | None:
    value = os.environ.get(CONNECTION) or os.environ.get(f"AzureWebJobs{CONNECTION}")
    if value and value.strip().rstrip(";").lower() == "usedevelopmentstorage=true":
        return _DEVELOPMENT
    return value or None


def _address(service: str) -> str:
    given = _setting(f"{service}ServiceUri")
    if given:
        return given
    queues = _setting("queueServiceUri")
    if not queues:
        raise SettingError(
            f"the app setting {CONNECTION} is missing: set it to a connection string, or set "
            f"{CONNECTION}__queueServiceUri to https://ACCOUNT.queue.core.windows.net"
        )
    account, dot, rest = (urlsplit(queues).hostname or "").partition(".queue.")
    if not dot:
        raise SettingError(
            f"{CONNECTION}__{service}ServiceUri is missing, and cannot be told from the address of the queues"
        )
    return f"https://{account}.{service}.{rest}"
