"""Steps of a run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Literal

from agent_tasks.client._async.resource import AsyncResource, include_params
from agent_tasks.client._requests import path_of
from agent_tasks.wire import RunStep


class AsyncRunSteps(AsyncResource):
    """Operations on run steps. `include` takes values of `RunAdditionalFieldList`."""

    async def get(
        self, thread_id: str, run_id: str, step_id: str, *, include: Sequence[str] | None = None
    ) -> RunStep:
        """Reads a step. Raises NotFoundError."""
        path = path_of("threads", thread_id, "runs", run_id, "steps", step_id)
        return await self._get(RunStep, path, include_params(include))

    def list(
        self,
        thread_id: str,
        run_id: str,
        *,
        include: Sequence[str] | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> AsyncIterator[RunStep]:
        """All steps of a run, newest first unless `order="asc"`; `limit` (1 to 100) is the size of a page."""
        params = {"limit": limit, "order": order, "after": after, "before": before, **include_params(include)}
        return self._list(RunStep, path_of("threads", thread_id, "runs", run_id, "steps"), params)
