"""File search: retrieval before the answer, and citations in it.

Known difference from the real service: the query is the last user message, chosen by the service; the real
model writes its own queries. A small local model cannot.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents_emulator.ids import new_id
from agents_emulator.store import THREADS, VECTOR_STORES, Record, Store

if TYPE_CHECKING:
    from agents_emulator.engine.ingestion import Ingestion
    from agents_emulator.retrieval import SearchHit

DEFAULT_RESULTS = 20
MAX_RESULTS = 50
DEFAULT_RANKING = {"ranker": "default_2024_08_21", "score_threshold": 0.0}
INGESTION_WAIT_SECONDS = 60.0


class SearchError(Exception):
    """The search is impossible; becomes `last_error` of the run."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class SearchOutcome:
    """What was found, as a tool call of a run step and as passages for the model.

    `passages` are those of `hits`, shortened to the model's budget, that the model gets to see: only they can
    be cited.
    """

    call: Record
    hits: list[SearchHit]
    passages: list[SearchHit]

    @property
    def sources(self) -> list[str]:
        """Return the passages as text, each behind the name of its file."""
        return [f"{passage.file_name}: {passage.text.strip()}" for passage in self.passages]

    def result_index(self, passage: SearchHit) -> int:
        """Return the place of a passage among the results of the tool call."""
        places = [(hit.file_id, hit.chunk_index) for hit in self.hits]
        return places.index((passage.file_id, passage.chunk_index))


def search_tool(run: Record) -> Record | None:
    """Return the options of the run's file search tool, None if it has none."""
    for tool in run["tools"]:
        if tool["type"] == "file_search":
            options: Record = tool.get("file_search") or {}
            return options
    return None


def wants_search(run: Record) -> bool:
    """Whether the run searches files: it has the tool, and its tool choice does not rule it out."""
    choice = run["tool_choice"]
    if search_tool(run) is None or choice == "none":
        return False
    return not isinstance(choice, dict) or choice["type"] == "file_search"


class FileSearch:
    """Searches the vector stores of a run's agent and thread."""

    def __init__(self, store: Store, ingestion: Ingestion) -> None:
        self._store = store
        self._ingestion = ingestion

    async def search(self, run: Record, query: str, *, token_budget: int) -> SearchOutcome:
        """Search with `query` and pick passages of up to `token_budget` tokens for the model.

        Waits up to 60 s for files that are still being read, as the real service does for attachments.
        Raises `SearchError` if a store is gone.
        """
        options = search_tool(run) or {}
        ranking = {**DEFAULT_RANKING, **(options.get("ranking_options") or {})}
        limit = min(int(options.get("max_num_results") or DEFAULT_RESULTS), MAX_RESULTS)
        stores = await self._store.write(lambda db: _searched_stores(db, run))
        await self._ingestion.wait(stores, INGESTION_WAIT_SECONDS)
        hits: list[SearchHit] = []
        if stores and query.strip():
            index = await self._ingestion.index()
            hits = await asyncio.to_thread(index.search, stores, query, limit=limit)
        hits = [hit for hit in hits if hit.score >= ranking["score_threshold"]]
        passages = await asyncio.to_thread(_passages, hits, query, token_budget) if hits else []
        return SearchOutcome(_tool_call(ranking, hits), hits, passages)


def _passages(hits: list[SearchHit], query: str, token_budget: int) -> list[SearchHit]:
    from agents_emulator.retrieval import select_passages

    return select_passages(hits, query, max_tokens=token_budget)


def _searched_stores(db: sqlite3.Connection, run: Record) -> list[str]:
    thread = THREADS.find(db, run["thread_id"]) or {}
    stores: list[str] = []
    for resources in (run["agent_tool_resources"], run["tool_resources"], thread.get("tool_resources")):
        stores += ((resources or {}).get("file_search") or {}).get("vector_store_ids") or []
    stores = list(dict.fromkeys(stores))
    for store_id in stores:
        record = VECTOR_STORES.find(db, store_id)
        if record is None:
            raise SearchError("vector_store_not_found", f"No vector store found with id '{store_id}'.")
        if record["expires_at"] is not None and record["expires_at"] <= time.time():
            raise SearchError("vector_store_expired", f"Vector store '{store_id}' has expired.")
        VECTOR_STORES.put(db, touched(record))
    return stores


def touched(vector_store: Record) -> Record:
    """Return a vector store as used now: its expiry counts from the last use."""
    vector_store["last_active_at"] = int(time.time())
    policy = vector_store["expires_after"]
    vector_store["expires_at"] = vector_store["last_active_at"] + policy["days"] * 86400 if policy else None
    return vector_store


def _tool_call(ranking: dict[str, Any], hits: list[SearchHit]) -> Record:
    results = [
        {
            "file_id": hit.file_id,
            "file_name": hit.file_name,
            "score": hit.score,
            "attributes": {},
            "content": [{"type": "text", "text": hit.text}],
        }
        for hit in hits
    ]
    return {
        "id": new_id("call"),
        "type": "file_search",
        "file_search": {"ranking_options": ranking, "results": results},
    }
