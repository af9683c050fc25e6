"""What the pages and the code refer to is there: links, headings, files, names, commands."""

from __future__ import annotations

import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer.main

from agent_tasks.cli.app import app
from tests.docs.markdown import PAGES, ROOT, Page, page

FOLDERS = ("agent_tasks", "agents_emulator", "azure_functions", "deployments", "docs", "examples", "flows",
           "requirements", "tests")  # fmt: skip
PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]+")
MODULE = re.compile(r"(?:agent_tasks|agents_emulator)(?:\.\w+)+")

ATTRIBUTES = {"agent_tasks.step", "agent_tasks.owner", "agent_tasks.sinks"}
"""Of spans, and a group of entry points, which look like names of modules."""

pages = pytest.mark.parametrize("of", [Page(path) for path in PAGES], ids=lambda one: one.name)


def resolve(name: str) -> object:
    """A module, or what is in one, by its dotted name."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


@pages
def test_links_lead_to_files_and_headings(of: Page) -> None:
    for link in of.links():
        name, _, anchor = link.partition("#")
        target = (of.path.parent / name).resolve() if name else of.path
        assert target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in Page(target).anchors(), link


@pages
def test_files_that_are_named_are_there(of: Page) -> None:
    for code in of.code():
        if PATH.fullmatch(code):
            assert (ROOT / code).exists() or (of.path.parent / code).exists(), code


@pages
def test_names_of_the_library_are_there(of: Page) -> None:
    for code in of.code():
        if MODULE.fullmatch(code) and code not in ATTRIBUTES:
            assert resolve(code) is not None


@pytest.mark.parametrize("package", ["agent_tasks", "agents_emulator", "flows"])
def test_what_the_code_cites_is_in_the_pages(package: str) -> None:
    """As `docs/wire.md, "Limits"`, as `docs/durability.md#the-gate`, or as the page alone."""
    cited = 0
    for path in (ROOT / package).rglob("*.py"):
        text = re.sub(r"\n\s*#?\s*", " ", path.read_text(encoding="utf-8"))
        for name, anchor, section in re.findall(
            r"(docs/[\w-]+\.md)(#[\w-]+)?(?:, (?:\\)?\"([^\"\\]+)(?:\\)?\")?", text
        ):
            cited += 1
            assert (ROOT / name).exists(), f"{path}: {name}"
            assert not anchor or anchor[1:] in page(name).anchors(), f"{path}: {name}{anchor}"
            assert not section or section in page(name).headings(), f"{path}: {name}, {section}"
    assert cited


def test_the_readme_leads_to_every_page() -> None:
    linked = {name.partition("#")[0] for name in page("README.md").links()}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} <= linked


def test_make_targets_that_are_named_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for of in map(Page, PAGES):
        lines = [*of.code(), *(line for block in of.blocks("") for line in block.splitlines())]
        for line in lines:
            if line.startswith("make "):
                words = line.partition("#")[0].split()[1:]
                assert {word for word in words if "=" not in word} <= targets, f"{of.name}: {line}"


def commands() -> list[tuple[str, str]]:
    """Lines of the pages that call `agent-tasks`."""
    found = []
    for of in map(Page, PAGES):
        lines = [*of.code(), *(line for block in of.blocks("") for line in block.splitlines())]
        found += [(of.name, line) for line in lines if re.match(r"(\.venv/bin/)?agent-tasks [a-z]", line)]
    return found


@pytest.mark.parametrize(("of", "line"), commands())
def test_commands_that_are_named_are_there(of: str, line: str) -> None:
    words = line.partition("#")[0].split()[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{of}: {line}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    if not command.context_settings.get("ignore_unknown_options"):  # those are for another program
        own = words[: words.index("--")] if "--" in words else words
        assert {word for word in own if word.startswith("--")} <= known | {"--help"}, f"{of}: {line}"


def test_nothing_is_cited_that_is_not_in_the_repository() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-l", "-i", "-E", r"FACTS(\.md|:)"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert [name for name in tracked if Path(name).parts[0] != "tests"] == []
