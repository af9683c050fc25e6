"""The maintenance flow, under a Prefect server."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from agent_tasks.operations import Workspace, upload_file
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.sweep import sweep
from tests.batch.support import Bench


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_the_sweep_looks_first_and_deletes_when_told(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = bench()
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(batch.folder / "state"))
    async with Workspace.open(batch.service.endpoint, None, batch.journal_url) as ws:
        await upload_file(ws, b"x", "a.txt", owner="o", ttl=timedelta(seconds=-1))
    project = AgentsProject(
        endpoint=batch.service.endpoint, credential="token", token="local", journal_url=batch.journal_url
    )
    looked = await sweep(project, return_state=True)
    assert (looked.is_completed(), looked.message) == (True, "1 to delete (dry run)")
    assert batch.left()["files"] == 1
    swept = await sweep(project, dry_run=False, return_state=True)
    assert swept.message == "1 deleted"
    assert batch.left()["files"] == 0
