"""The modules of the Function App are imported by plain names, as the Functions host does it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest
from azure.storage.blob.aio import ContainerClient

from agent_tasks.local.azurite import StorageAddresses
from tests.functions.cases import DOCUMENTS

APP = Path(__file__).parents[2] / "azure_functions"


@pytest.fixture(scope="session", autouse=True)
def _app_on_path() -> None:
    if str(APP) not in sys.path:
        sys.path.insert(0, str(APP))


@pytest.fixture(scope="session")
def function_app(_app_on_path: None) -> ModuleType:
    """The app's main module."""
    return importlib.import_module("function_app")


@pytest.fixture(scope="session")
def queue_tool(_app_on_path: None) -> ModuleType:
    """The module that makes tools of functions."""
    return importlib.import_module("queue_tool")


@pytest.fixture(scope="session")
def queue_messages(_app_on_path: None) -> ModuleType:
    """The module that reads calls and writes answers."""
    return importlib.import_module("queue_messages")


@pytest.fixture(scope="session")
def responder(_app_on_path: None) -> ModuleType:
    """The module that decides what becomes of a delivery."""
    return importlib.import_module("responder")


@pytest.fixture(scope="session")
def answers(_app_on_path: None) -> ModuleType:
    """The module that keeps first answers."""
    return importlib.import_module("answers")


@pytest.fixture(scope="session")
def large_values(_app_on_path: None) -> ModuleType:
    """The module that puts large values into blobs."""
    return importlib.import_module("large_values")


@pytest.fixture
async def app_storage(
    azurite: StorageAddresses, queue_prefix: str, monkeypatch: pytest.MonkeyPatch, _app_on_path: None
) -> AsyncIterator[str]:
    """The app's settings lead to Azurite, with a table and containers of the test's own; the prefix."""
    monkeypatch.setenv("STORAGE", azurite.connection_string.get_secret_value())
    monkeypatch.setenv("ANSWERS_TABLE", f"{queue_prefix}answers")
    monkeypatch.setenv("LARGE_VALUES_CONTAINER", f"{queue_prefix}values")
    monkeypatch.setenv("DOCUMENTS_CONTAINER", f"{queue_prefix}documents")
    storage = importlib.import_module("storage")
    yield queue_prefix
    await storage.storage().close()


@pytest.fixture(scope="session")
def catalog(_app_on_path: None) -> ModuleType:
    """The module that lists the tools."""
    return importlib.import_module("catalog")


@pytest.fixture
async def store(azurite: StorageAddresses, app_storage: str) -> AsyncIterator[ContainerClient]:
    """The container of documents, with those that the cases read."""
    async with ContainerClient.from_connection_string(
        azurite.connection_string.get_secret_value(), f"{app_storage}documents"
    ) as container:
        await container.create_container()
        for name, content in DOCUMENTS.items():
            await container.upload_blob(name, content)
        yield container
