"""The names of the service's 42 operations, as the resources and methods of the client have them."""

from __future__ import annotations

import re

_CRUD = {"POST": "create", "GET": "list"}
_ONE = {"GET": "get", "POST": "update", "DELETE": "delete"}
_READ_ONE = {"GET": "get"}

_PATHS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("/assistants", "agents", _CRUD),
    ("/assistants/*", "agents", _ONE),
    ("/threads", "threads", _CRUD),
    ("/threads/runs", "runs", {"POST": "create_thread_and_run"}),
    ("/threads/*", "threads", _ONE),
    ("/threads/*/messages", "messages", _CRUD),
    ("/threads/*/messages/*", "messages", _ONE),
    ("/threads/*/runs", "runs", _CRUD),
    ("/threads/*/runs/*", "runs", {"GET": "get", "POST": "update"}),
    ("/threads/*/runs/*/cancel", "runs", {"POST": "cancel"}),
    ("/threads/*/runs/*/submit_tool_outputs", "runs", {"POST": "submit_tool_outputs"}),
    ("/threads/*/runs/*/steps", "run_steps", {"GET": "list"}),
    ("/threads/*/runs/*/steps/*", "run_steps", _READ_ONE),
    ("/files", "files", {"POST": "upload", "GET": "list"}),
    ("/files/*", "files", {"GET": "get", "DELETE": "delete"}),
    ("/files/*/content", "files", {"GET": "get_content"}),
    ("/vector_stores", "vector_stores", _CRUD),
    ("/vector_stores/*", "vector_stores", _ONE),
    ("/vector_stores/*/files", "vector_store_files", _CRUD),
    ("/vector_stores/*/files/*", "vector_store_files", {"GET": "get", "DELETE": "delete"}),
    ("/vector_stores/*/file_batches", "vector_store_file_batches", {"POST": "create"}),
    ("/vector_stores/*/file_batches/*", "vector_store_file_batches", _READ_ONE),
    ("/vector_stores/*/file_batches/*/cancel", "vector_store_file_batches", {"POST": "cancel"}),
    ("/vector_stores/*/file_batches/*/files", "vector_store_file_batches", {"GET": "list_files"}),
)
_PATTERNS = tuple(
    (path.count("/"), re.compile(re.escape(path).replace(r"\*", "[^/]+")), resource, methods)
    for path, resource, methods in _PATHS
)


def operation_name(method: str, path: str) -> str:
    """`runs.create` for `POST`, `/threads/thread_1/runs`. Raises LookupError for what is no operation."""
    depth = path.count("/")
    for levels, pattern, resource, methods in _PATTERNS:
        if levels == depth and method in methods and pattern.fullmatch(path):
            return f"{resource}.{methods[method]}"
    raise LookupError(f"{method} {path} is no operation of the service")


def operation_names() -> list[str]:
    """All of them."""
    return [f"{resource}.{name}" for _, resource, methods in _PATHS for name in methods.values()]
