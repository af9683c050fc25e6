"""The tools file: what it says, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents_emulator.server import build_parser, main
from agents_emulator.store import Store
from agents_emulator.tools.base import ToolServices
from agents_emulator.tools.settings import (
    BrowserSettings,
    ResearchLimits,
    ToolSettings,
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
        connection.for_host("https", "shop.example.com", None)
    monkeypatch.setenv("SHOP_KEY", "hush")
    assert connection.for_host("https", "shop.example.com", None) == "hush"
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
        ({"connections": {"c": {"value": "x", "hosts": ["a.example"]}}}, "give either header or query"),
        ({"connections": {"c": {"header": "h", "hosts": ["a.example"]}}}, "give either value or value_env"),
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


def test_unisolated_code_is_asked_for_by_its_name_and_warned_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = ["--data-dir", str(tmp_path), "--model", "smollm2"]
    assert not build_parser().parse_args(options).unisolated_code
    assert build_parser().parse_args([*options, "--unisolated-code"]).unisolated_code
    for value, expected in (("1", True), ("0", False), ("", False)):
        monkeypatch.setenv("AGENTS_EMULATOR_UNISOLATED_CODE", value)
        assert build_parser().parse_args(options).unisolated_code is expected
    store = Store(tmp_path / "service.db")
    for settings in (ToolSettings(), ToolSettings(unisolated_code=True)):
        assert "unisolated_code is set" not in caplog.text
        ToolServices(store, tmp_path, tmp_path, settings)
    store.close()
    assert "code that a model writes is executed with all that this service may do" in caplog.text
