"""The steps of a pipeline on the dashboard: an outline, and the picture, which is part of the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from agent_tasks.pipeline.loader import load_pipeline
from agent_tasks.prefect import artifacts
from agent_tasks.steps.file.graph import to_svg
from tests.steps.all_kinds import INNER, STEPS


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What was published, by key."""
    kept: dict[str, str] = {}

    async def keep(data: str, *, key: str, **_: Any) -> None:
        kept[key] = data

    for name in ("acreate_markdown_artifact", "acreate_image_artifact"):
        monkeypatch.setattr(artifacts, name, keep)
    return kept


async def test_steps_are_an_outline_and_a_picture(
    published: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner.yaml").write_text(INNER)
    (tmp_path / "pipeline.yaml").write_text(STEPS)
    pipeline = load_pipeline(tmp_path / "pipeline.yaml")
    await artifacts.publish_steps(pipeline)
    outline = published["contracts-steps"]
    assert all(line.startswith("    ") for line in outline.splitlines())
    assert "verdict: vote - 3 x judge; majority decides" in outline
    head, _, picture = published["contracts-picture"].partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(picture).decode() == to_svg(pipeline.plan, "contracts")
    published.clear()
    monkeypatch.setattr(artifacts, "MAX_PICTURE_BYTES", 100)
    await artifacts.publish_steps(pipeline)
    assert set(published) == {"contracts-steps"}
