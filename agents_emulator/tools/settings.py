"""Settings of the tools: what the local service needs where the real one has connections and a cloud."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from agent_tasks.known_names import did_you_mean
from agent_tasks.queues import StorageConnection
from agents_emulator.addresses import is_local
from agents_emulator.tools.sandbox import Limits
from agents_emulator.yaml_files import YamlError, describe, parse


class ToolSettingsError(ValueError):
    """The tools file cannot be read; the message names the field and what is wrong with it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Secret(_Strict):
    """A value given directly or by the name of an environment variable."""

    value: SecretStr | None = Field(default=None, min_length=1)
    value_env: str | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.value_env is None):
            raise ValueError("give either value or value_env")
        return self

    def reveal(self) -> str:
        """Return the value. Raises `ToolSettingsError` if its environment variable is not set."""
        if self.value is not None:
            return self.value.get_secret_value()
        name = self.value_env or ""
        if name not in os.environ:
            raise ToolSettingsError(f"the environment variable {name}, named in the tools file, is not set")
        return os.environ[name]


class HostSecret(Secret):
    """A secret for some hosts alone: where a request goes is up to the agent's definition.

    Attributes:
        hosts: names and addresses that the secret is sent to, on any port or (`HOST:PORT`) on one; `*.NAME`
            stands for all below a name. By https, or to this machine.
    """

    hosts: tuple[str, ...] = Field(min_length=1)

    @field_validator("hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked_host(host, with_port=True) for host in hosts)

    def for_host(self, scheme: str, host: str, port: int | None) -> str:
        """Return the secret. Raises `ToolSettingsError` if it is not for this host, or cannot be had."""
        name = host.lower().strip("[]").rstrip(".")
        asked = (name, f"{name}:{port or {'http': 80, 'https': 443}.get(scheme)}")
        if not any(_matches(one, allowed) for one in asked for allowed in self.hosts):
            raise ToolSettingsError(f"the secret is not for {name}: it is for {', '.join(self.hosts)}")
        if scheme != "https" and not is_local(name):
            raise ToolSettingsError(f"the secret would travel unencrypted to {name}: use https")
        return self.reveal()


class Connection(HostSecret):
    """What a project connection stands for: a secret sent as a header or a query parameter."""

    header: str | None = None
    query: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.header is None) == (self.query is None):
            raise ValueError("give either header or query")
        return self


class ResearchLimits(_Strict):
    """Limits of one call of the deep research tool.

    Attributes:
        rounds: plans: the first, and those made after seeing what was found.
        queries: searches altogether.
        report_tokens: longest report, in tokens of the model.
        seconds: time for all of it.
    """

    rounds: int = Field(default=2, ge=1, le=10)
    queries: int = Field(default=6, ge=1, le=50)
    report_tokens: int = Field(default=1500, ge=50, le=20_000)
    seconds: float = Field(default=180.0, gt=0, le=3600)


_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_PORT = re.compile(r"(\]|^[^:]*):\d{1,5}$")


class BrowserSettings(_Strict):
    """What the browser of the tool `browser_automation` is, and may do.

    Attributes:
        executable: the Chromium; None: one of the system's, or Playwright's own.
        allowed_hosts: names and addresses that pages may come from and ask, on any port; `*.NAME` stands for
            all below a name.
        max_steps: actions of one call.
        seconds: time for all of them.
        page_characters: most text of a page that is shown to the model at once.
    """

    executable: Path | None = None
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "::1")
    max_steps: int = Field(default=15, ge=1, le=100)
    seconds: float = Field(default=120.0, gt=0, le=3600)
    page_characters: int = Field(default=4000, ge=100, le=100_000)

    @field_validator("allowed_hosts")
    @classmethod
    def _hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_checked_host(host) for host in hosts)

    def allows(self, address: str) -> bool:
        """Whether an address is http, https, ws or wss, and its host one of the allowed."""
        try:
            parts = urlsplit(address)
            host = (parts.hostname or "").rstrip(".")
        except ValueError:
            return False
        if parts.scheme not in ("http", "https", "ws", "wss"):
            return False
        return any(_matches(host, allowed) for allowed in self.allowed_hosts)


def _matches(host: str, allowed: str) -> bool:
    return host == allowed or (allowed.startswith("*.") and host.endswith(allowed[1:]))


def _checked_host(host: str, *, with_port: bool = False) -> str:
    """Return a host of a list in lower case, without brackets. Raises ValueError if it is none."""
    lowered = host.lower()
    name, _, port = lowered.rpartition(":") if with_port and _PORT.search(lowered) else (lowered, "", "")
    name = name.strip("[]")
    if not _HOST.fullmatch(name) and not _is_ipv6(name):
        raise ValueError(f"'{host}' is no name or address of a host; write no scheme and no path")
    return f"{name}:{port}" if port else name


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return "%" not in host


