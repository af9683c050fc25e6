"""The page about steps is true: its examples load, its pictures are theirs, and a kind of one's own works."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.errors import ConfigurationError, PipelineError
from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.steps.file import registry
from agent_tasks.steps.file.graph import to_svg
from tests.batch.conftest import bench
from tests.batch.support import PIPELINE, TOOLS, Bench

__all__ = ["bench"]

SHORT = PIPELINE.partition("questions:")[0].replace("  analyst:\n    instructions: Analyse.\n", "")
PAGE = Path(__file__).parents[2] / "docs" / "steps.md"
REWRITE = bool(os.environ.get("REWRITE_PICTURES"))
"""Set it to write the pictures anew."""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


EXAMPLES = {
    re.findall(r"^name: (.*)$", block, re.MULTILINE)[0]: block
    for block in _blocks("yaml")
    if block.startswith("name:")
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in EXAMPLES.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    (tmp_path / "tools_of.py").write_text(TOOLS)
    return tmp_path


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_and_its_picture_is_up_to_date(folder: Path, name: str) -> None:
    pipeline = load_pipeline(folder / f"{name}.yaml", default_model="any")
    picture = PAGE.parent / "steps" / f"{name}.svg"
    if f"steps/{name}.svg" not in PAGE.read_text(encoding="utf-8"):
        assert not picture.exists()
        return
    drawn = to_svg(pipeline.plan, pipeline.name, corpus=pipeline.corpus)
    if REWRITE:
        picture.write_text(drawn, encoding="utf-8")
    assert picture.read_text(encoding="utf-8") == drawn


def test_every_kind_has_a_place_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^### (.*)$", text, re.MULTILINE))
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    for keyword in registry.BUILT_IN:
        assert re.search(rf"\b{keyword}\b", headings), keyword
        assert keyword in rows, keyword
    for keyword in registry.tool_kinds():
        assert f"{{{keyword}:" in text, keyword


class _EntryPoint:
    def __init__(self, name: str, kind: Any) -> None:
        self.name, self.value, self._kind = name, "somewhere:KIND", kind

    def load(self) -> Any:
        if isinstance(self._kind, Exception):
            raise self._kind
        return self._kind


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[_EntryPoint]]]:
    """Entry points that are installed; to be filled before a file is loaded."""
    installed: dict[str, list[_EntryPoint]] = {}
    real = importlib.metadata.entry_points

    def found(**wanted: Any) -> Any:
        return installed.get(wanted.get("group", ""), []) or real(**wanted)

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    caches = (registry.step_kinds, registry.tool_kinds, registry.sink_kinds)
    for cached in caches:
        cached.cache_clear()
    yield installed
    for cached in caches:
        cached.cache_clear()


def _kind_of_the_page() -> Any:
    code = _blocks("python")[0]
    names: dict[str, Any] = {}
    before = "from dataclasses import dataclass\nfrom agent_tasks.steps.file.expressions import Expression\n"
    exec(before + code, names)  # noqa: S102 - the page of this repository
    return names["COUNT"]


async def test_a_sink_of_ones_own_works(
    entry_points: dict[str, list[_EntryPoint]], bench: Callable[..., Bench]
) -> None:
    kept: dict[str, Any] = {}
    before = (
        "from dataclasses import dataclass\nfrom agent_tasks.steps.file.sections import FileSection\n"
        "from agent_tasks.steps.file.sinks import SinkKind\n"
    )
    names: dict[str, Any] = {"upsert": lambda address, document, fields: kept.update({document: fields})}
    exec(before + _blocks("python")[1], names)  # noqa: S102 - the page of this repository
    entry_points["agent_tasks.sinks"] = [_EntryPoint("table", names["TABLE"])]
    (csv,) = [block for block in _blocks("yaml") if block.startswith("sinks:")]
    made = bench(pipeline=SHORT + csv + "  - table: somewhere\n")
    made.write("a.txt", "Paper P-1 of 2026-03-01, total 10.5")
    made.write("b.txt", "Paper =P-2 of 2026-03-01, total 20")
    assert (await made.run()).warnings == []
    assert kept["a.txt"] == {"number": "P-1", "total": 10.5, "issued": "2026-03-01"}
    lines = (made.out / "papers.csv").read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "document;status;number;total;issued;reasons"
    assert lines[1] == "a.txt;done;P-1;10.5;2026-03-01;"
    assert lines[2].startswith("b.txt;")
    assert ";'=P-2;" in lines[2]
    names["upsert"] = lambda *_: 1 / 0
    assert (await made.run()).warnings == ["The sink Table did not take the results: division by zero"]


async def test_a_tool_of_ones_own_works(
    entry_points: dict[str, list[_EntryPoint]], bench: Callable[..., Bench]
) -> None:
    before = (
        "import json\n"
        "from agent_tasks.steps.file.sections import FileSection\n"
        "from agent_tasks.steps.file.tool_kinds import ToolKind\n"
        "from agent_tasks.tools import function_tool\n"
    )
    names: dict[str, Any] = {}
    exec(before + _blocks("python")[2], names)  # noqa: S102 - the page of this repository
    entry_points["agent_tasks.tools"] = [_EntryPoint("glossary", names["GLOSSARY"])]
    asks = {"tool_calls": [{"name": "meaning_of", "arguments": {"word": "larch"}}]}
    rules: dict[str, Any] = {
        "rules": [{"when": {"tool_results": True}, "reply": {"text": "It is {{ tool_results[0] }}."}}],
        "default": {"reply": asks},
    }
    text = (
        "name: words\nmodel: m\nagents: {reader: {prompt: x, tools: [{glossary: words.json}]}}\n"
        "steps: [{agent: reader}]\n"
    )
    made = bench(rules=rules, pipeline=text)
    (made.folder / "words.json").write_text('{"larch": "a wood"}')
    made.write("a.txt", "Hello.")
    await made.run()
    assert made.rows()["a.txt"]["steps"]["reader"]["value"] == "It is a wood."
    made.pipeline_file.write_text(text.replace("glossary:", "glosary:"))
    with pytest.raises(PipelineError, match=r"tools\[0\].*Did you mean 'glossary'"):
        load_pipeline(made.pipeline_file)


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ("csv: ../x.csv", "is no name for a file"),
        ("csv: results.jsonl", "is no name for a file"),
        ("csv: x.csv, delimiter: ab", "one character"),
        ("cvs: x.csv", "Did you mean 'csv'"),
        ("csv: x.csv, delimter: a", "Did you mean 'delimiter'"),
    ],
)
def test_a_wrong_sink_is_told(folder: Path, sink: str, said: str) -> None:
    for text in (SHORT, EXAMPLES["letters"]):
        (folder / "p.yaml").write_text(f"{text}sinks:\n  - {{{sink}}}\n")
        shutil.copy(folder / "tools_of.py", folder / "paper_tools.py")
        with pytest.raises(PipelineError, match=said):
            load_pipeline(folder / "p.yaml", default_model="any")


async def test_a_kind_of_ones_own_works(
    entry_points: dict[str, list[_EntryPoint]], bench: Callable[..., Bench]
) -> None:
    entry_points["agent_tasks.steps"] = [_EntryPoint("count", _kind_of_the_page())]
    text = (
        "name: counted\nmodel: m\nagents: {one: {prompt: x}}\nsteps:\n  - agent: one\n"
        "  - count: document.pages\n  - {agent: one, id: more, when: count > 5}\n"
    )
    made = bench(pipeline=text)
    made.write("a.txt", "Hello.")
    await made.run()
    steps = made.rows()["a.txt"]["steps"]
    assert (steps["count"]["value"], steps["more"]["status"]) == (1, "skipped")
    made.pipeline_file.write_text(text.replace("count: document.pages", "count: document.page"))
    with pytest.raises(PipelineError, match=r"steps\[1\].count.*Did you mean 'pages'"):
        load_pipeline(made.pipeline_file)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("agent", _kind_of_the_page(), "the name is taken"),
        ("other", _kind_of_the_page(), "is not the keyword of"),
        ("count", ImportError("no such module"), "cannot be loaded: ImportError: no such module"),
    ],
)
def test_a_kind_that_cannot_be_is_told(
    entry_points: dict[str, list[_EntryPoint]], folder: Path, name: str, kind: Any, said: str
) -> None:
    entry_points["agent_tasks.steps"] = [_EntryPoint(name, kind)]
    with pytest.raises(ConfigurationError, match=said):
        load_pipeline(folder / "letters.yaml", default_model="any")
