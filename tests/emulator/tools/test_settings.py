"""The tools file: what it says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents_emulator.server import main
from agents_emulator.tools.settings import (
    BrowserSettings,
    ResearchLimits,
    ToolSettingsError,
    load_tool_settings,
)
from tests.emulator.tools.conftest import write_yaml


def test_the_documented_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "local-service.md").read_text(encoding="utf-8")
    example = page.partition("# --tools-file tools.yaml")[2].partition("\n")[2].partition("```")[0]
    (tmp_path / "search").mkdir()
    (tmp_path / "storage").mkdir()
    (tmp_path / "prices.csv").touch()
    (tmp_path / "tools.yaml").write_text(example, encoding="utf-8")
    settings = load_tool_settings(tmp_path / "tools.yaml")
    assert settings.search_folder == tmp_path / "search"
    assert sorted(settings.assets.values()) == [tmp_path / "prices.csv", tmp_path / "storage"]
    assert settings.research == ResearchLimits()
    assert settings.browser == BrowserSettings(executable=Path("/usr/bin/chromium"))
    assert settings.interpreter.cpu_seconds == 30
    connection = settings.connections["my-connection"]
    with pytest.raises(ToolSettingsError, match="SHOP_KEY"):
        connection.reveal()
    monkeypatch.setenv("SHOP_KEY", "hush")
    assert connection.reveal() == "hush"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"serch_folder": "x"}, "serch_folder: is not known. Did you mean 'search_folder'"),
        (
            {"connections": {"c": {"valu": "hush", "header": "h"}}},
            r"c\.valu: .*mean 'value'",
        ),
        ({"storage": {"default": {"identiy": "default"}}}, "identiy: is not known. Did you mean 'identity'"),
        (
            {"interpreter": {"cpu_second": 1}},
            "'cpu_second' is not known. Did you mean 'cpu_seconds'",
        ),
        ({"connections": {"c": {"value": "", "header": "h"}}}, r"connections\.c\.value"),
        ({"storage": {"default": {"value": ""}}}, r"storage\.default\.value"),
        ({"search_folder": "missing"}, "is not a folder"),
        ({"connections": {"c": {"value": "x"}}}, "give either header or query"),
        ({"connections": {"c": {"header": "h"}}}, "give either value or value_env"),
        ({"request_seconds": 0}, "request_seconds"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(
    tmp_path: Path, content: dict[str, object], message: str
) -> None:
    with pytest.raises(ToolSettingsError, match=message) as refused:
        load_tool_settings(write_yaml(tmp_path / "tools.yaml", content))
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "connections:\n  c: {value: hush, header: a}\n  c: {value: hush2, header: b}\n",
            "line 3: 'c' is there twice",
        ),
        ("connections:\n  c: [value: hush\n", "line 3"),
        ("connections: {c: {value: hush, value: hush, header: a}}", "line 1: 'value' is there twice"),
        ("a: !!python/object:os.system hush", "line 1"),
    ],
)
def test_a_file_that_is_no_yaml_or_contradicts_itself_is_told_by_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "tools.yaml").write_text(text)
    with pytest.raises(ToolSettingsError, match=message) as refused:
        load_tool_settings(tmp_path / "tools.yaml")
    assert "hush" not in str(refused.value)


def test_the_service_does_not_start_with_a_wrong_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data-dir", str(tmp_path / "data"), "--model", "smollm2"]
    assert main([*options, "--search-folder", str(tmp_path / "missing")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    secret = write_yaml(tmp_path / "tools.yaml", {"connections": {"c": {"value": "hush", "header": 1}}})
    assert main([*options, "--tools-file", str(secret)]) == 2
    assert "hush" not in capsys.readouterr().err
