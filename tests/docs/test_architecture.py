"""The picture of the floors is that of the packages that there are."""

from __future__ import annotations

import re

import pytest

from tests.docs.markdown import ROOT, page

PAGE = page("docs/architecture.md")


def picture() -> dict[str, list[str]]:
    """Packages by floor, from the top down; the single modules of the ground are left out."""
    (drawn,) = PAGE.blocks("text")
    lines = [re.split(r" {2,}", line.strip()) for line in drawn.splitlines() if line.strip()]
    return {floor: [name for name in names if name.isidentifier()] for floor, *names in lines}


def packages() -> set[str]:
    """What is there: folders, and `testing`, a face of its own."""
    folders = {path.parent.name for path in (ROOT / "agent_tasks").glob("*/__init__.py")}
    return folders | {"testing"}


def test_every_package_has_its_floor() -> None:
    drawn = [package for floor in picture().values() for package in floor]
    assert sorted(drawn) == sorted(packages())


def test_every_package_has_its_line_in_the_table() -> None:
    rows = re.findall(r"^\| `agent_tasks\.(\w+)` \|", PAGE.text, re.MULTILINE)
    assert rows == [package for floor in picture().values() for package in floor]


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "flows").glob("*.py")))
def test_every_flow_has_its_place_on_the_page_with_a_picture(name: str) -> None:
    page = (ROOT / "docs" / "flows.md").read_text(encoding="utf-8")
    (section,) = [text for text in page.split("\n## ") if f"(../flows/{name})" in text]
    assert "```mermaid\n" in section
