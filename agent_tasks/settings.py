"""Where a person says how this library runs: one class, one source for each value.

| variable | what it decides, and its default |
| --- | --- |
| `PROJECT_ENDPOINT` | the Agents service; none: the local service |
| `AGENT_TASKS_SERVICE` | a `ServiceKind`: `classic`, `responses` (its successor), or `auto`; `classic` |
| `OPENAI_BASE_URL` | with `responses`: any server of responses, in place of a project; none |
| `OPENAI_API_KEY` | the key for it; none |
| `MODEL_DEPLOYMENT_NAME` | the model deployment of agents; none: what the pipeline file says |
| `PREFECT_API_URL` | the Prefect server; none: a server of the state folder |
| `AGENT_TASKS_STATE_DIR` | the folder of journal, local servers and logs; `.agent-tasks` |
| `AGENT_TASKS_JOURNAL_URL` | the journal's database; SQLite in the state folder |
| `AGENT_TASKS_LEASE_SECONDS` | how long a claim in the journal outlives a silent worker; 60 seconds |
| `AGENT_TASKS_CREDENTIAL` | how to sign in to Azure, a `CredentialKind`; `default` |
| `AGENT_TASKS_TOKEN` | the bearer token, with `AGENT_TASKS_CREDENTIAL=token`; none |
| `AGENT_TASKS_LOCAL_MODEL` | the model of the local service; `smollm2` |
| `AGENT_TASKS_LOCAL_TOOLS_FILE` | the tools file of the local service; none |
| `AGENT_TASKS_SHOW_CONTENT` | whether the dashboard shows what was said in turns, without secrets; true |
| `AGENT_TASKS_PRICES` | a table of what tokens cost (docs/operating.md); none: money is not shown |
| `AGENT_TASKS_DESK_URL` | where people reach the review desk, for links on the dashboard; none |
| `AGENT_TASKS_TRANSCRIPT_DAYS` | how long what was said in turns is kept; 14 days, 0: it is not |
| `AGENT_TASKS_START_TIMEOUT` | how long a local server may take to start; 120 seconds |
| `AGENT_TASKS_KEEP_SERVERS` | how long local servers stay after a run; 600 seconds, 0 with `CI` set |

Order, later wins: the default, the file `.env` in the working directory, the environment, an argument of
`Settings(...)`. Nothing here imports Prefect: these values decide Prefect's home, so they are read before it.

A mistake never leaves a default in force: unknown names (`AGENT_TASKS_...`, and slips of the names above) are
refused, so are variables that are set but empty, and settings that contradict each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from agent_tasks.errors import ConfigurationError
from agent_tasks.known_names import did_you_mean, is_a_slip_of, refuse_unknown
from agent_tasks.loopback import is_loopback
from agent_tasks.redaction import has_secret, redacted

__all__ = ["CredentialKind", "ServiceKind", "Settings", "environment"]

PREFIX = "AGENT_TASKS_"

OTHER_VARIABLES = frozenset(
    f"{PREFIX}{name}"
    for name in ("CRASH_POINT", "ALL_CRASH_POINTS", "ALL_ATTACKS", "JOURNAL_EXAMPLES", "QUEUE_CALLS")
)
"""Variables with our prefix that are no settings: of `agent_tasks.crashpoints` and of our tests."""

_OF_OTHERS_TOO = frozenset({"OPENAI_BASE_URL", "OPENAI_API_KEY"})
"""Settings that other programs read as well: what looks like a slip of them may be theirs."""

_TEST_PREFIX = f"{PREFIX}TEST_"


class CredentialKind(StrEnum):
    """How to sign in: which credential of azure-identity, or a ready-made token."""

    DEFAULT = "default"
    MANAGED_IDENTITY = "managed_identity"
    WORKLOAD = "workload"
    CLI = "cli"
    ENVIRONMENT = "environment"
    TOKEN = "token"  # noqa: S105 - the name of a kind, not a secret


class ServiceKind(StrEnum):
    """Which service is spoken to."""

    CLASSIC = "classic"
    """Assistants, threads and runs; retired on 2027-03-31."""
    RESPONSES = "responses"
    """Its successor: agents with versions, conversations and responses."""
    INLINE = "inline"
    """Any server of responses, with the agent in each request. It follows from `OPENAI_BASE_URL`."""
    AUTO = "auto"
    """The endpoint is asked, once."""


class Settings(BaseSettings):
    """The settings of this process; see the table at the top of the module.

    Raises:
        ConfigurationError: a value is not usable; the message names the variable and the remedy.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    # The names without our prefix carry an alias, since the prefix is put before unaliased names only.
    project_endpoint: str | None = Field(default=None, validation_alias="project_endpoint")
    """Address of the project at the Agents service; None: the local service of the state folder."""
    model_deployment_name: str | None = Field(default=None, validation_alias="model_deployment_name")
    """Model deployment that agents use unless the pipeline file names another."""
    openai_base_url: str | None = Field(default=None, validation_alias="openai_base_url")
    """Address of any server of responses; used with `service=responses` alone, other programs read it too."""
    openai_api_key: SecretStr | None = Field(default=None, validation_alias="openai_api_key")
    """The key for that server."""
    prefect_api_url: str | None = Field(default=None, validation_alias="prefect_api_url")
    """API address of a Prefect server; None: a server of the state folder is started."""

    service: ServiceKind = ServiceKind.CLASSIC
    """Which service the endpoint is; `service_kind` is what follows."""
    state_dir: Path = Path(".agent-tasks")
    """Folder of everything this project keeps; made absolute against the working directory."""
    journal_url: SecretStr = SecretStr("")
    """SQLAlchemy address of the journal; may hold a password."""
    lease_seconds: float = Field(default=60.0, ge=2, le=3600)
    """Seconds that a worker's claims hold without a sign of life; what a dead one held is taken over then."""
    credential: CredentialKind = CredentialKind.DEFAULT
    """How to sign in to the service."""
    token: SecretStr | None = None
    """Bearer token, used with `credential=token`."""
    local_model: SecretStr = SecretStr("smollm2")
    """Model of the local service: `smollm2`, `scripted:RULES.yaml` or `openai:BASE_URL[#MODEL]`.

    The address may hold a password or a key; `local_model_name` is what may be shown."""
    local_tools_file: Path | None = None
    """Settings of the local service's tools (docs/local-service.md); made absolute."""
    show_content: bool = True
    """Whether prompts, answers and outputs of tools are shown on the dashboard and kept in transcripts."""
    prices: Path | None = None
    """Table of what tokens of each model cost (docs/operating.md); made absolute."""
    desk_url: str | None = None
    """Address of the review desk that people share, for links from the dashboard to it."""
    transcript_days: float = Field(default=14.0, ge=0, le=3650)
    """Days for which the journal keeps what was said in turns, without secrets; 0: nothing is kept."""
    start_timeout: float = Field(default=120.0, gt=0, le=3600)
    """Seconds a local server may take until it answers."""
    keep_servers: float = Field(default_factory=lambda: _kept_by_default(), ge=0, le=86_400)
    """Seconds that local servers stay after `agent-tasks run` while nobody uses them; 0: they end with it."""

    def __init__(self, **values: Any) -> None:
        own = [name for name in values if not name.startswith("_")]
        refuse_unknown(own, type(self).model_fields.keys(), where="An argument of Settings")
        _check_environment()
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explained(error) from None
        except (SettingsError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The file .env in the working directory cannot be read: {error}. Fix or remove it."
            ) from error
        # An argument may put another kind in the place of the environment's, whose token is not used then.
        overridden = "credential" in values and "token" not in values
        if self.token is not None and self.credential is not CredentialKind.TOKEN and not overridden:
            raise ConfigurationError(
                f"AGENT_TASKS_TOKEN holds a token, but AGENT_TASKS_CREDENTIAL is {self.credential.value}, "
                "which uses none: set it to token, or unset AGENT_TASKS_TOKEN.",
                setting="AGENT_TASKS_TOKEN",
            )

    @property
    def local_model_name(self) -> str:
        """The model of the local service, without a password or key in its address."""
        return redacted(self.local_model.get_secret_value())

    @property
    def service_kind(self) -> ServiceKind:
        """The service that is spoken to: `service`, or `inline` where a server of responses is named."""
        is_inline = self.service is not ServiceKind.CLASSIC and self.openai_base_url is not None
        return ServiceKind.INLINE if is_inline else self.service

    @property
    def service_endpoint(self) -> str | None:
        """Its address; None: the local service."""
        return self.openai_base_url if self.service_kind is ServiceKind.INLINE else self.project_endpoint

    @field_validator("service", mode="before")
    @classmethod
    def _can_be_said(cls, value: str) -> str:
        if value not in (ServiceKind.CLASSIC, ServiceKind.RESPONSES, ServiceKind.AUTO):
            raise ValueError(
                "should be classic, responses or auto; for a server of responses set OPENAI_BASE_URL too"
            )
        return value

    @field_validator("project_endpoint", "prefect_api_url", "openai_base_url", "desk_url")
    @classmethod
    def _is_web_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        value = value.strip().rstrip("/")
        shape = "is not a web address; it starts with https:// (or http:// on this machine)"
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError as error:  # the message of an address in brackets that is none, or of its port
            raise ValueError(
                shape if "IP" in str(error) else "has a port that is no number below 65536"
            ) from error
        if parts.scheme not in ("http", "https") or not parts.hostname or any(map(str.isspace, value)):
            raise ValueError(shape)
        if port == 0:
            raise ValueError("has the port 0, on which nothing listens")
        if "@" in parts.netloc or has_secret(value):
            is_prefect = info.field_name == "prefect_api_url"
            remedy = (
                "give them as PREFECT_API_KEY, or PREFECT_API_AUTH_STRING=USER:PASSWORD"
                if is_prefect
                else "leave it out, and sign in as AGENT_TASKS_CREDENTIAL says"
            )
            raise ValueError(f"holds a user, password or key, and addresses are shown and stored: {remedy}")
        if parts.query or parts.fragment:
            raise ValueError("has a query or a fragment; it ends with its path")
        return value

    @field_validator("project_endpoint", "openai_base_url")
    @classmethod
    def _is_project(cls, value: str | None, info: ValidationInfo) -> str | None:
        parts = urlsplit(value or "https://none/project")
        if not parts.path.strip("/"):
            is_project = info.field_name == "project_endpoint"
            raise ValueError(f"has no path; it ends in {'/api/projects/PROJECT' if is_project else '/v1'}")
        if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            raise ValueError("is plain http to another machine, and a token is not sent over it; use https")
        return value

    @field_validator("model_deployment_name")
    @classmethod
    def _not_blank(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("is blank")
        return value.strip() if value is not None else None

    @field_validator("openai_api_key", "token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value() if value is not None else "none"
        if not (text.isascii() and text.isprintable() and " " not in text):
            raise ValueError("holds a blank, a line end or another character that no token has")
        return value

    @field_validator("journal_url")
    @classmethod
    def _is_journal_address(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if value.get_secret_value() == _journal_below(info.data.get("state_dir")):
            return value  # our own default; SQLAlchemy, which takes long to import, is not asked
        from agent_tasks.journal.address import journal_address

        try:
            journal_address(value.get_secret_value())
        except ConfigurationError as error:
            raise ValueError(str(error).removeprefix(f"{PREFIX}JOURNAL_URL ")) from None
        return value

    @field_validator("state_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = _expanded(value)
        existing = next((one for one in (path, *path.parents) if one.exists()), path)
        if not existing.is_dir():
            below = f"names {path}, which is" if existing == path else f"lies below {existing}, which is"
            raise ValueError(f"{below} not a folder")
        return path

    @field_validator("local_tools_file", "prices", mode="after")
    @classmethod
    def _existing_file(cls, value: Path | None) -> Path | None:
        path = _expanded(value) if value is not None else None
        if path is not None and not path.is_file():
            raise ValueError(f"names {path}, which is no file")
        return path

    @field_validator("local_model")
    @classmethod
    def _known_model(cls, value: SecretStr) -> SecretStr:
        kind, _, rest = value.get_secret_value().partition(":")
        if (kind == "smollm2" and not rest) or (kind in ("scripted", "openai") and rest):
            return value
        raise ValueError("must be smollm2, scripted:RULES.yaml or openai:BASE_URL[#MODEL]")

    @model_validator(mode="before")
    @classmethod
    def _journal_in_state_dir(cls, values: Any) -> Any:
        """The journal's default depends on the state folder, so it is filled in once, before validation."""
        if isinstance(values, dict) and values.get("journal_url") is None:
            state = Path(values.get("state_dir") or cls.model_fields["state_dir"].default)
            try:
                state = _expanded(state)
            except ValueError:
                return values  # told about the folder itself
            values = {**values, "journal_url": _journal_below(state)}
        return values

    @model_validator(mode="after")
    def _one_service(self) -> Settings:
        if self.service is not ServiceKind.CLASSIC and self.project_endpoint and self.openai_base_url:
            raise ValueError(
                f"PROJECT_ENDPOINT and OPENAI_BASE_URL both name a service for AGENT_TASKS_SERVICE="
                f"{self.service.value}; unset one of them"
            )
        return self

    @model_validator(mode="after")
    def _token_and_kind_agree(self) -> Settings:
        if self.credential is CredentialKind.TOKEN and self.token is None:
            raise ValueError("AGENT_TASKS_CREDENTIAL is token, so AGENT_TASKS_TOKEN must hold the token")
        return self


def _kept_by_default() -> float:
    """Seconds; a machine of continuous integration is left as it was found."""
    return 0.0 if os.environ.get("CI") else 600.0


def environment() -> dict[str, str]:
    """The environment with the file `.env` of the working directory below it, as `Settings` reads them.

    For settings whose names a person chooses, such as those of a storage connection.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    return {**{name: value for name, value in _env_file().items() if value}, **os.environ}


def _env_file() -> dict[str, str | None]:
    """What the file `.env` of the working directory says; nothing if there is none."""
    from dotenv import dotenv_values

    try:
        return dotenv_values(".env")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file .env in the working directory cannot be read: {error}. Fix or remove it."
        ) from error


def _check_environment() -> None:
    """Refuse what pydantic would let pass: unknown names, empty values, a folder that moves with us."""
    known = {name for field in Settings.model_fields if (name := _variable(field))}
    ours = known - _OF_OTHERS_TOO
    file = _env_file()
    for place, found in (("the file .env", file), ("the environment", os.environ)):
        for name in found:
            _refuse_slip(name.upper(), ours, place)
    given: Mapping[str, str | None] = {
        name.upper(): value for found in (file, os.environ) for name, value in found.items()
    }
    for name in sorted((known - _OF_OTHERS_TOO) & given.keys()):
        if given[name] == "" or given[name] is None:
            raise ConfigurationError(
                f"{name} is set, but empty. Give it a value, or unset it: then its default holds.",
                setting=name,
            )
    state = next((value for name, value in os.environ.items() if name.upper() == f"{PREFIX}STATE_DIR"), None)
    if state is not None and not state.startswith(("/", "~")):
        raise ConfigurationError(
            f"{PREFIX}STATE_DIR is a relative path: from another working directory it would be another "
            "folder, with another journal, and all would be done and paid for again. Give the whole path.",
            setting=f"{PREFIX}STATE_DIR",
        )


def _refuse_slip(name: str, known: set[str], place: str) -> None:
    """Refuse a variable that is meant for us and that nothing reads."""
    if name in known or name in OTHER_VARIABLES or name.startswith(_TEST_PREFIX):
        return
    meant = is_a_slip_of(name, known)
    if meant is None and not name.startswith(PREFIX):
        return
    unprefixed = name.removeprefix(PREFIX)
    remedy = f"Did you mean '{meant or unprefixed}'?"
    if meant is None and unprefixed not in known:
        remedy = did_you_mean(name, known)
    raise ConfigurationError(f"{name} in {place} is no setting. {remedy} Nothing was started.", setting=name)


def _expanded(path: Path) -> Path:
    """An absolute path. Raises ValueError for the home folder of nobody."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("names the home folder of a user who is not there") from error


def _journal_below(state: Path | None) -> str:
    """The journal's address unless another is given."""
    return f"sqlite+aiosqlite:///{state}/journal.db"


def _explained(error: ValidationError) -> ConfigurationError:
    """One message for all that is wrong, each with its variable; values are left out, they may be secret."""
    lines = []
    first: str | None = None
    for problem in error.errors(include_url=False, include_input=False):
        field = str(problem["loc"][0]).lower() if problem["loc"] else ""
        variable = _variable(field)
        first = first or variable
        text = problem["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
        lines.append(f"{variable} {text}" if variable else text)
    return ConfigurationError(
        "; ".join(lines) + ". Set it in the environment or in the file .env of the working directory.",
        setting=first,
    )


def _variable(field: str) -> str | None:
    """The environment variable of a field."""
    if field not in Settings.model_fields:
        return None
    unprefixed = Settings.model_fields[field].validation_alias is not None
    return field.upper() if unprefixed else PREFIX + field.upper()
