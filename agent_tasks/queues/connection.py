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
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from agent_tasks.errors import ConfigurationError, InsecureEndpointError
from agent_tasks.field_types import check_field_types
from agent_tasks.known_names import refuse_unknown

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

_STRING_PARTS = (
    *("DefaultEndpointsProtocol", "AccountName", "AccountKey", "SharedAccessSignature", "EndpointSuffix"),
    *(
        f"{kind}{form}"
        for kind in ("Blob", "Queue", "Table", "File")
        for form in ("Endpoint", "SecondaryEndpoint")
    ),
)
"""What a connection string may consist of: another part would leave the account of `AccountName` in force."""

_SETTINGS = ("queueServiceUri", "blobServiceUri", "tableServiceUri", "credential", "clientId")
"""What may stand behind `X__`; the Function App reads the one of tables, we do not."""

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
        if self.connection_string is not None and not isinstance(self.connection_string, SecretStr):
            raise ConfigurationError(
                f"{self.name}: a connection string is a SecretStr; StorageConnection.from_string makes one.",
                setting=self.name,
            )
        check_field_types(self)
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
        if "=" in text:  # what is no connection string at all is refused below, without a word of its text
            strange = [part for part in parts if part.lower() not in {one.lower() for one in _STRING_PARTS}]
            if any(not one.isalpha() for one in strange):
                raise ConfigurationError(
                    f"{name} is no connection string (its text is left out here, since it may be secret).",
                    setting=name,
                )
            refuse_unknown(strange, _STRING_PARTS, where=f"A part of the connection string {name}")
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
        _check_names(name, settings)
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


def _check_names(name: str, settings: Mapping[str, str]) -> None:
    """Refuse what would leave another account, or another identity, in force."""
    prefixes = (name, f"AzureWebJobs{name}")
    for prefix in prefixes:
        if prefix in settings and not settings[prefix].strip():
            raise ConfigurationError(
                f"{prefix} is set, but empty. Set it to a connection string, or unset it.", setting=prefix
            )
        below = [one.removeprefix(f"{prefix}__") for one in settings if one.startswith(f"{prefix}__")]
        refuse_unknown(below, _SETTINGS, where=f"A setting {prefix}__...")
    given = [
        one
        for prefix in prefixes
        for one in (prefix, f"{prefix}__queueServiceUri")
        if settings.get(one, "").strip()
    ]
    if len({settings[one].strip().rstrip("/") for one in given}) > 1:
        raise ConfigurationError(
            f"{' and '.join(given)} name the storage account each in its own way. Unset all but one: the "
            "Function App and this library may take different ones.",
            setting=given[0],
        )


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
