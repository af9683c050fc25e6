"""The parameter `project` of a flow: a mistake in it never reaches the server, and never runs elsewhere."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.exceptions import PrefectHTTPStatusError

from agent_tasks.errors import ConfigurationError
from agent_tasks.prefect.document_batch import document_batch
from agent_tasks.prefect.sweep import sweep

SECRET = "t0p-secret-value"
MISTAKES: list[dict[str, Any]] = [
    {"endpiont": "https://x.example/api/projects/p", "token": SECRET, "credential": "token"},
    {"journalUrl": f"postgresql+asyncpg://me:{SECRET}@host/db"},
    {"endpoint": "https://x.example/api/projects/p", "tokn": SECRET},
    {"endpoint": "https://x.example/api/projects/p", "token": SECRET, "credential": "passport"},
]


async def _runs(name: str) -> list[str]:
    async with get_client() as client:
        runs = await client.read_flow_runs(flow_filter=FlowFilter(name=FlowFilterName(any_=[name])))
    return [json.dumps(run.parameters) for run in runs]


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: "+".join(mistake))
async def test_a_misspelt_field_makes_no_flow_run(mistake: dict[str, Any], tmp_path: Path) -> None:
    before = await _runs("document-batch"), await _runs("sweep")
    for call in (
        lambda: document_batch(str(tmp_path), "p.yaml", str(tmp_path / "out"), mistake),
        lambda: document_batch.with_options(retries=1)(str(tmp_path), "p.yaml", str(tmp_path), mistake),
        lambda: sweep(mistake),
    ):
        with pytest.raises(ConfigurationError) as refused:
            await call()
        assert SECRET not in str(refused.value)
    assert (await _runs("document-batch"), await _runs("sweep")) == before


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_a_token_in_a_dictionary_is_hidden_on_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    given = {"endpoint": "http://127.0.0.1:9/api/projects/p", "token": SECRET, "credential": "token"}
    state: Any = await document_batch(
        str(tmp_path), str(tmp_path / "none.yaml"), str(tmp_path / "out"), given, return_state=True
    )
    assert state.is_failed()
    assert any("127.0.0.1:9" in run for run in await _runs("document-batch"))
    assert not any(SECRET in run for run in await _runs("document-batch"))


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("prefect_server")
async def test_the_server_refuses_to_start_a_deployment_with_a_misspelt_field() -> None:
    deployment = await document_batch.ato_deployment(f"closed-{uuid.uuid4().hex[:6]}")
    deployment_id = await deployment.aapply()
    paths = {"documents": "d", "pipeline": "p", "out": "o"}
    async with get_client() as client:
        for mistake in MISTAKES:
            with pytest.raises(PrefectHTTPStatusError):
                await client.create_flow_run_from_deployment(
                    deployment_id, parameters={**paths, "project": mistake}
                )
        for right in ("a-block", None, {"endpoint": "https://x.example/api/projects/p"}):
            run = await client.create_flow_run_from_deployment(
                deployment_id, parameters={**paths, "project": right}
            )
            await client.delete_flow_run(run.id)
    assert not any(SECRET in run for run in await _runs("document-batch"))
