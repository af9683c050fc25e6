"""What the processes that we start find in their environment: what each needs, and nothing else.

A caller's environment holds tokens and passwords of many things. A child gets what `BASE` names, and:

- Prefect server of the state folder: proxies (its automations call webhooks); no `PREFECT_*` of the person's.
- Local Agents service: with an `openai:` model that model's key and proxies; with storage accounts in its
  tools file proxies too; the variables that the file names as `value_env`; those of an Azure identity, where
  the file has an `identity`.
- Reading process of documents (`agent_tasks.documents.reading_pool`): nothing more.
- Azurite: nothing more. npm, which installs it: proxies, `NPM_*`, `npm_config_*`.
- App process of the functions host: proxies, the app's settings by their names in `local.settings.json`,
  those of an Azure identity where one's name has `__`.
- Chromium and executed code: neither `BASE` nor anything else of the caller's; the local service sets `HOME`
  and `PATH`.

Servers get it without what differs between terminals (`agent_tasks.local.surroundings.settled`). The guardian
of a server has the server's environment. No secret is in an argument: all users of a machine may read those.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_tasks.base_environment import picked
from agent_tasks.secret_arguments import MODEL_KEY, MODEL_VARIABLE

__all__ = [
    "for_azurite",
    "for_function_app",
    "for_npm",
    "for_prefect_server",
    "for_service",
]

PROXIES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"))
"""Proxies; their addresses may hold passwords, so only what speaks to other machines gets them."""
_IDENTITY_PREFIXES = ("AZURE_", "IDENTITY_", "MSI_", "IMDS_")
_APP_PREFIXES = ("FUNCTIONS_", "AzureWebJobs", "AzureFunctionsJobHost__", "WEBSITE_")


def for_prefect_server() -> dict[str, str]:
    """The environment of the Prefect server of a state folder."""
    found = picked(os.environ, PROXIES)
    # It runs no programs; so one that a terminal has started and one of a time table's are the same.
    found.pop("PATH", None)
    return found


def for_service(model: str, tools_file: Path | None) -> dict[str, str]:
    """The environment of a local Agents service.

    Args:
        model: its model, which is handed over here since its address may hold a password.
        tools_file: its tools file; which variables that names is looked up in it.
    """
    tools = _read(tools_file) if tools_file is not None else None
    is_remote = model.startswith("openai:")
    goes_out = is_remote or _has_key(tools, "storage")
    names = {
        *(PROXIES if goes_out else ()),
        *([MODEL_KEY] if is_remote else ()),
        *_values_of(tools, "value_env"),
    }
    prefixes = _IDENTITY_PREFIXES if _has_key(tools, "identity") else ()
    return picked(os.environ, names, prefixes) | {MODEL_VARIABLE: model}


def for_azurite() -> dict[str, str]:
    """The environment of Azurite."""
    return picked(os.environ)


def for_npm() -> dict[str, str]:
    """The environment of npm: its own settings may name a registry and how to sign in there."""
    return picked(os.environ, PROXIES, ("NPM_", "npm_config_"))


def for_function_app(values: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a Function App: its settings, under those of the environment that have their names.

    Args:
        values: the app settings of its folder; an empty one lets the variable of that name in, and is not
            set otherwise. A connection may be given in its identity form there or in the
            environment: `STORAGE` stands for `STORAGE__queueServiceUri` too.
        environment: the environment, with the file `.env`.
    """
    prefixes = (*_APP_PREFIXES, *(f"{name.partition('__')[0]}__" for name in values))
    names = {*PROXIES, *values}
    given = {name: value for name, value in values.items() if value}
    app = {**given, **picked(environment, names, prefixes)}
    if any("__" in name for name in app):
        app = {**picked(environment, (), _IDENTITY_PREFIXES), **app}
    return app


def _read(path: Path) -> Any:
    """What is in a tools file; nothing if it is none: the service says what is wrong with it."""
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _has_key(value: Any, key: str) -> bool:
    return bool(_found(value, key))


def _values_of(value: Any, key: str) -> set[str]:
    return {found for found in _found(value, key) if isinstance(found, str)}


def _found(value: Any, key: str) -> list[Any]:
    """Whatever stands under a key, at any depth."""
    if isinstance(value, list):
        return [found for item in value for found in _found(item, key)]
    if not isinstance(value, dict):
        return []
    here = [value[key]] if key in value else []
    return here + [found for item in value.values() for found in _found(item, key)]
