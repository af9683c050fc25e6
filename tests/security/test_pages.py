"""Documents that try to act in the operator's browser: on Prefect's dashboards, and in the report."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from markdown_it import MarkdownIt
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    LogFilter,
    LogFilterFlowRunId,
)

from agent_tasks.batch.markdown import escape, escape_cell, quote
from agent_tasks.prefect.artifacts import artifact_key
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from tests.batch.support import Bench
from tests.support.chromium import needs_chromium
from tests.support.prefect_pages import Listener, Seen, browsing, listening, look_at
from tests.support.service import start_in_thread, write_rules

PIPELINE = """\
name: hostile
model: test-model
agents: {extractor: {prompt: "{{ document.text }}"}, analyst: {}}
output: {name: paper, fields: {number: string}}
questions: [{id: all, text: "What do they say?"}]
limits: {concurrency: 4}
"""

TEXTS = {
    "markdown-image": "![x]({leak})",
    "html-image": "<img src={leak}>",
    "html-image-onerror": "<img src=x onerror=\"fetch('{leak}')\">",
    "script-link": "[a](javascript:fetch('{leak}'))",
    "link": "[pay here]({leak})",
    "bare-address": "see {leak} for more",
    "bare-address-in-capitals": "see {LEAK} for more",
    "bare-www": "see www.{mark}.example or WWW.{mark}.example",
    "mail-address": "ask {mark}@evil.example",
    "autolink": "<{leak}> and <{mark}@evil.example>",
    "reference": "[x]: {leak} ![x] [x][x]",
    "escaped-escape": "\\![x]({leak}) \\\\[x]({leak}) \\<img src={leak}>",
    "code-that-ends": "`` ` ``![x]({leak})`![x]({leak})",
    "entities": "&#33;&#91;x&#93;(http&colon;//{mark}.example) &lt;img src={leak}&gt;",
    "frame-and-svg": "<iframe src={leak}></iframe><svg><image href={leak} /></svg>",
    "diagram": '```mermaid\ngraph TD\nclick A "{leak}"\n```',
    "cell-and-row": "a | ![x]({leak}) |\n| --- |\n| ![x]({leak}) |",
    "hidden-characters": "!\u200b[x]({leak}) <\u2060img src={leak}> http:\u200b//127.0.0.1/{mark}",
}
"""What documents say, by what is tried. Each is told by its mark."""

NAMED = {
    "image-in-a-name": "![x](http:&sol;&sol;127.0.0.1:{port}&sol;{mark}).txt",
    "html-in-a-name": "<img src=x id={mark} onerror=alert(1)>.txt",
    "mail-in-a-name": "{mark}@evil.example www.{mark}.example.txt",
    "bidi-in-a-name": "\u202e[{mark}](javascript:alert(1))\u2066.txt",
}
"""What names of documents say."""

ARTIFACTS = ("results", "report", "progress", "open", "spending")

ELSEWHERE = ["service-error", "answer"]
"""Hostile texts that come from the service: why a turn failed, and what the analyst answers."""


def mark_of(what: str) -> str:
    """A word that stands in this attempt alone."""
    return f"leak-{what}-end"


def written(pattern: str, what: str, origin: str) -> str:
    """The text of an attempt that aims at `origin`."""
    leak = f"{origin}/{mark_of(what)}"
    parts = {"leak": leak, "LEAK": leak.replace("http", "HTTP"), "mark": mark_of(what)}
    for name, text in {**parts, "port": origin.rpartition(":")[2]}.items():
        pattern = pattern.replace("{" + name + "}", text)
    return pattern


@pytest.mark.attack
@pytest.mark.parametrize("what", TEXTS)
def test_text_is_no_markup(what: str) -> None:
    text = written(TEXTS[what], what, "http://127.0.0.1:9")
    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    for page in (f"# Report\n\n- **x**\n\n{escape(text)}\n", str(escape_cell(text)), str(quote(text))):
        html = renderer.render(page)
        for tag in ("<a ", "<img", "<iframe", "<svg", "<script", "<code", "<pre", "<table"):
            assert tag not in html
        # What some renderers make links of in a last pass over the text that is shown.
        assert "http://" not in html.lower()
        assert "www." not in html.lower()
        assert f"{mark_of(what)}@evil" not in html


@dataclass
class Shown:
    """What the dashboards showed of a batch of hostile documents."""

    pages: dict[str, Seen]
    listener: Listener
    artifacts: dict[str, str]
    report: str

    def of(self, what: str) -> list[str]:
        """Elements that act and have to do with an attempt."""
        mark = mark_of(what)
        return [element for seen in self.pages.values() for element in seen.active if mark in element]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("pages")
    with (
        listening() as listener,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("AGENT_TASKS_STATE_DIR", str(folder / "state"))
        batch = _hostile_batch(folder, listener.origin)
        try:
            artifacts, run = asyncio.run(_processed(batch))
        finally:
            batch.service.stop()
        pages: dict[str, Seen] = {}
        with browsing() as page:
            for dashboard in ("", "/v2"):
                at = prefect_server + dashboard
                for key, artifact in artifacts.items():
                    until = {"results": "leak-", "report": "What do they say?"}.get(key, "documents")
                    pages[f"{dashboard}/{key}"] = look_at(
                        page, f"{at}/artifacts/artifact/{artifact}", until=until
                    )
                pages[f"{dashboard}/list"] = look_at(page, f"{at}/artifacts", until="hostile")
                pages[f"{dashboard}/run"] = look_at(page, f"{at}/runs/flow-run/{run}", until="leak-")
        yield Shown(pages, listener, artifacts, (batch.out / "report.md").read_text())


def _hostile_batch(folder: Path, origin: str) -> Bench:
    answer = written("![x]({leak}) <img src={leak}> {leak} [a](javascript:alert('{mark}'))", "answer", origin)
    error = written("refused: ![x]({leak}) <img src={leak}> {leak}", "service-error", origin)
    rules = {
        "rules": [
            {
                "when": {"schema": "paper", "message": "service-error"},
                "reply": {"error": {"code": "content_filter", "message": error}},
            },
            {
                "when": {"schema": "paper", "message": r"(?s)^(?P<all>.*)$"},
                "reply": {"json": {"number": "{{ groups.all }}"}},
            },
        ],
        "default": {"reply": {"text": answer}},
    }
    batch = Bench(
        start_in_thread(folder / "data", write_rules(folder, rules), None), folder, pipeline=PIPELINE
    )
    for what, pattern in TEXTS.items():
        batch.write(f"{what}.txt", written(pattern, what, origin))
    for what, pattern in NAMED.items():
        batch.write(written(pattern, what, origin), f"Named {what}.")
    batch.write("failed.txt", "service-error")
    batch.pipeline_file.write_text(batch.pipeline)
    return batch


async def _processed(batch: Bench) -> tuple[dict[str, str], str]:
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    state: Any = await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )
    run = state.state_details.flow_run_id
    async with get_client() as client:
        of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
        found = {artifact.key: artifact for artifact in await client.read_artifacts(artifact_filter=of_run)}
        for _ in range(100):  # lines reach the server a little later
            logs = await client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run])))
            if any("results in" in line.message for line in logs):
                break
            await asyncio.sleep(0.2)
    ids = {key: str(found[artifact_key("hostile", key)].id) for key in ARTIFACTS}
    return ids, str(run)


@needs_chromium
@pytest.mark.timeout(300)
@pytest.mark.attack(long=True)
@pytest.mark.parametrize("what", [*TEXTS, *NAMED, *ELSEWHERE])
def test_dashboards_load_nothing_from_a_document(shown: Shown, what: str) -> None:
    assert [path for path in shown.listener.paths if mark_of(what) in path] == []
    assert shown.of(what) == []
    assert mark_of(what) in shown.report
    text = " ".join(seen.text for seen in shown.pages.values()).replace("\u2060", "")
    assert mark_of(what) in text


@needs_chromium
@pytest.mark.timeout(300)
@pytest.mark.skipif(
    not os.environ.get("AGENT_TASKS_ALL_ATTACKS"), reason="the control of what `make security` alone tries"
)
def test_the_listener_would_hear_it(prefect_server: str) -> None:
    """The same pages do load from a table that was not escaped."""
    with listening() as listener, browsing() as page:
        data = json.dumps([{"document": f"control ![x]({listener.origin}/control)"}])
        table = {"key": "control", "type": "table", "data": data}
        made = httpx.post(f"{prefect_server}/api/artifacts/", json=table).raise_for_status().json()
        look_at(page, f"{prefect_server}/artifacts/artifact/{made['id']}", until="control")
        assert "/control" in listener.paths