class StorageAccount(_Strict):
    """How to sign in to a storage account: by a connection string or by an identity of Azure.

    Attributes:
        value: the connection string itself.
        value_env: name of the environment variable that holds it.
        identity: `managedidentity`, or `default` for whatever `DefaultAzureCredential` finds.
        client_id: of a user-assigned identity.
    """

    value: SecretStr | None = Field(default=None, min_length=1)
    value_env: str | None = Field(default=None, min_length=1)
    identity: Literal["default", "managedidentity"] | None = None
    client_id: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if [self.value, self.value_env, self.identity].count(None) != 2:
            raise ValueError("give one of value, value_env and identity")
        return self

    def connection(self, address: str) -> StorageConnection:
        """Return the connection to the account at `address`.

        A connection string names its own address: that of a local emulator may stand for one of Azure.
        Raises `ToolSettingsError`, and `ConfigurationError` for what is no connection string.
        """
        if self.identity is not None:
            return StorageConnection(
                queue_endpoint=address, identity=self.identity, client_id=self.client_id, name=address
            )
        secret = Secret(value=self.value, value_env=self.value_env)
        return StorageConnection.from_string(secret.reveal(), name=address)


ANY_ADDRESS = "default"
"""Key of the account that answers for every address with none of its own."""


class ToolSettings(_Strict):
    """The tools file (`--tools-file`, YAML).

    Attributes:
        search_folder: documents from which the stand-ins for hosted search tools answer.
        assets: folder or file by address, or beginning of addresses, of the data sources `uri_asset`.
        connections: by connection id, for OpenAPI tools, each with the hosts that it is for.
        managed_identity: token by audience, for OpenAPI tools, each with the hosts that it is for.
        storage: by the address of its queues, for Azure Function tools; `default` for all others.
        allow_loopback_images: whether `image_url` may name an address of this machine.
        browser: what browser automation drives, and where it may go.
        research: limits of deep research.
        interpreter: limits of executed code; see `agents_emulator.tools.sandbox.Limits`.
        unisolated_code: whether code of a model runs with all that the service may do; else in isolation,
            or not at all.
        request_seconds: time limit of one HTTP request of a tool.
        response_bytes: size limit of one answer to a tool.
    """

    search_folder: Path | None = None
    assets: dict[Annotated[str, Field(min_length=1)], Path] = {}
    connections: dict[str, Connection] = {}
    managed_identity: dict[str, HostSecret] = {}
    storage: dict[str, StorageAccount] = {}
    allow_loopback_images: bool = False
    browser: BrowserSettings = BrowserSettings()
    research: ResearchLimits = ResearchLimits()
    interpreter: Limits = Limits()
    unisolated_code: bool = False
    request_seconds: float = Field(default=30.0, gt=0, le=300)
    response_bytes: int = Field(default=1024 * 1024, ge=1)

    @field_validator("storage")
    @classmethod
    def _identities_for_named_accounts(cls, storage: dict[str, StorageAccount]) -> dict[str, StorageAccount]:
        any_address = storage.get(ANY_ADDRESS)
        if any_address is not None and any_address.identity is not None:
            raise ValueError(
                f"'{ANY_ADDRESS}' would sign in with an identity to whatever address an agent's definition "
                "names: give it a connection string, or name the address of the account"
            )
        return storage

    @field_validator("interpreter", mode="before")
    @classmethod
    def _known_limits(cls, limits: Any) -> Any:
        """Pydantic drops what a dataclass does not know."""
        known = [one.name for one in fields(Limits)]
        for name in limits if isinstance(limits, dict) else ():
            if name not in known:
                raise ValueError(f"'{name}' is not known. {did_you_mean(str(name), known)}")
        return limits


def load_tool_settings(path: Path | None, search_folder: Path | None = None) -> ToolSettings:
    """Read the tools file; `search_folder` replaces the one in it. Paths in the file are relative to it.

    Raises `ToolSettingsError`.
    """
    settings = ToolSettings()
    if path is not None:
        try:
            settings = ToolSettings.model_validate(parse(path.read_text(encoding="utf-8")) or {})
        except (OSError, UnicodeDecodeError, YamlError) as error:
            raise ToolSettingsError(f"cannot read the tools file {path}: {error}") from error
        except ValidationError as error:
            raise ToolSettingsError(
                f"{path} is not a valid tools file: {describe(error, ToolSettings)}"
            ) from error
        if settings.search_folder is not None:
            settings = settings.model_copy(update={"search_folder": path.parent / settings.search_folder})
        if settings.browser.executable is not None:
            executable = path.parent / settings.browser.executable
            browser = settings.browser.model_copy(update={"executable": executable})
            settings = settings.model_copy(update={"browser": browser})
        assets = {uri: path.parent / target for uri, target in settings.assets.items()}
        settings = settings.model_copy(update={"assets": assets})
    if search_folder is not None:
        settings = settings.model_copy(update={"search_folder": search_folder})
    if settings.search_folder is not None and not settings.search_folder.is_dir():
        raise ToolSettingsError(f"the search folder {settings.search_folder} is not a folder")
    for uri, target in settings.assets.items():
        if not target.exists():
            raise ToolSettingsError(f"assets: {target}, which '{uri}' stands for, does not exist")
    return settings
