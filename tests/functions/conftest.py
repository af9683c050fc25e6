"""The modules of the Function App are imported by plain names, as the Functions host does it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
