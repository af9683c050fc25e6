"""How to reach a storage account: the same settings that a queue trigger of Azure Functions reads.

For a connection named `X`, in this order:

| setting | meaning |
| --- | --- |
| `X`, or `AzureWebJobsX` | a connection string, with a key or a shared access signature |
| `X__queueServiceUri` | address of the account's queues, such as `https://ACCOUNT.queue.core.windows.net` |
| `X__blobServiceUri` | address of its blobs; by default that of the same account |
| `X__credential` | `managedidentity`; left out: whatever `DefaultAzureCredential` finds |
| `X__clientId` | the client id of a user-assigned identity |

(The forms with `__` are read under `AzureWebJobsX` too.) `UseDevelopmentStorage=true` is an Azurite on its
usual ports.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent_tasks.errors import ConfigurationError, InsecureEndpointError

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from agent_tasks.queues.storage import Storage

__all__ = ["StorageConnection"]

DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"
_DEVELOPMENT = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
"""What `UseDevelopmentStorage=true` stands for; the key is published, and the same everywhere."""

Identity = Literal["default", "managedidentity"]


@dataclass(frozen=True)
class StorageConnection:
    """A storage account and how to sign in: either a connection string or an address and an identity.

    Raises ConfigurationError for neither or both, and InsecureEndpointError for an identity over plain http
    (its token would be readable by others; a shared key never travels).
    """

    connection_string: SecretStr | None = None
    """With a key or a shared access signature."""
    queue_endpoint: str | None = None
    """Address of the account's queues."""
    blob_endpoint: str | None = None
    """Address of its blobs; None: told from that of the queues."""
    identity: Identity = "default"
    """Which identity signs in, where there is no connection string."""
    client_id: str | None = None
    """Client id of a user-assigned identity."""
    name: str = "the storage connection"
    """What messages call it."""

    def __post_init__(self) -> None:
        if (self.connection_string is None) == (self.queue_endpoint is None):
            raise ConfigurationError(
                f"{self.name} needs a connection string or the address of its queues, and not both.",
                setting=self.name,
            )
        for address in (self.queue_endpoint, self.blob_endpoint):
            parts = urlsplit(address or "https://none")
            if parts.scheme == "http":
                raise InsecureEndpointError(
                    f"{self.name} signs in with an identity, whose token would travel over plain http to "
                    f"{address}. Use https, or a connection string.",
                    setting=self.name,
                )
            if parts.scheme != "https" or not parts.hostname or parts.query or parts.password:
                raise ConfigurationError(
                    f"{self.name}: {parts.hostname or address!r} is no address of a storage account: it is "
                    "like https://ACCOUNT.queue.core.windows.net, without a signature.",
                    setting=self.name,
                )

    @classmethod
    def from_string(cls, connection_string: str | SecretStr, *, name: str = "the storage connection") -> Self:
        """The connection of a connection string. Raises ConfigurationError where it is none."""
        text = (
            connection_string if isinstance(connection_string, str) else connection_string.get_secret_value()
        )
        if text.strip().rstrip(";").lower() == DEVELOPMENT_STORAGE.lower():
            text = _DEVELOPMENT
        parts = dict(part.partition("=")[::2] for part in text.strip().split(";") if part)
        known = {key.lower() for key in parts}
        if not known & {"queueendpoint", "accountname"} or not known & {
            "accountkey",
            "sharedaccesssignature",
        }:
            raise ConfigurationError(
                f"{name} is no connection string: it has AccountName and AccountKey, or QueueEndpoint and "
                "SharedAccessSignature (its text is left out here, since it may be secret).",
                setting=name,
            )
        return cls(connection_string=SecretStr(text), name=name)

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, str]) -> Self:
        """The connection `name` among app settings or environment variables.

        Raises:
            ConfigurationError: there is none, or it is not usable; the message names the settings.
        """
        for prefix in (name, f"AzureWebJobs{name}"):
            if value := settings.get(prefix, "").strip():
                return cls.from_string(value, name=prefix)
            if address := settings.get(f"{prefix}__queueServiceUri", "").strip():
                return cls(
                    queue_endpoint=address.rstrip("/"),
                    blob_endpoint=settings.get(f"{prefix}__blobServiceUri", "").strip().rstrip("/") or None,
                    identity=_identity(prefix, settings.get(f"{prefix}__credential", "")),
                    client_id=settings.get(f"{prefix}__clientId", "").strip() or None,
                    name=prefix,
                )
        raise ConfigurationError(
            f"The connection {name} is not set: set {name} to a connection string, or "
            f"{name}__queueServiceUri to https://ACCOUNT.queue.core.windows.net.",
            setting=name,
        )

    def open(self, *, credential: AsyncTokenCredential | None = None) -> Storage:
        """The account, to be used with `async with`; nothing is sent before the first operation.

        Args:
            credential: signs in instead of the connection's own identity.
        """
        from agent_tasks.queues.storage import Storage

        return Storage(self, credential)


def _identity(prefix: str, value: str) -> Identity:
    match value.strip().lower():
        case "":
            return "default"
        case "managedidentity":
            return "managedidentity"
        case other:
            raise ConfigurationError(
                f"{prefix}__credential is {other!r}: leave it out, or set it to managedidentity.",
                setting=f"{prefix}__credential",
            )
