# Made from _async/run_steps.py by `make generate`: change that one.
"""Steps of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from agent_tasks.client._requests import path_of
from agent_tasks.client._sync.resource import Resource, include_params
from agent_tasks.wire import RunStep


class RunSteps(Resource):
    """Operations on run steps. `include` takes values of `RunAdditionalFieldList`."""

    def get(
        self, thread_id: str, run_id: str, step_id: str, *, include: Sequence[str] | None = None
    ) -> RunStep:
        """Reads a step. Raises NotFoundError."""
        path = path_of("threads", thread_id, "runs", run_id, "steps", step_id)
        return self._get(RunStep, path, include_params(include))

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
    ) -> Iterator[RunStep]:
        """All steps of a run, newest first unless `order="asc"`; `limit` (1 to 100) is the size of a page."""
        params = {"limit": limit, "order": order, "after": after, "before": before, **include_params(include)}
        return self._list(RunStep, path_of("threads", thread_id, "runs", run_id, "steps"), params)
