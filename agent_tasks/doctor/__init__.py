"""Checks of everything that a run needs, each with a remedy.

| module | checks |
| --- | --- |
| `service` | the Agents service: guarantee, retirement, sign-in, endpoint, model, setup tier, quota |
| `live` | what the successor service tells only when it is asked |
| `storage` | the storage account of queue tools |
| `local` | state folder, journal, questions to people |
| `prefect_server` | the Prefect server: deployments, scheduler, work pools, workers, automations |
| `preparation` | packages and weights of the local service, the pipeline file |

What is not configured is reported as such, not as a failure: without any settings the local service is used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from agent_tasks.doctor.findings import Finding, Status, failed, not_configured
from agent_tasks.doctor.local import check_approvals, check_journal, check_state_folder
from agent_tasks.doctor.prefect_server import check_prefect
from agent_tasks.doctor.preparation import check_local_parts, check_pipeline_file
from agent_tasks.doctor.service import Target, check_service
from agent_tasks.doctor.storage import check_storage
from agent_tasks.errors import AgentTasksError, NotInstalledError
from agent_tasks.local.servers import local_service
from agent_tasks.settings import Settings, environment

__all__ = ["Finding", "Status", "examine"]


async def examine(
    settings: Settings,
    *,
    connection: str = "STORAGE",
    start_service: bool = True,
    pipeline: Path | None = None,
    live: bool = False,
) -> AsyncIterator[Finding]:
    """Carry the checks out, one after the other.

    An agent, a queue and a blob are made and deleted; no tokens are used, except by `live`. Findings hold no
    secrets.

    Args:
        settings: what is configured.
        connection: name of the storage connection, see `StorageConnection.from_settings`.
        start_service: start the local service where no project is set, and check that.
        pipeline: a pipeline file to check too.
        live: ask the successor service what documentation leaves open, and keep the answers.
    """
    folder = check_state_folder(settings)
    yield folder
    if folder.status is not Status.FAILED:
        journal = await check_journal(settings)
        yield journal
        if journal.status is not Status.FAILED:
            yield await check_approvals(settings)
    yield check_local_parts(settings)
    yield await asyncio.to_thread(check_pipeline_file, settings, pipeline)
    async for finding in check_prefect(settings):
        yield finding
    async for finding in _service(settings, start=start_service, live=live):
        yield finding
    async for finding in check_storage(connection, environment()):
        yield finding


async def _service(settings: Settings, *, start: bool, live: bool) -> AsyncIterator[Finding]:
    if settings.service_endpoint:
        async for finding in check_service(Target(settings.service_endpoint, settings, live)):
            yield finding
        return
    said = "PROJECT_ENDPOINT is not set, so the local service is used"
    if not start:
        yield not_configured("endpoint", f"{said}; it was not started.")
        return
    try:
        server = local_service(settings)
    except NotInstalledError:  # which another check tells
        remedy = "Set PROJECT_ENDPOINT, or install what is missing."
        yield not_configured("endpoint", f"{said}, and it is not completely installed.", remedy)
        return
    try:
        endpoint = await asyncio.to_thread(lambda: server.launch().wait())
        async for finding in check_service(Target(endpoint, settings, live)):
            yield finding
    except AgentTasksError as error:
        yield failed("endpoint", f"{said}, and it does not start: {error}", "Look at its log.")
    finally:
        await asyncio.to_thread(server.close)
