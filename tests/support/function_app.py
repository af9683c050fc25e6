"""The repository's Function App on the local host, in a copy of its folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.local.functions_host import AppFolder, FunctionsHost

SOURCE = Path(__file__).resolve().parents[2] / "azure_functions"


def app_settings(storage: StorageAddresses, prefix: str) -> dict[str, str]:
    """The app's settings: an Azurite, with a table and containers under a prefix."""
    return {
        "STORAGE": storage.connection_string.get_secret_value(),
        "ANSWERS_TABLE": f"{prefix}answers",
        "LARGE_VALUES_CONTAINER": f"{prefix}values",
        "DOCUMENTS_CONTAINER": f"{prefix}documents",
    }


@asynccontextmanager
async def function_app(
    storage: StorageAddresses, prefix: str, folder: Path, *, plain: bool = False
) -> AsyncIterator[FunctionsHost]:
    """Run a copy of the app in `folder`; its queues have their usual names."""
    copy = folder / "function_app"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__", "local.settings.json"))
    app = AppFolder.read(copy)
    settings = {**app.settings(os.environ), **app_settings(storage, prefix)}
    async with FunctionsHost(app, settings, plain=plain) as host:
        yield host
