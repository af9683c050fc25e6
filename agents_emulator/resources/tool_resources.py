"""`tool_resources` of agents, threads and runs."""

from __future__ import annotations

import sqlite3
from typing import Any

from agents_emulator.assets import source_file_ids
from agents_emulator.errors import bad_request, missing_parameter
from agents_emulator.resources.vector_store_files import add_files
from agents_emulator.resources.vector_stores import insert_store
from agents_emulator.store import FILES, VECTOR_STORES, Record
from agents_emulator.validation import MAX_CODE_INTERPRETER_FILES, check_chunking, without_nulls


def check_tool_resources(db: sqlite3.Connection, resources: Any) -> tuple[Record, list[Record]]:
    """Return tool resources as the service echoes them, and the files to read; what they name must exist.

    Recorded: the `data_sources` of a code interpreter come back as `file_ids`. An inline vector store is
    created, and comes back as its id. Resources of other tools are kept as they are.
    """
    if not resources:
        return {}, []
    unread: list[Record] = []
    echoed: Record = without_nulls(resources)
    interpreter = echoed.get("code_interpreter")
    if isinstance(interpreter, dict):
        file_ids = [*(interpreter.get("file_ids") or []), *source_file_ids(interpreter.get("data_sources"))]
        if len(file_ids) > MAX_CODE_INTERPRETER_FILES:
            raise bad_request(
                f"A code interpreter may have {MAX_CODE_INTERPRETER_FILES} files, but got {len(file_ids)}.",
                param="tool_resources.code_interpreter.file_ids",
                code="array_above_max_length",
            )
        for file_id in file_ids:
            FILES.get(db, file_id)
        echoed["code_interpreter"] = {"file_ids": file_ids}
    search = echoed.get("file_search")
    if isinstance(search, dict):
        inline = search.pop("vector_stores", None) or []
        store_ids = search.get("vector_store_ids") or []
        if len(store_ids) + len(inline) > 1:
            raise bad_request(
                f"Only one vector store is allowed, but got {len(store_ids) + len(inline)}.",
                param=f"tool_resources.file_search.{'vector_stores' if inline else 'vector_store_ids'}",
                code="array_above_max_length",
            )
        for store_id in store_ids:
            VECTOR_STORES.get(db, store_id)
        for described in inline:
            store, unread = _inline_store(db, described)
            search["vector_store_ids"] = [store["id"]]
    return echoed, unread


def _inline_store(db: sqlite3.Connection, described: Any) -> tuple[Record, list[Record]]:
    """Create the vector store that a request describes by `name` and `configuration.data_sources`."""
    param = "tool_resources.file_search.vector_stores[0]"
    configuration = described.get("configuration") if isinstance(described, dict) else None
    if not isinstance(configuration, dict) or not isinstance(configuration.get("data_sources"), list):
        raise missing_parameter(f"{param}.configuration.data_sources")
    file_ids = source_file_ids(configuration["data_sources"])
    store = insert_store(db, name=described.get("name"), metadata={}, expires_after=None)
    chunking = check_chunking(None)
    return store, add_files(db, store["id"], file_ids, chunking, param=f"{param}.configuration.data_sources")
