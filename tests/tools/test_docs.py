"""The examples of the pages about tools and tracing are true."""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from agent_tasks import telemetry, tools

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The examples set up things for the whole process."""
    monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: provider.shutdown())
    monkeypatch.setattr(logging, "basicConfig", lambda: None)
    level = logging.getLogger("agent_tasks").level
    yield
    logging.getLogger("agent_tasks").setLevel(level)
    telemetry.uninstrument()


def test_every_tool_has_a_working_example() -> None:
    namespace: dict[str, Any] = {"__name__": __name__}
    for code in blocks("tools.md"):
        exec(compile(code, "tools.md", "exec", dont_inherit=True), namespace)  # noqa: S102
    assert namespace["invoice"].number == "7"
    page = "\n".join(blocks("tools.md"))
    classes = [name for name in tools.__all__ if name.endswith("Tool") and name not in ("Tool", "HostedTool")]
    assert [name for name in classes if f"{name}(" not in page and f"{name}." not in page] == ["CallableTool"]
    made = [
        value for value in namespace.values() if isinstance(value, tools.Tool) and not isinstance(value, type)
    ]
    assert len({definition["type"] for tool in made for definition in tool.definitions}) == 15


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("number", range(len(blocks("tracing.md"))))
def test_every_example_of_tracing_works(number: int) -> None:
    code = blocks("tracing.md")[number]
    modules = re.findall(r"^from (azure\.monitor\S*|opentelemetry\.exporter\S*)", code, re.MULTILINE)
    for module in modules:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{module} is not installed: it is the reader's choice")
    exec(compile(code, "tracing.md", "exec", dont_inherit=True), {"__name__": __name__})  # noqa: S102
