"""The maintenance flows, under a Prefect server."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agent_tasks.journal import Journal, NewTranscript
from agent_tasks.operations import Workspace, upload_file
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.prune import prune
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


@pytest.mark.timeout(300)  # the server of the session may start in this test
@pytest.mark.usefixtures("prefect_server")
async def test_the_journal_is_pruned_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_TASKS_STATE_DIR", str(tmp_path / "state"))
    url = f"sqlite+aiosqlite:///{tmp_path}/journal.db"
    long_ago = time.time() - 100 * 86_400
    async with Journal(url, clock=lambda: long_ago) as journal:
        await journal.operations.claim("s", "k", "turn", {"owner": "a-script"})
        await journal.operations.finish("s", "k", {})
        await journal.transcripts.put("s", NewTranscript("k", "a-script", "ask", "clerk", {}))
    project = AgentsProject(journal_url=url)
    looked = await prune(project, return_state=True)
    assert looked.message == "0 batches (0 documents), 1 operations, 1 transcripts to forget (dry run)"
    pruned = await prune(project, days=90, dry_run=False, return_state=True)
    assert pruned.message == "0 batches (0 documents), 1 operations, 1 transcripts forgotten"
    refused = await prune(project, days=0.1, return_state=True)
    assert refused.is_failed()
    async with Journal(url) as journal:
        assert await journal.operations.get("s", "k") is None
