"""The documentation as data: pages, links, headings, blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / folder / "README.md" for folder in ("examples", "examples/guide", "azure_functions")),
    ]
)

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        """All of it."""
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """What is not a block of code."""
        return _FENCED.sub("", self.text)

    def blocks(self, language: str) -> list[str]:
        """Blocks of code in a language; "" for those without one."""
        return [code for name, code in _FENCED.findall(self.text) if name == language]

    def headings(self) -> list[str]:
        """The headings, as they are written."""
        return re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)

    def anchors(self) -> set[str]:
        """What links may point to."""
        return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in self.headings()}

    def links(self) -> list[str]:
        """Targets inside the repository."""
        return [one for one in re.findall(r"\]\(([^)\s]+)\)", self.prose) if "://" not in one]

    def code(self) -> list[str]:
        """What stands between single backticks."""
        return re.findall(r"`([^`\n]+)`", self.prose)


def page(name: str) -> Page:
    """A page by its path in the repository."""
    return Page(ROOT / name)
