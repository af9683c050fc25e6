"""The files of a Function App's folder that tell its host what to do.

| file | read from it |
| --- | --- |
| `host.json` | `functionTimeout`, `extensions.queues`; the defaults are those of Functions 4.x |
| `local.settings.json`, else its `.example` | `Values`: app settings; those of the environment win |
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from agent_tasks.errors import ConfigurationError
from agent_tasks.local.child_environment import for_function_app

__all__ = ["AppFolder", "HostOptions", "QueueOptions"]

MAIN_FILE = "function_app.py"
SETTINGS_FILES = ("local.settings.json", "local.settings.json.example")


class _Options(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True, populate_by_name=True)


class QueueOptions(_Options):
    """`extensions.queues` of host.json. Times are in seconds here, `hh:mm:ss` in the file."""

    batch_size: int = Field(default=16, ge=1, le=32)
    """Messages fetched at once."""
    new_batch_threshold: int | None = Field(default=None, ge=0)
    """Fetch again when no more than this are at work; None: half a batch for each processor."""
    visibility_timeout: float = Field(default=0.0, ge=0)
    """How long a message stays hidden after it has failed."""
    max_dequeue_count: int = Field(default=5, ge=1)
    """The try after whose failure a message goes into the poison queue."""
    max_polling_interval: float = Field(default=60.0, ge=0.1)
    """Longest pause between two looks into an empty queue."""
    message_encoding: Literal["base64", "none"] = "base64"
    """What stands in a queue: base64 of the text, or the text itself."""

    @field_validator("visibility_timeout", "max_polling_interval", mode="before")
    @classmethod
    def _as_seconds(cls, value: Any) -> Any:
        return _seconds(value)

    @field_validator("message_encoding", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @property
    def threshold(self) -> int:
        """`new_batch_threshold`, or its default on this machine."""
        if self.new_batch_threshold is not None:
            return self.new_batch_threshold
        return self.batch_size // 2 * (os.cpu_count() or 1)


class HostOptions(_Options):
    """What is read from host.json."""

    function_timeout: float | None = 1800.0
    """Seconds a function may take; None (`"-1"` in the file): as long as it likes."""
    queues: QueueOptions = QueueOptions()

    @field_validator("function_timeout", mode="before")
    @classmethod
    def _as_seconds(cls, value: Any) -> Any:
        return None if value in ("-1", -1, "-00:00:01") else _seconds(value)


@dataclass(frozen=True)
class AppFolder:
    """A folder with a Function App. Raises ConfigurationError where it is none; see `read`."""

    path: Path
    options: HostOptions
    values: Mapping[str, str] = field(repr=False)
    """App settings of local.settings.json; may hold secrets."""

    @classmethod
    def read(cls, path: Path) -> AppFolder:
        """Reads the folder's files. Raises ConfigurationError, which names the file and what is wrong."""
        path = path.expanduser().absolute()
        if not (path / MAIN_FILE).is_file():
            raise ConfigurationError(
                f"{path} has no {MAIN_FILE}: give the folder of a Function App (Python, model v2)."
            )
        host = _json(path / "host.json", needed=True)
        name = next((name for name in SETTINGS_FILES if (path / name).exists()), SETTINGS_FILES[0])
        local = _json(path / name, needed=False)
        if local.get("IsEncrypted"):
            raise ConfigurationError(
                f"{path / name} is encrypted, and only the Functions Core Tools can read it. "
                "Decrypt it: func settings decrypt."
            )
        values = local.get("Values") or {}
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise ConfigurationError(f"{path / name}: Values has to map names to texts.")
        try:
            timeout = {"functionTimeout": host["functionTimeout"]} if "functionTimeout" in host else {}
            queues = (host.get("extensions") or {}).get("queues") or {}
            options = HostOptions.model_validate({**timeout, "queues": queues})
        except (ValidationError, AttributeError) as error:
            raise ConfigurationError(f"{path / 'host.json'} is not usable: {_explained(error)}") from None
        return cls(path, options, values)

    def settings(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The app's environment: the settings of the file, under those of the environment of the same names.

        What else is in the environment stays out, but for what every program needs; see
        `agent_tasks.local.child_environment`.
        """
        return for_function_app(self.values, environment)


def _json(path: Path, *, needed: bool) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        if needed:
            raise ConfigurationError(
                f"{path.parent} has no {path.name}, which every Function App has."
            ) from None
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path} has to be a JSON object.")
    return value


def _seconds(value: Any) -> Any:
    """`[d.]hh:mm:ss[.f]` as seconds; anything else as it is."""
    if not isinstance(value, str):
        return value
    days, _, rest = (
        value.rpartition(".") if value.count(":") == 2 and "." in value.split(":")[0] else ("", "", value)
    )
    try:
        hours, minutes, seconds = rest.split(":")
        return float(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return value


def _explained(error: ValidationError | AttributeError) -> str:
    if not isinstance(error, ValidationError):
        return "extensions.queues has to be an object"
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    )
