"""Where a person says how this library runs: one class, one source for each value.

| variable | what it decides, and its default |
| --- | --- |
| `PROJECT_ENDPOINT` | the Agents service; none: the local service |
| `MODEL_DEPLOYMENT_NAME` | the model deployment of agents; none: what the pipeline file says |
| `PREFECT_API_URL` | the Prefect server; none: a server of the state folder |
| `AGENT_TASKS_STATE_DIR` | the folder of journal, local servers and logs; `.agent-tasks` |
| `AGENT_TASKS_JOURNAL_URL` | the journal's database; SQLite in the state folder |
| `AGENT_TASKS_LEASE_SECONDS` | how long a claim in the journal outlives a silent worker; 60 seconds |
| `AGENT_TASKS_CREDENTIAL` | how to sign in to Azure, a `CredentialKind`; `default` |
| `AGENT_TASKS_TOKEN` | the bearer token, with `AGENT_TASKS_CREDENTIAL=token`; none |
| `AGENT_TASKS_LOCAL_MODEL` | the model of the local service; `smollm2` |
| `AGENT_TASKS_LOCAL_TOOLS_FILE` | the tools file of the local service; none |
| `AGENT_TASKS_START_TIMEOUT` | how long a local server may take to start; 120 seconds |

Order, later wins: the default, the file `.env` in the working directory, the environment, an argument of
`Settings(...)`. A variable that is set but empty counts as not set. Nothing here imports Prefect: these
values decide Prefect's home, so they are read before it.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from agent_tasks.errors import ConfigurationError
from agent_tasks.redaction import has_secret, redacted

__all__ = ["CredentialKind", "Settings", "environment"]

PREFIX = "AGENT_TASKS_"


class CredentialKind(StrEnum):
    """How to sign in: which credential of azure-identity, or a ready-made token."""

    DEFAULT = "default"
    MANAGED_IDENTITY = "managed_identity"
    WORKLOAD = "workload"
    CLI = "cli"
    ENVIRONMENT = "environment"
    TOKEN = "token"  # noqa: S105 - the name of a kind, not a secret


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
    )

    # The three names without our prefix carry an alias, since the prefix is put before unaliased names only.
    project_endpoint: str | None = Field(default=None, validation_alias="project_endpoint")
    """Address of the project at the Agents service; None: the local service of the state folder."""
    model_deployment_name: str | None = Field(default=None, validation_alias="model_deployment_name")
    """Model deployment that agents use unless the pipeline file names another."""
    prefect_api_url: str | None = Field(default=None, validation_alias="prefect_api_url")
    """API address of a Prefect server; None: a server of the state folder is started."""

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
    start_timeout: float = Field(default=120.0, gt=0, le=3600)
    """Seconds a local server may take until it answers."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _explained(error) from None
        except (SettingsError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"The file .env in the working directory cannot be read: {error}. Mend or remove it."
            ) from error

    @property
    def local_model_name(self) -> str:
        """The model of the local service, without a password or key in its address."""
        return redacted(self.local_model.get_secret_value())

    @field_validator("project_endpoint", "prefect_api_url")
    @classmethod
    def _is_web_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        value = value.strip().rstrip("/")
        try:
            parts = urlsplit(value)
        except ValueError:
            raise ValueError("is not a web address") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not a web address; it starts with https:// (or http:// on this machine)")
        if "@" in parts.netloc or has_secret(value):
            is_prefect = info.field_name == "prefect_api_url"
            remedy = (
                "give them as PREFECT_API_KEY, or PREFECT_API_AUTH_STRING=USER:PASSWORD"
                if is_prefect
                else "leave it out, and sign in as AGENT_TASKS_CREDENTIAL says"
            )
            raise ValueError(f"holds a user, password or key, and addresses are shown and stored: {remedy}")
        return value

    @field_validator("state_dir", mode="after")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise ValueError(f"names {path}, which is not a folder")
        return path

    @field_validator("local_tools_file", mode="after")
    @classmethod
    def _existing_file(cls, value: Path | None) -> Path | None:
        path = value.expanduser().absolute() if value is not None else None
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
        if isinstance(values, dict) and not values.get("journal_url"):
            state = Path(values.get("state_dir") or cls.model_fields["state_dir"].default)
            values = {
                **values,
                "journal_url": f"sqlite+aiosqlite:///{state.expanduser().absolute()}/journal.db",
            }
        return values

    @model_validator(mode="after")
    def _token_and_kind_agree(self) -> Settings:
        if self.credential is CredentialKind.TOKEN and self.token is None:
            raise ValueError("AGENT_TASKS_CREDENTIAL is token, so AGENT_TASKS_TOKEN must hold the token")
        return self


def environment() -> dict[str, str]:
    """The environment with the file `.env` of the working directory below it, as `Settings` reads them.

    For settings whose names a person chooses, such as those of a storage connection.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    from dotenv import dotenv_values

    try:
        file = dotenv_values(".env")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The file .env in the working directory cannot be read: {error}. Mend or remove it."
        ) from error
    return {**{name: value for name, value in file.items() if value}, **os.environ}


def _explained(error: ValidationError) -> ConfigurationError:
    """One message for all that is wrong, each with its variable; values are left out, they may be secret."""
    lines = []
    first: str | None = None
    for problem in error.errors(include_url=False, include_input=False):
        field = str(problem["loc"][0]).lower() if problem["loc"] else ""
        variable = _variable(field)
        first = first or variable
        text = problem["msg"].removeprefix("Value error, ")
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
