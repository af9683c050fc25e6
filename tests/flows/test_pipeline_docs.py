"""The documentation of the pipeline file is true."""

import re
from pathlib import Path

from flows.pipeline import load_pipeline

PAGE = Path(__file__).parents[2] / "docs" / "pipeline.md"


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_of_the_page_loads_and_its_defaults_are_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "company_tools.py").write_text(_block("python") + "    return {}\n")
    (tmp_path / "pipeline.yaml").write_text(_block("yaml"))
    pipeline = load_pipeline(tmp_path / "pipeline.yaml")
    assert list(pipeline.extractor.tools.functions) == ["lookup_supplier"]
    assert [question.id for question in pipeline.questions] == ["q1", "late"]
    for section in (pipeline.limits, pipeline.file.resources):
        assert section == type(section)(), "the page shows the defaults"


def test_the_example_pipeline_of_the_repository_loads() -> None:
    load_pipeline(PAGE.parents[1] / "examples" / "pipeline.yaml", default_model="any")
