"""`tool_resources` of agents, threads and runs, and the data sources of vector stores."""

from __future__ import annotations

import sqlite3
from typing import Any

from agents_emulator.errors import bad_request
from agents_emulator.store import FILES, VECTOR_STORES, Record
from agents_emulator.validation import MAX_CODE_INTERPRETER_FILES, without_nulls


def check_tool_resources(db: sqlite3.Connection, resources: Any) -> Record:
    """Return tool resources as the service echoes them; named files and stores must exist.

    Recorded: the `data_sources` of a code interpreter come back as `file_ids`. Resources of other tools are
    kept as they are.
    """
    if not resources:
        return {}
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
        if search.get("vector_stores"):
            raise bad_request(
                "The local service does not create vector stores inside 'tool_resources'. "
                "Create the vector store first and name it in 'vector_store_ids'.",
                param="tool_resources.file_search.vector_stores",
            )
        store_ids = search.get("vector_store_ids") or []
        if len(store_ids) > 1:
            raise bad_request(
                f"Only one vector store is allowed, but got {len(store_ids)}.",
                param="tool_resources.file_search.vector_store_ids",
                code="array_above_max_length",
            )
        for store_id in store_ids:
            VECTOR_STORES.get(db, store_id)
    return echoed


def source_file_ids(sources: Any) -> list[str]:
    """Return the file ids behind data sources.

    An `id_asset` names an uploaded file. A `uri_asset` lives in an Azure workspace, where the local service
    cannot read it: it is refused.
    """
    file_ids: list[str] = []
    for source in sources or []:
        if source.get("type") != "id_asset":
            raise bad_request(
                f"The local service cannot read the data source '{source.get('uri')}' of type "
                f"'{source.get('type')}': it has no Azure workspace. Upload the file instead.",
                param="data_sources",
            )
        file_ids.append(source["uri"])
    return file_ids
