"""Files and vector stores below `/openai/v1`: those of the classic wire, with what is its own there."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from typing import Any

from agents_emulator.endpoints import Call, Operation
from agents_emulator.engine.responses.bodies import page_body
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.paging import page_from_query
from agents_emulator.resources import file_batches, files, vector_store_files, vector_stores
from agents_emulator.resources.files import file_body
from agents_emulator.responses.served import OPENAI, below
from agents_emulator.store import FILES, VECTOR_STORES, Record

MAX_RESULTS = 50
DEFAULT_RESULTS = 10


async def list_files(call: Call) -> Record:
    """GET /openai/v1/files: page by page there, unlike on the classic wire."""
    page = page_from_query({"limit": "100", **call.query})
    purpose = call.query.get("purpose")

    def read(db: sqlite3.Connection) -> Record:
        found, has_more = FILES.page(db, page, "", {"purpose": purpose} if purpose else None)
        return page_body([file_body(file) for file in found if "asset" not in file], has_more)

    return await call.service.store.read(read)


async def search(call: Call) -> Record:
    """POST /openai/v1/vector_stores/{id}/search."""
    body = call.json_object()
    query = body.get("query")
    queries: list[Any] = query if isinstance(query, list) else [query]
    if not queries or not all(isinstance(text, str) and text for text in queries):
        raise missing_parameter("query")
    if body.get("filters"):
        raise bad_request(
            "The local service does not filter searches by attributes. Leave 'filters' out.",
            param="filters",
            code="unsupported_parameter",
        )
    limit = min(int(body.get("max_num_results") or DEFAULT_RESULTS), MAX_RESULTS)
    least = float((body.get("ranking_options") or {}).get("score_threshold") or 0)
    store_id = call.path["vector_store_id"]
    await call.service.store.read(lambda db: VECTOR_STORES.get(db, store_id))
    index = await call.service.ingestion.index()
    hits = await asyncio.to_thread(index.search, [store_id], "\n".join(queries), limit=limit)
    data = [
        {
            "file_id": hit.file_id,
            "filename": hit.file_name,
            "score": hit.score,
            "attributes": {},
            "content": [{"type": "text", "text": hit.text}],
        }
        for hit in hits
        if hit.score >= least
    ]
    return {
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": data,
        "has_more": False,
        "next_page": None,
    }


def _shared(operation: Operation, **others: Any) -> Operation:
    """Return an operation of the classic wire below `/openai/v1`: the same one, under the same name."""
    return replace(operation, path=f"{OPENAI}{operation.path}", versions=(), **others)


_CLASSIC = (
    *files.OPERATIONS,
    *vector_stores.OPERATIONS,
    *vector_store_files.OPERATIONS,
    *file_batches.OPERATIONS,
)
OPERATIONS: tuple[Operation, ...] = (
    *(
        _shared(operation, handler=list_files) if operation.name == "files.list" else _shared(operation)
        for operation in _CLASSIC
    ),
    *below((("vector_stores.search", "POST", "/vector_stores/{vector_store_id}/search", search),)),
)
