"""What docs/queue-tools.md says is shown by tests that exist."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field

REPOSITORY = Path(__file__).parents[2]


def test_every_row_of_the_failure_table_names_tests_that_are_there() -> None:
    page = (REPOSITORY / "docs" / "queue-tools.md").read_text(encoding="utf-8")
    table = page.partition("## What becomes of a call")[2].partition("## The operator")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py")
    )
    there = set(re.findall(r"def (test_\w+)\(", sources))
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[1])
        assert named, row
        assert set(named) <= there, row
    assert len(rows) >= 20


def test_the_apps_page_names_its_tools_and_settings() -> None:
    page = (REPOSITORY / "azure_functions" / "README.md").read_text(encoding="utf-8")
    settings = (REPOSITORY / "azure_functions" / "app_settings.py").read_text(encoding="utf-8")
    catalog = (REPOSITORY / "azure_functions" / "catalog.py").read_text(encoding="utf-8")
    names = re.findall(r'(?:text|number)\("([A-Z_]+)"', settings)
    tools = re.findall(r"^    (\w+),$", catalog, re.MULTILINE)
    assert len(names) == 6
    assert len(tools) == 8
    for name in (*names, *tools):
        assert f"`{name}`" in page, name


async def test_the_example_of_the_apps_page_is_a_tool(queue_tool: ModuleType) -> None:
    page = (REPOSITORY / "azure_functions" / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {
        "queue_tool": queue_tool.queue_tool,
        "date": date,
        "Annotated": Annotated,
        "Field": Field,
    }
    exec(compile(code, "README.md", "exec", dont_inherit=True), names)  # noqa: S102
    tool = names["days_until"]
    assert await tool.run(tool.validate({"day": date.today().isoformat()}), "c1") == "0"
