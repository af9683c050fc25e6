"""The Prefect flow, under a Prefect server."""

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, TaskRun

from agent_tasks.batch.outcome_rules import TooManyNotDoneError
from agent_tasks.pipeline.loader import default_model
from agent_tasks.prefect.artifacts import artifact_key
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.document_batch import document_batch
from tests.batch.support import PIPELINE, Bench

MakeBench = Callable[..., Bench]


async def _recorded(flow_run_id: UUID) -> tuple[FlowRun, list[TaskRun], list[Artifact]]:
    async with get_client() as client:
        run = await client.read_flow_run(flow_run_id)
        tasks = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
        )
        artifacts = await client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run_id]))
        )
    return run, tasks, artifacts


def _project(batch: Bench, monkeypatch: pytest.MonkeyPatch) -> AgentsProject:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    return AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_the_flow_runs_and_shows_itself_on_the_dashboard(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    for number in range(1, 4):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    batch.write("4.txt", "Paper P-4, unclear")
    batch.write("5.txt", "")
    batch.pipeline_file.write_text(batch.pipeline)
    project = _project(batch, monkeypatch)

    state: Any = await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )

    assert state.message == "3 done, 1 needs review, 1 failed"
    assert state.is_completed()
    assert state.name == "NotAllDone"
    summary = await state.aresult()
    assert summary.total == 5
    run, tasks, artifacts = await _recorded(state.state_details.flow_run_id)
    assert re.fullmatch(r"documents \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", run.name)
    names = {task.name for task in tasks}
    assert {"documents 1-2", "documents 3-4", "documents 5-5", "questions", "results and report"} <= names
    by_key = {artifact.key: artifact for artifact in artifacts}
    assert set(by_key) == {
        *("papers-progress", "papers-results", "papers-report"),
        *("papers-open", "papers-spending", "papers-history"),
    }
    assert by_key["papers-progress"].data == 100.0
    assert "5 of 5 documents" in (by_key["papers-progress"].description or "")
    table = by_key["papers-results"].data
    rows = json.loads(table) if isinstance(table, str) else table
    assert [row["status"] for row in rows] == ["needs review", "failed", "done", "done", "done"]
    assert "## Needs review" in str(by_key["papers-report"].data)

    again = await document_batch(str(batch.documents), str(batch.pipeline_file), str(batch.out), project)
    assert (again.turns, again.reused) == (0, 4)


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_a_batch_without_any_result_is_a_failed_run(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    batch.write("1.txt", "")
    batch.pipeline_file.write_text(batch.pipeline)
    project = _project(batch, monkeypatch)
    state: Any = await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )
    assert state.is_failed()
    assert state.message == "0 done, 0 need review, 1 failed"
    assert (batch.out / "report.md").exists()


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_a_batch_that_is_stopped_shows_what_is_done(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench(pipeline=PIPELINE.replace("concurrency: 2", "concurrency: 1"))
    for number in range(1, 9):
        batch.write(f"{number}.txt", f"Paper P-{number} of 2026-03-0{number}, total {number}0")
    batch.write("0.txt", "Paper P-4, unclear")
    batch.pipeline_file.write_text(f"{batch.pipeline}budget: {{tokens: 2400}}\n")
    project = _project(batch, monkeypatch)
    state: Any = await document_batch(
        str(batch.documents), str(batch.pipeline_file), str(batch.out), project, return_state=True
    )
    assert state.is_failed()
    assert "tokens (budget.tokens) are spent" in state.message
    _, _, artifacts = await _recorded(state.state_details.flow_run_id)
    by_key = {artifact.key: str(artifact.data) for artifact in artifacts}
    assert "0.txt" in by_key["papers-open"]
    assert "not in the document" in by_key["papers-open"]
    assert "The batch was stopped, and not all documents have results" in by_key["papers-report"]
    assert "1.txt" in by_key["papers-results"]


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_a_run_with_too_many_failures_is_failed_and_the_next_one_goes_on(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    batch.write("1.txt", "Paper P-1 of 2026-03-01, total 10")
    batch.write("2.txt", "")
    batch.pipeline_file.write_text(batch.pipeline)
    given = (str(batch.documents), str(batch.pipeline_file), str(batch.out), _project(batch, monkeypatch))
    state: Any = await document_batch(*given, fail_on="failed >= 50%", return_state=True)
    assert state.is_failed()
    assert state.message == "1 done, 0 need review, 1 failed (failed >= 50%: 1 of 2 documents (50.0%))"
    assert batch.rows()["1.txt"]["status"] == "done"
    assert "1 failed" in (batch.out / "report.md").read_text()
    with pytest.raises(TooManyNotDoneError) as raised:
        await state.aresult()
    assert raised.value.summary.failed == 1

    batch.write("2.txt", "Paper P-2 of 2026-03-02, total 20")
    state = await document_batch(*given, fail_on="failed >= 50%", return_state=True)
    assert (state.name, state.message) == ("Completed", "2 done, 0 need review, 0 failed")
    assert (await state.aresult()).reused == 1

    state = await document_batch(*given, fail_on="failing > 1", return_state=True)
    assert state.is_failed()
    assert "is no rule" in state.message


def test_artifact_keys_have_the_characters_that_prefect_allows() -> None:
    assert artifact_key("My Papers_2026", "Results!") == "my-papers-2026-results"


def test_the_local_service_needs_no_model_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODEL_DEPLOYMENT_NAME", raising=False)
    local = AgentsProject(endpoint="http://127.0.0.1:9/api/projects/local").settings()
    azure = AgentsProject(endpoint="https://x.services.ai.azure.com/api/projects/p").settings()
    named = AgentsProject(
        endpoint="https://x.services.ai.azure.com/api/projects/p", model="gpt-4o"
    ).settings()
    assert default_model(local) == "smollm2"
    assert default_model(azure) is None
    assert default_model(named) == "gpt-4o"
