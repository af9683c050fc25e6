"""Search over all documents of a batch, as a tool of agents that work on all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.operations import AgentSpec, RemoteStore
from agent_tasks.steps.hosted import NeedyTool
from agent_tasks.steps.session import Session
from agent_tasks.tools import FileSearchTool

__all__ = ["CORPUS", "CorpusSearch", "searching"]

CORPUS = "corpus"
"""What the file writes in place of the names of files."""

_store: ContextVar[RemoteStore | None] = ContextVar("agent_tasks_corpus", default=None)


@contextmanager
def searching(store: RemoteStore | None) -> Iterator[None]:
    """In the block, `CorpusSearch` searches in this store."""
    token = _store.set(store)
    try:
        yield
    finally:
        _store.reset(token)


@dataclass(frozen=True)
class CorpusSearch(NeedyTool):
    """File search over the documents of the batch; the batch builds the store."""

    max_num_results: int | None = None
    ranker: str | None = None
    score_threshold: float | None = None

    @property
    def definitions(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The tool as the service is told about it."""
        return FileSearchTool(
            max_num_results=self.max_num_results, ranker=self.ranker, score_threshold=self.score_threshold
        ).definitions

    @property
    def resources(self) -> dict[str, Any]:  # type: ignore[override]
        """None yet: the store is the batch's."""
        return {}

    async def planned(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """With the store of the batch."""
        store = _store.get()
        if store is None:
            raise ConfigurationError("There is no store of all documents here: it is for steps of `corpus`.")
        return spec.model_copy(update={"stores": [store]})

    async def made(self, session: Session, spec: AgentSpec) -> AgentSpec:
        """The same: the store is there."""
        return spec
