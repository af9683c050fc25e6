"""The documentation of the pipeline file is true."""

import re
import shutil
from pathlib import Path

import pytest

from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.pipeline.schema import QueueToolsSection

PAGE = Path(__file__).parents[2] / "docs" / "pipeline.md"


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_the_page_loads_and_its_defaults_are_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE__queueServiceUri", "https://account.queue.core.windows.net")
    shutil.copy(PAGE.parents[1] / "examples" / "queues" / "tools.json", tmp_path / "queue_tools.json")
    (tmp_path / "company_tools.py").write_text(_block("python") + "    return {}\n")
    (tmp_path / "pipeline.yaml").write_text(_block("yaml"))
    pipeline = load_pipeline(tmp_path / "pipeline.yaml")
    assert list(pipeline.extractor.tools.functions) == ["lookup_supplier", "validate_iban"]
    assert [question.id for question in pipeline.questions] == ["q1", "late"]
    for section in (pipeline.limits, pipeline.file.resources):
        assert section == type(section)(), "the page shows the defaults"
    queue_tools = QueueToolsSection(definitions="queue_tools.json")
    assert pipeline.file.queue_tools == queue_tools, "the page shows the defaults"


def test_the_example_pipeline_of_the_repository_loads() -> None:
    load_pipeline(PAGE.parents[1] / "examples" / "pipeline.yaml", default_model="any")


@pytest.mark.parametrize("drive", ["pipeline", "service"])
def test_the_example_with_queue_tools_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drive: str
) -> None:
    monkeypatch.setenv("STORAGE__queueServiceUri", "https://account.queue.core.windows.net")
    folder = PAGE.parents[1] / "examples" / "queues"
    shutil.copy(folder / "tools.json", tmp_path)
    text = (folder / "pipeline.yaml").read_text(encoding="utf-8")
    assert "drive: pipeline" in text
    (tmp_path / "pipeline.yaml").write_text(text.replace("drive: pipeline", f"drive: {drive}"))
    plan = load_pipeline(tmp_path / "pipeline.yaml", default_model="any").extractor
    kind = "function" if drive == "pipeline" else "azure_function"
    assert [definition["type"] for definition in plan.tools.definitions] == [kind, kind]
    # The service has no way to name an azure_function tool.
    named = {"type": "function", "function": {"name": "lookup_supplier"}}
    assert plan.tool_choice == (named if drive == "pipeline" else "required")
