"""The function a pipeline file names."""

import sys
from pathlib import Path

import pytest

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools import load_function

MODULE = '''
from __future__ import annotations
from agent_tasks.tools import ToolContext, function_tool

GREETING = "hello"

def greet(name: str) -> str:
    """Greet."""
    return f"{GREETING} {name}"

@function_tool(idempotent=True)
def wave(context: ToolContext) -> str:
    return context.call_id
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greetings.py").write_text(MODULE)
    return tmp_path


def test_a_module_next_to_the_pipeline_file(folder: Path) -> None:
    before = list(sys.path)
    assert load_function("greetings:greet", folder)("you") == "hello you"
    assert load_function("greetings:wave", folder).idempotent
    assert sys.path == before
    assert "greetings" not in sys.modules


def test_a_changed_file_is_loaded_again(folder: Path) -> None:
    first = load_function("greetings:greet", folder)
    (folder / "greetings.py").write_text(MODULE.replace("hello", "good day"))
    assert load_function("greetings:greet", folder)("you") == "good day you"
    assert first("you") == "hello you"


def test_an_installed_module() -> None:
    with pytest.raises(ConfigurationError, match="type hint"):
        load_function("textwrap:dedent")  # found, but not described by type hints


@pytest.mark.parametrize(
    "reference",
    [
        "greetings",
        "greetings:",
        ":greet",
        "../greetings:greet",
        "/greetings:greet",
        "a/b:greet",
        "greetings:a.b",
        "",
    ],
)
def test_a_reference_is_never_a_path(folder: Path, reference: str) -> None:
    with pytest.raises(ConfigurationError, match="does not name a function"):
        load_function(reference, folder)


def test_what_is_missing_or_broken_is_named(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no function absent"):
        load_function("greetings:absent", folder)
    with pytest.raises(ConfigurationError, match="not a function"):
        load_function("greetings:GREETING", folder)
    with pytest.raises(ConfigurationError, match="nowhere_to_be_found"):
        load_function("nowhere_to_be_found:greet", folder)
    (folder / "broken.py").write_text("1 / 0")
    with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
        load_function("broken:greet", folder)
