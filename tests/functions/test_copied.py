"""What the app shares with the library is written once."""

import ast
import importlib.util
import sys
from types import ModuleType

import pytest

from tests.functions.conftest import APP


@pytest.fixture
def copied() -> ModuleType:
    spec = importlib.util.spec_from_file_location("copied", APP / "copied.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_copies_are_up_to_date(copied: ModuleType) -> None:
    assert copied.drift() == [], "run `make generate`"


def test_a_changed_copy_is_found(
    copied: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(copied, "copies", lambda: {APP / "logs.py": "other", APP / "missing.py": ""})
    monkeypatch.setattr("sys.argv", ["copied", "--check"])
    assert copied.main() == 1
    assert "logs.py, missing.py (run `make generate`)" in capsys.readouterr().err


def test_the_app_needs_no_module_of_the_library() -> None:
    own = {path.stem for path in APP.glob("*.py")}
    for path in APP.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.module is not None
                assert node.module.partition(".")[0] != "agent_tasks", path.name
    assert {"message_format", "large_texts", "display", "redaction", "logs"} <= own
    assert not own & sys.stdlib_module_names
