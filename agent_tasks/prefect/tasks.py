"""The durable operations as Prefect tasks.

Each task is a thin wrapper: names, tags and retries for Prefect, the work in `agent_tasks.operations`. The
journal
makes them safe to retry, in the same flow run or in a later one, so their results are not cached by Prefect.

When a transaction (`prefect.transactions.transaction`) is rolled back, what the tasks in it have created is
deleted again; see `agent_tasks.prefect.rollback`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from agent_tasks import operations
from agent_tasks.backends.base import ResourceKind
from agent_tasks.errors import AgentTasksError
from agent_tasks.operations import (
    DEFAULT_TTL,
    AgentSpec,
    RemoteAgent,
    RemoteFile,
    RemoteStore,
    TurnResult,
    TurnSpec,
)
from agent_tasks.pending import Pending
from agent_tasks.prefect.blocks import AgentsProject
from agent_tasks.prefect.rollback import created, undo
from agent_tasks.tools import ToolSet

RETRY_DELAYS = [2.0, 10.0, 60.0]
"""Seconds before each retry of a task whose error may pass."""


async def may_pass(task: object, task_run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth a retry: its error says so (`retryable`), or is not one of ours."""
    try:
        await state.aresult()
    except AgentTasksError as error:
        return error.retryable
    except Exception:  # whatever else the body raised
        return True
    return False


_DURABLE: dict[str, Any] = {
    "tags": ["azure-agents"],
    "retries": len(RETRY_DELAYS),
    "retry_delay_seconds": RETRY_DELAYS,
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": may_pass,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
"""What all durable tasks share."""

P = ParamSpec("P")
R = TypeVar("R")


class DurableTask(Task[P, R]):
    """A Prefect task that says so where a call of it was not awaited."""

    if not TYPE_CHECKING:  # to type checkers it is called like any task

        def __call__(self, *args, **kwargs):
            """Call the task; what it gives has to be awaited."""
            called = super().__call__(*args, **kwargs)
            return Pending(called, f"{self.fn.__name__}(...)") if inspect.iscoroutine(called) else called


def durable(
    name: str, task_run_name: str
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], DurableTask[P, Coroutine[Any, Any, R]]]:
    """Make a durable task of a coroutine function.

    Args:
        name: the task's name.
        task_run_name: the template of its runs' names.
    """

    def made(
        function: Callable[P, Coroutine[Any, Any, R]],
    ) -> DurableTask[P, Coroutine[Any, Any, R]]:
        return DurableTask(function, name=name, task_run_name=task_run_name, **_DURABLE)

    return made


@durable("upload-file", "upload {name}")
async def upload_file(
    project: AgentsProject,
    content: bytes,
    name: str,
    *,
    purpose: str = "assistants",
    owner: str,
    ttl: timedelta = DEFAULT_TTL,
) -> RemoteFile:
    """`operations.upload_file` in the project's workspace."""
    async with project.workspace() as ws:
        file = await operations.upload_file(ws, content, name, purpose=purpose, owner=owner, ttl=ttl)
    created(project, "file", file, owner)
    return file


@durable("build-vector-store", "build vector store {name}")
async def build_vector_store(
    project: AgentsProject,
    name: str,
    files: Sequence[RemoteFile],
    *,
    owner: str,
    ttl: timedelta = DEFAULT_TTL,
) -> RemoteStore:
    """`operations.build_vector_store` in the project's workspace."""
    async with project.workspace() as ws:
        store = await operations.build_vector_store(ws, name, files, owner=owner, ttl=ttl)
    created(project, "store", store, owner)
    return store


@durable("ensure-agent", "ensure agent {spec.name}")
async def ensure_agent(
    project: AgentsProject, spec: AgentSpec, *, owner: str, ttl: timedelta = DEFAULT_TTL
) -> RemoteAgent:
    """`operations.ensure_agent` in the project's workspace."""
    async with project.workspace() as ws:
        agent = await operations.ensure_agent(ws, spec, owner=owner, ttl=ttl)
    created(project, "agent", agent, owner)
    return agent


for _creates in (upload_file, build_vector_store, ensure_agent):
    _creates.on_rollback(undo)  # type: ignore[arg-type] # Prefect awaits hooks, its types do not say so


@durable("run-turn", "{turn.step} by {turn.agent.name}")
async def run_turn(
    project: AgentsProject,
    turn: TurnSpec,
    *,
    tools: ToolSet | None = None,
    on_text: Callable[[str], None] | None = None,
) -> TurnResult:
    """`operations.run_turn` in the project's workspace."""
    async with project.workspace() as ws:
        return await operations.run_turn(ws, turn, tools=tools, on_text=on_text)


@durable("delete-resource", "delete {kind} {remote_id}")
async def delete_resource(project: AgentsProject, kind: ResourceKind, remote_id: str) -> None:
    """`operations.delete_resource` in the project's workspace."""
    async with project.workspace() as ws:
        await operations.delete_resource(ws, kind, remote_id)


@durable("release-owner", "release {owner}")
async def release_owner(project: AgentsProject, owner: str) -> int:
    """`operations.release_owner` in the project's workspace."""
    async with project.workspace() as ws:
        return await operations.release_owner(ws, owner)
